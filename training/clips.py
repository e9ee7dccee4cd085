"""Synthetic validation clips: held-out photographs set in motion, with exact masks.

Weights, checkpoints and tracker settings are chosen on these, never on evaluation data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.evaluate import score_frame
from siampolar_model.frames import Frame
from siampolar_model.metrics import mask_box
from siampolar_model.results import TrackState
from siampolar_model.tracker import Tracker

from .augment.compose import with_surroundings
from .augment.sharpness import motion_blur
from .instances import MIN_AREA_PX, Instance, large_objects
from .readers.base import DataError, LabelledImage, Reader

WIDTH, HEIGHT, FRAMES = 640, 360, 30

#: How much of a target's own background is kept, and over how much another one takes its place.
_ABOUT_PX = (6.0, 12.0)

#: Photographs in memory, at most: clips show far fewer.
_MOST_PHOTOGRAPHS = 200


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 (H, W, 3) BGR with masks uint8 (H, W) of one moving object."""

    frames: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]


def clip_photographs(reader: Reader) -> list[LabelledImage]:
    """What clips are made of, decoded: all photographs, or some spread over a large set.

    Args:
        reader: the held-out side of a set of photographs.

    Raises:
        DataError: none of them shows an object.
    """
    step = -(-len(reader) // _MOST_PHOTOGRAPHS)
    photos = [reader.read(i) for i in range(0, len(reader), step)]
    if not any(map(large_objects, photos)):
        raise DataError(
            f"{reader.root}: none of {len(photos)} held-out photographs shows an object of "
            f"{MIN_AREA_PX} px or more, which validation clips need; data.clips 0 goes without"
        )
    return photos


def render_clip(photos: Sequence[LabelledImage], seed: int) -> Clip:
    """A clip that is a pure function of the photographs and the seed.

    The object moves, turns, grows and bends smoothly over a moving background; one or two other
    objects cross behind or in front of it; light and sharpness change.
    """
    rng = np.random.default_rng([seed, 77])
    objects = [(photo, value) for photo in photos for value in large_objects(photo)]
    chosen = rng.permutation(len(objects))[: 1 + int(rng.integers(1, 3))]
    cast = (Instance.of(*objects[i]) for i in chosen)
    actors = [instance for instance in cast if instance is not None]
    moves = [_Motion.random(rng, target=i == 0) for i in range(len(actors))]
    background = photos[int(rng.integers(len(photos)))].image
    backdrop = _Motion.random(rng, target=False)
    others_in_front = rng.random() < 0.3
    warp = rng.normal(0, 5.0, (2, 4, 4, 2)).astype(np.float32)
    blur_px = int(rng.integers(2, 9))
    blur_angle_rad = rng.uniform(0, np.pi)
    frames, masks = [], []
    for t in range(FRAMES):
        phase = t / (FRAMES - 1)
        frame = _backdrop(background, backdrop, phase)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        order = [0, *range(1, len(actors))] if others_in_front else [*range(1, len(actors)), 0]
        for i in order:
            bend = warp[0] * (1 - phase) + warp[1] * phase if i == 0 else None
            image, alpha, covered = _draw(actors[i], moves[i], phase, bend)
            # Of the target also what lies about it, so that no seam tells where its outline is.
            shown = with_surroundings(alpha, *_ABOUT_PX) * covered if i == 0 else alpha
            weight = shown[..., None]
            frame = (image * weight + frame * (1 - weight) + 0.5).astype(np.uint8)
            if i == 0:
                mask = (alpha >= 0.5).astype(np.uint8)
            else:
                mask[alpha >= 0.5] = 0
        if 0.4 < phase < 0.7:
            frame = motion_blur(frame, blur_px, blur_angle_rad)
        gain = 1 + 0.25 * np.sin(2 * np.pi * (phase + seed * 0.37))
        frames.append(np.clip(frame * gain, 0, 255).astype(np.uint8))
        masks.append(mask)
    return Clip(tuple(frames), tuple(masks))


@dataclass(frozen=True, eq=False)
class _Motion:
    """Smooth path: place (fractions of the frame), size in pixels, angle in radians."""

    place: np.ndarray
    size_px: np.ndarray
    angle: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, *, target: bool) -> _Motion:
        knots = 5
        margin = 0.25 if target else 0.05
        place = rng.uniform(margin, 1 - margin, (1, 2))
        place = place + np.cumsum(rng.normal(0, 0.09, (knots, 2)), 0)
        size = np.exp(rng.uniform(np.log(60), np.log(170)) * np.ones(knots))
        size = size * np.exp(np.cumsum(rng.normal(0, 0.12, knots)))
        return cls(
            np.clip(place, margin * 0.6, 1 - margin * 0.6),
            np.clip(size, 40, 260),
            np.cumsum(rng.normal(0, 0.15, knots)),
        )

    def at(self, phase: float) -> tuple[np.ndarray, float, float]:
        knots = np.linspace(0, 1, len(self.angle))
        smooth = phase + 0.03 * np.sin(2 * np.pi * phase * 4)
        place = np.array([np.interp(smooth, knots, self.place[:, k]) for k in range(2)])
        size = float(np.interp(smooth, knots, self.size_px))
        return place * (WIDTH, HEIGHT), size, float(np.interp(smooth, knots, self.angle))


