"""Whether a lost target is found again: ``siampolar train redetection``.

The clips are made of held-out photographs: an object moves, is out of sight for two seconds, and
comes back elsewhere in another size. Another object of similar colours may be in sight throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.results import TargetState
from siampolar_model.tracking.tracker import Tracker

from ..data.instances import Instance, Pool
from ..data.readers.base import Reader
from .paste import paste

WIDTH, HEIGHT, RATE_HZ = 640, 360, 30

#: Frames in sight, out of sight, and in sight again.
BEFORE, HIDDEN, AFTER = RATE_HZ, 2 * RATE_HZ, 2 * RATE_HZ

#: An object counts as found if it is tracked with FOUND_IOU on one of the first FOUND_FRAMES frames
#: after it came back.
FOUND_IOU = 0.5
FOUND_FRAMES = RATE_HZ * 3 // 2

#: It comes back at least this many pixels away: outside of where it was last searched for.
FAR_PX = 200.0


@dataclass(frozen=True, eq=False)
class _Path:
    """An object that moves evenly: places (2, 2), sides in pixels and angles at start and end."""

    instance: Instance
    place_xy: np.ndarray
    side_px: np.ndarray
    angle_rad: np.ndarray

    @classmethod
    def random(
        cls, rng: np.random.Generator, instance: Instance, start_xy: np.ndarray, side_px: float
    ) -> _Path:
        """From a place on, for about a quarter of the frame's height."""
        end = start_xy + rng.normal(0, HEIGHT / 8, 2)
        margin = side_px / 2
        end = np.clip(end, margin, np.array([WIDTH, HEIGHT]) - margin)
        sides = side_px * np.exp([0, rng.normal(0, 0.1)])
        angle = rng.normal(0, 0.1)
        return cls(
            instance,
            np.stack([start_xy, end]),
            sides,
            np.array([angle, angle + rng.normal(0, 0.1)]),
        )

    def draw(self, frame: np.ndarray, phase: float) -> np.ndarray:
        """Draw it on a frame, in place; its mask uint8 (H, W), 0 or 1."""
        weights = np.array([1 - phase, phase])
        place, side, angle = (
            weights @ self.place_xy,
            weights @ self.side_px,
            weights @ self.angle_rad,
        )
        return paste(frame, self.instance, place, float(side), float(angle))


@dataclass(frozen=True, eq=False)
class HidingClip:
    """A generated video; frames are drawn when they are asked for."""

    backdrop: np.ndarray
    shift_px: np.ndarray
    before: _Path
    after: _Path
    distractor: _Path | None

    def __len__(self) -> int:
        return BEFORE + HIDDEN + AFTER

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame uint8 (H, W, 3), BGR, and mask uint8 (H, W), 1 on the object, empty if hidden."""
        phase = t / (len(self) - 1)
        x, y = np.round(self.shift_px * phase).astype(int)
        frame = self.backdrop[y : y + HEIGHT, x : x + WIDTH].copy()
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if t < BEFORE:
            mask = self.before.draw(frame, t / BEFORE)
        elif t >= BEFORE + HIDDEN:
            mask = self.after.draw(frame, (t - BEFORE - HIDDEN) / AFTER)
        if self.distractor is not None:
            mask[self.distractor.draw(frame, phase) > 0] = 0
        gain = 1 + 0.1 * np.sin(2 * np.pi * phase)
        return cv2.convertScaleAbs(frame, alpha=gain), mask


def render_clip(reader: Reader, seed: int, *, distractor: bool) -> HidingClip:
    """A clip that is a pure function of the photographs and the seed."""
    rng = np.random.default_rng([seed, 78])
    pool = Pool(reader)
    target = pool.instance(rng)
    photo = pool.background(rng, target)
    zoom = 1.15 * max(WIDTH / photo.shape[1], HEIGHT / photo.shape[0])
    backdrop = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    room = np.array([backdrop.shape[1] - WIDTH, backdrop.shape[0] - HEIGHT])
    side = float(np.exp(rng.uniform(np.log(60), np.log(120))))
    first = _place(rng, side)
    before = _Path.random(rng, target, first, side)
    side_after = side * float(np.exp(rng.uniform(-0.25, 0.25)))
    second = _place(rng, side_after, besides=[before.place_xy[1]])
    after = _Path.random(rng, target, second, side_after)
    other = None
    if distractor:
        shown = _most_similar(rng, pool, target)
        third = _place(rng, side, besides=[first, second])
        other = _Path.random(rng, shown, third, side)
    return HidingClip(backdrop, np.minimum(room, 40) * rng.random(2), before, after, other)


def _most_similar(rng: np.random.Generator, pool: Pool, target: Instance) -> Instance:
    """Of two dozen objects the one whose colours are most like the target's."""
    others = [pool.other(rng, target, target, similar=True) for _ in range(24)]
    colours = _colours(target)
    return max(others, key=lambda other: np.minimum(_colours(other), colours).sum())


