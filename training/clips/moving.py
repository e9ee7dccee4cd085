"""Synthetic validation clips: held-out photographs set in motion, with exact masks.

Weights, checkpoints and tracker settings are chosen on these, never on evaluation data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.evaluate import score_frame
from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.images.frame import Frame
from siampolar_model.results import TargetState
from siampolar_model.tracking.tracker import Tracker

from ..data.augment import motion
from ..data.augment.compose import blend, soften
from ..data.augment.sharpness import compress, motion_blur
from ..data.instances import MIN_AREA_PX, Instance, instances_of, large_objects
from ..data.readers.base import LabelledImage, Reader

WIDTH, HEIGHT, FRAMES = 640, 360, 30

#: Knots of every random walk, and the spread of its steps in the logarithm of light and colour.
_KNOTS, _LIGHT_SIGMA, _COLOUR_SIGMA = 5, 0.12, 0.06

#: Spread of the bending field and of noise, and the quality of JPEG.
_BEND_PX, _NOISE, _JPEG_QUALITY = 8.0, 3.0, 60

#: How far from every edge of its photograph a target lies, and how softly a photograph ends.
_CLEAR_PX, _EDGE_SIGMA_PX = 8, 2.0

#: Photographs in memory, at most: clips show far fewer.
_MOST_PHOTOGRAPHS = 200


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 (H, W, 3) BGR with masks uint8 (H, W) of one moving object.

    Attributes:
        real: filmed, not made of photographs.
    """

    frames: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    real: bool = False