def _draw(
    instance: Instance, motion: _Motion, phase: float, bend: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object alone on a frame: image uint8 (H, W, 3), alpha float32 (H, W), and where its
    photograph is, bool (H, W)."""
    place, size_px, angle = motion.at(phase)
    box = instance.box
    scale = size_px / np.sqrt(box.width * box.height)
    image, mask = instance.source.image, instance.mask
    if scale < 0.5:
        small = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        ratio = np.array(small) / (image.shape[1], image.shape[0])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    else:
        ratio = np.ones(2)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    at = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), -1) - place
    if bend is not None:
        at = at + cv2.resize(bend, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    source = at @ np.array([[cos, -sin], [sin, cos]]) + box.center_xy
    source = (source * ratio - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
    seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderValue=0)
    height, width = image.shape[:2]
    covered = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return seen, cv2.GaussianBlur(alpha, (0, 0), 0.7).astype(np.float32) / 255, covered


def _backdrop(image: np.ndarray, motion: _Motion, phase: float) -> np.ndarray:
    """The background, panning by up to a tenth of the frame."""
    place, size_px, _ = motion.at(phase)
    h, w = image.shape[:2]
    zoom = max(WIDTH / w, HEIGHT / h) * (1.2 + size_px / 1000)
    shift = (place / (WIDTH, HEIGHT) - 0.5) * 0.15 * np.array([WIDTH, HEIGHT])
    matrix = np.array(
        [
            [zoom, 0, WIDTH / 2 - zoom * w / 2 + shift[0]],
            [0, zoom, HEIGHT / 2 - zoom * h / 2 + shift[1]],
        ]
    )
    return cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class ClipScores:
    """Means over all frames after the first of all clips, scored as ``siampolar eval`` scores.

    Attributes:
        j: region similarity; the mask is empty while lost.
        box_iou: over the frames on which some of the object is seen; 0 while lost.
        lost_on_target: share of frames called lost although the box overlaps the object.
        tracking_off_target: share of frames called tracking although the box misses the object.
        tracking: share of frames called tracking.
    """

    j: float
    box_iou: float
    lost_on_target: float
    tracking_off_target: float
    tracking: float


def score_clips(tracker: Tracker, clips: Sequence[Clip]) -> ClipScores:
    """Track every clip from the box of its first mask; one whose object is hidden there is left
    out.

    Raises:
        DataError: no clip is left.
    """
    return mean_scores([score_clip(tracker, clip) for clip in clips])


def score_clip(tracker: Tracker, clip: Clip) -> np.ndarray:
    """The fields of :class:`ClipScores` for each frame after the first: float64 (frames, 5).

    ``box_iou`` is NaN where nothing of the object is seen. No frame counts if the object is hidden
    on the first one.
    """
    rows: list[tuple[float, ...]] = []
    tracker.reset()
    first = mask_box(clip.masks[0])
    if first is None:
        return np.empty((0, 5))
    tracker.init(Frame.from_bgr(clip.frames[0]), first)
    for frame, mask in zip(clip.frames[1:], clip.masks[1:], strict=True):
        (result,) = tracker.track(Frame.from_bgr(frame))
        lost = result.state == TrackState.LOST
        tracking = result.state == TrackState.TRACKING
        score = score_frame(mask, result.box, result.polygon_xy, lost=lost)
        box_iou = np.nan if score.box_iou is None else score.box_iou
        true_box = mask_box(mask)
        overlap = true_box.iou(result.box) if true_box else 0.0
        rows.append(
            (score.j, box_iou, lost and overlap > 0.3, tracking and overlap < 0.1, tracking)
        )
    return np.array(rows, float)


def mean_scores(clips: Sequence[np.ndarray]) -> ClipScores:
    """Means over all frames of what :func:`score_clip` gave for each clip.

    Raises:
        DataError: no frame counts.
    """
    rows = np.concatenate([np.empty((0, 5)), *clips])
    if not len(rows):
        raise DataError(f"{len(clips)} clips, none of which shows its object on the first frame")
    means = rows.mean(0)
    seen = ~np.isnan(rows[:, 1])
    means[1] = rows[seen, 1].mean() if seen.any() else np.nan
    return ClipScores(*(round(float(value), 4) for value in means))