def _colours(instance: Instance) -> np.ndarray:
    """Histogram of the object's colours in CIELAB, 8 parts an axis, adding up to 1."""
    image = cv2.cvtColor(instance.source.image, cv2.COLOR_BGR2LAB)
    counts = cv2.calcHist([image], [0, 1, 2], instance.mask, [8] * 3, [0, 256] * 3)
    return counts / counts.sum()


def _place(
    rng: np.random.Generator, side_px: float, besides: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """A place inside the frame, as far from others as a dozen draws give, FAR_PX if they do."""
    margin = side_px * 0.7
    places = rng.uniform(margin, np.array([WIDTH, HEIGHT]) - margin, (50, 2))
    if not len(besides):
        return places[0]
    away = np.min([np.linalg.norm(places - other, axis=1) for other in besides], axis=0)
    far = np.flatnonzero(away >= FAR_PX)
    return places[far[0] if len(far) else int(away.argmax())]


@dataclass(frozen=True)
class Outcome:
    """What a tracker made of one clip.

    Attributes:
        tracked_before: share of the frames before hiding that are tracked with FOUND_IOU.
        false: share of the hidden frames called tracking.
        found_after: frames from coming back to being found; None: not within FOUND_FRAMES.
    """

    tracked_before: float
    false: float
    found_after: int | None


def judge(tracker: Tracker, clip: HidingClip) -> Outcome:
    """Track a clip from the box of its first mask.

    Raises:
        ValueError: the object is not seen on the first frame.
    """
    tracker.reset()
    frame, mask = clip.frame(0)
    box = mask_box(mask)
    if box is None:
        raise ValueError("the object of a clip is not seen on its first frame")
    tracker.start(frame, box)
    right, false = 0, 0
    for t in range(1, len(clip)):
        frame, mask = clip.frame(t)
        (result,) = tracker.update(frame, elapsed_s=1 / RATE_HZ)
        tracking = result.state == TargetState.TRACKING
        true_box = mask_box(mask)
        good = tracking and true_box is not None and result.box.iou(true_box) >= FOUND_IOU
        since = t - BEFORE - HIDDEN
        if t < BEFORE:
            right += good
        elif since < 0:
            false += tracking
        elif since >= FOUND_FRAMES:
            break
        elif good:
            return Outcome(right / (BEFORE - 1), false / HIDDEN, since)
    return Outcome(right / (BEFORE - 1), false / HIDDEN, None)


@dataclass(frozen=True)
class Figures:
    """Over all clips of a kind.

    Attributes:
        found: share of the clips in which the target is found again in time.
        median_s: seconds until then, of those.
        false: share of the hidden frames called tracking.
        tracked_before: share of the frames before hiding that are tracked with FOUND_IOU.
    """

    found: float
    median_s: float
    false: float
    tracked_before: float


def measure(tracker: Tracker, reader: Reader, clips: int, *, distractor: bool) -> Figures:
    """Judge clips with the seeds 0, 1, ..."""
    outcomes = [
        judge(tracker, render_clip(reader, seed, distractor=distractor)) for seed in range(clips)
    ]
    times = [o.found_after / RATE_HZ for o in outcomes if o.found_after is not None]
    return Figures(
        found=len(times) / clips,
        median_s=float(np.median(times)) if times else float("nan"),
        false=float(np.mean([o.false for o in outcomes])),
        tracked_before=float(np.mean([o.tracked_before for o in outcomes])),
    )