def clip_photographs(reader: Reader) -> list[LabelledImage]:
    """What clips are made of, decoded: all photographs, or some spread over a large set.

    Args:
        reader: the held-out side of a set of photographs.

    Raises:
        DatasetError: none of them shows an object as a whole.
    """
    step = -(-len(reader) // _MOST_PHOTOGRAPHS)
    photos = [reader.read(i) for i in range(0, len(reader), step)]
    if not any(_is_whole(instance) for photo in photos for instance in instances_of(photo)):
        raise DatasetError(
            f"{reader.root}: none of {len(photos)} held-out photographs shows an object of "
            f"{MIN_AREA_PX} px or more, {_CLEAR_PX} px from the edges, which validation clips "
            "need; data.clips 0 goes without"
        )
    return photos


def render_clip(photos: Sequence[LabelledImage], seed: int) -> Clip:
    """A clip that is a pure function of the photographs and the seed.

    The object moves, turns, tilts, grows and bends smoothly, and its whole photograph comes along:
    so its neighbours stay in sight, and no seam tells where its outline is. Behind that a second
    photograph pans. One or two objects of other photographs cross behind or in front of the target;
    light, colour and sharpness change, and every frame is noisy and compressed.
    """
    rng = np.random.default_rng([seed, 77])
    objects = [(photo, value) for photo in photos for value in large_objects(photo)]
    drawn = (Instance.of(*objects[i]) for i in rng.permutation(len(objects)))
    usable = (instance for instance in drawn if instance is not None)
    target = next(filter(_is_whole, usable))
    others = list(islice(usable, int(rng.integers(1, 3))))
    path, *paths = [_Path.random(rng, target=i == 0) for i in range(1 + len(others))]
    elsewhere = [photo for photo in photos if photo is not target.source] or photos
    behind = _wider_than_a_frame(elsewhere[int(rng.integers(len(elsewhere)))].image)
    pan = _walk(rng, 0.04, 2)
    others_in_front = rng.random() < 0.3
    bends = rng.normal(0, _BEND_PX, (2, 4, 4, 2)).astype(np.float32)
    blur_px = int(rng.integers(2, 9))
    blur_angle_rad = rng.uniform(0, np.pi)
    light = np.exp(_walk(rng, _LIGHT_SIGMA, 1) + _walk(rng, _COLOUR_SIGMA, 3))
    frames, masks = [], []
    for t in range(FRAMES):
        phase = t / (FRAMES - 1)
        bend = bends[0] * (1 - phase) + bends[1] * phase
        photograph, shown, covered = _draw(target, path, phase, bend)
        frame = blend(_panned(behind, _at(pan, phase)), photograph, covered)
        mask = (shown >= 0.5).astype(np.uint8)
        for other, its_path in zip(others, paths, strict=True):
            image, alpha, _ = _draw(other, its_path, phase, None)
            if others_in_front:
                mask[alpha >= 0.5] = 0
            else:
                alpha = alpha * (1 - shown)
            frame = blend(frame, image, alpha)
        if 0.4 < phase < 0.7:
            frame = motion_blur(frame, blur_px, blur_angle_rad)
        noisy = frame * _at(light, phase) + rng.normal(0, _NOISE, frame.shape)
        frames.append(compress(np.clip(noisy, 0, 255).astype(np.uint8), _JPEG_QUALITY))
        masks.append(mask)
    return Clip(tuple(frames), tuple(masks))


def film_clip(reader: Reader, sequence: int, frames: int) -> Clip:
    """The first frames of a video, and of its objects the first one."""
    images = [reader.read(sequence, t) for t in range(min(frames, reader.frames(sequence)))]
    value = images[0].objects[0] if images[0].objects else 0
    masks = ((image.mask(value) > 0).astype(np.uint8) for image in images)
    return Clip(tuple(image.image for image in images), tuple(masks), real=True)


def _is_whole(instance: Instance) -> bool:
    """Nothing of it is beyond an edge of its photograph, where its outline would be the edge's."""
    height, width = instance.mask.shape
    x0, y0, x1, y1 = instance.box.as_xyxy()
    return min(x0, y0, width - x1, height - y1) >= _CLEAR_PX


def _wider_than_a_frame(image: np.ndarray) -> np.ndarray:
    """A photograph, resized to cover a frame and a quarter more."""
    height, width = image.shape[:2]
    scale = 1.25 * max(WIDTH / width, HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _panned(image: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The middle of a photograph, uint8 (H, W, 3); ``offset`` x and y in fractions of the frame."""
    height, width = image.shape[:2]
    x, y = (np.array((WIDTH - width, HEIGHT - height)) / 2) + offset * (WIDTH, HEIGHT)
    shift = np.array([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(image, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)


def _walk(rng: np.random.Generator, sigma: float, n: int) -> np.ndarray:
    """Knots (K, n) of n random walks from 0."""
    return np.cumsum(rng.normal(0, sigma, (_KNOTS, n)), 0)


def _at(knots: np.ndarray, phase: float) -> np.ndarray:
    """Values (n,) of knots (K, n) at a phase in [0, 1]."""
    place = np.linspace(0, 1, len(knots))
    return np.array([np.interp(phase, place, column) for column in knots.T])


@dataclass(frozen=True, eq=False)
class _Path:
    """How an object stands in the course of a clip; knots (K, n).

    Attributes:
        place: of its middle, x and y in fractions of the frame.
        size_px: root of its box's area.
        linear: angle in radians, logarithm of the aspect, slant.
        tilt: of the plane it lies in, as in augment/motion.py.
    """

    place: np.ndarray
    size_px: np.ndarray
    linear: np.ndarray
    tilt: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, *, target: bool) -> _Path:
        margin = 0.25 if target else 0.05
        place = rng.uniform(margin, 1 - margin, (1, 2)) + _walk(rng, 0.09, 2)
        size_px = np.exp(rng.uniform(np.log(60), np.log(170)) + _walk(rng, 0.12, 1))
        return cls(
            np.clip(place, margin * 0.6, 1 - margin * 0.6),
            np.clip(size_px, 40, 260),
            np.hstack([_walk(rng, sigma, 1) for sigma in (0.15, 0.1, 0.08)]),
            np.clip(_walk(rng, 0.06, 2), -motion.MAX_TILT, motion.MAX_TILT),
        )


def _draw(
    instance: Instance, path: _Path, phase: float, bend: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object's photograph, uint8 (H, W, 3), the object's alpha, and the photograph's, both
    float32 (H, W)."""
    tilt = _at(path.tilt, phase)
    box, image, mask = instance.box, instance.source.image, instance.mask
    scale = float(_at(path.size_px, phase)[0]) / np.sqrt(box.width * box.height)
    ratio = np.ones(2)
    if scale < 0.5:
        small = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        ratio = np.array(small) / (image.shape[1], image.shape[0])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    at = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), -1)
    at -= _at(path.place, phase) * (WIDTH, HEIGHT)
    if bend is not None:
        at += cv2.resize(bend, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    at /= np.clip(1 + at @ tilt / (HEIGHT / 2), 0.4, 3.0)[..., None]
    inverse = np.linalg.inv(motion.turned(*_at(path.linear, phase)) * scale)
    source = ((at @ inverse.T + box.center_xy) * ratio - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
    seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderValue=0).astype(np.float32) / 255
    height, width = image.shape[:2]
    covered = ((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)).astype(np.float32)
    return seen, soften(alpha, 0.7), soften(covered, _EDGE_SIGMA_PX)


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
        DatasetError: no clip is left.
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
    tracker.start(Frame.from_bgr(clip.frames[0]), first)
    for frame, mask in zip(clip.frames[1:], clip.masks[1:], strict=True):
        (result,) = tracker.update(Frame.from_bgr(frame))
        lost = result.state == TargetState.LOST
        tracking = result.state == TargetState.TRACKING
        score = score_frame(mask, result.box, result.mask(*mask.shape).view(np.uint8), lost=lost)
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
        DatasetError: no frame counts.
    """
    rows = np.concatenate([np.empty((0, 5)), *clips])
    if not len(rows):
        raise DatasetError(f"{len(clips)} clips, none of which shows its object on the first frame")
    means = rows.mean(0)
    seen = ~np.isnan(rows[:, 1])
    means[1] = rows[seen, 1].mean() if seen.any() else np.nan
    return ClipScores(*(round(float(value), 4) for value in means))
