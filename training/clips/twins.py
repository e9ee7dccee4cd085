"""Whether targets stay on their own object among identical ones.

Clips made of held-out photographs: three to six copies of one object move and cross, and some are
hidden for up to one second. Every copy is a target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_model.tracking.tracker import Tracker

from ..data.augment.sharpness import compress
from ..data.instances import Instance, Pool
from ..data.readers.base import Reader
from .paste import paste

WIDTH, HEIGHT, RATE_HZ = 640, 360, 30
FRAMES = 4 * RATE_HZ

#: How many copies there are, and how long one that is hidden is out of sight, in seconds.
COPIES = (3, 6)
HIDDEN_S = (0.3, 0.95)

#: A target is on a copy if their boxes overlap by this IoU.
ON_IOU = 0.3

#: A target was last on its own copy where their boxes overlap by this IoU.
_OWN_IOU = 0.5

#: Share of a copy that is in sight on the first and the last frame.
_IN_SIGHT = 0.8

#: Between the middles of two copies at the start and at the end, as a multiple of their side.
_APART = 1.7

#: Speed at which what hides a copy passes it, in copies per second.
_PASSING = 2.5

_NOISE, _JPEG_QUALITY = 3.0, 70


@dataclass(frozen=True, eq=False)
class _Copy:
    """One of the objects: a quadratic Bezier curve (3, 2) in pixels, and angles at both ends."""

    places_xy: np.ndarray
    angles_rad: tuple[float, float]

    def place(self, phase: float) -> np.ndarray:
        weights = np.array([(1 - phase) ** 2, 2 * phase * (1 - phase), phase**2])
        return weights @ self.places_xy


@dataclass(frozen=True, eq=False)
class _Screen:
    """A piece of another photograph that passes in front of one copy.

    Attributes:
        copy: the index of that copy.
        image: uint8 (h, w, 3).
        middle: phase of the clip at which it is right in front of the copy.
        speed_px: relative to the copy, float64 (2,), pixels from the first frame to the last.
    """

    copy: int
    image: np.ndarray
    middle: float
    speed_px: np.ndarray

    def draw(self, frame: np.ndarray, place_xy: np.ndarray, phase: float) -> np.ndarray:
        """Draw it on a frame, in place; where it is, bool (H, W)."""
        height, width = self.image.shape[:2]
        middle = place_xy + self.speed_px * (phase - self.middle)
        x, y = np.round(middle - (width / 2, height / 2)).astype(int)
        covered = np.zeros(frame.shape[:2], bool)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, WIDTH), min(y + height, HEIGHT)
        if x0 < x1 and y0 < y1:
            frame[y0:y1, x0:x1] = self.image[y0 - y : y1 - y, x0 - x : x1 - x]
            covered[y0:y1, x0:x1] = True
        return covered


@dataclass(frozen=True, eq=False)
class TwinClip:
    """A generated video; frames are drawn when they are asked for."""

    seed: int
    instance: Instance
    side_px: float
    backdrop: np.ndarray
    shift_px: np.ndarray
    copies: tuple[_Copy, ...]
    screens: tuple[_Screen, ...]

    def __len__(self) -> int:
        return FRAMES

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame uint8 (H, W, 3), BGR, what is seen of each copy, uint8 (copies, H, W), 0 or 1, and
        which share of it that is, float64 (copies,)."""
        frame, masks, shares = self._drawn(t)
        rng = np.random.default_rng([self.seed, 80, t])
        light = 1 + 0.1 * np.sin(2 * np.pi * t / FRAMES)
        noisy = frame * light + rng.normal(0, _NOISE, frame.shape)
        return compress(np.clip(noisy, 0, 255).astype(np.uint8), _JPEG_QUALITY), masks, shares

    def in_sight(self, t: int) -> np.ndarray:
        """The share of each copy that is seen, float64 (copies,)."""
        return self._drawn(t)[2]

    def _drawn(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        phase = t / (FRAMES - 1)
        x, y = np.round(self.shift_px * phase).astype(int)
        frame = self.backdrop[y : y + HEIGHT, x : x + WIDTH].copy()
        masks = np.zeros((len(self.copies), HEIGHT, WIDTH), np.uint8)
        areas = np.zeros(len(self.copies))
        for i, copy in enumerate(self.copies):
            first, last = copy.angles_rad
            angle = first + (last - first) * phase
            masks[i] = paste(frame, self.instance, copy.place(phase), self.side_px, angle)
            areas[i] = masks[i].sum()
            masks[:i, masks[i] > 0] = 0
        for screen in self.screens:
            covered = screen.draw(frame, self.copies[screen.copy].place(phase), phase)
            masks[:, covered] = 0
        return frame, masks, masks.sum((1, 2)) / np.maximum(areas, 1)


def render_clip(reader: Reader, seed: int) -> TwinClip:
    """A clip that is a pure function of the photographs and the seed.

    All copies are well in sight on the first and on the last frame, and apart from each other.
    """
    pool = Pool(reader)
    attempt = 0
    while True:
        clip = _draw_lots(pool, np.random.default_rng([seed, 79, attempt]), seed)
        if min(clip.in_sight(0).min(), clip.in_sight(FRAMES - 1).min()) >= _IN_SIGHT:
            return clip
        attempt += 1


def _draw_lots(pool: Pool, rng: np.random.Generator, seed: int) -> TwinClip:
    instance = _cut_out(pool.instance(rng))
    backdrop = _covering(pool.background(rng, instance))
    room = np.array([backdrop.shape[1] - WIDTH, backdrop.shape[0] - HEIGHT])
    side = float(np.exp(rng.uniform(np.log(35), np.log(75))))
    count = int(rng.integers(COPIES[0], COPIES[1] + 1))
    places = _apart(rng, side, count)
    # Each goes to where another one was, so that their ways cross.
    ends = places[np.roll(rng.permutation(count), 1)] + rng.normal(0, side / 8, (count, 2))
    bends = (places + ends) / 2 + rng.normal(0, HEIGHT / 6, (count, 2))
    angles = rng.normal(0, 0.1, (count, 2))
    copies = tuple(
        _Copy(np.stack([places[i], bends[i], ends[i]]), (float(angles[i, 0]), float(angles[i, 1])))
        for i in range(count)
    )
    hidden = rng.permutation(count)[: int(rng.integers(1, count // 2 + 1))]
    screens = tuple(_screen(rng, pool, instance, side, int(i)) for i in hidden)
    return TwinClip(
        seed, instance, side, backdrop, np.minimum(room, 40) * rng.random(2), copies, screens
    )


def _cut_out(instance: Instance) -> Instance:
    """The same object on its part of the photograph alone, which is drawn faster."""
    height, width = instance.mask.shape
    x0, y0, x1, y1 = (round(float(value)) for value in instance.box.as_xyxy())
    part = np.s_[max(y0 - 8, 0) : min(y1 + 8, height), max(x0 - 8, 0) : min(x1 + 8, width)]
    source, labels = instance.source, instance.source.labels
    assert labels is not None, "an object stands in the labels"
    cut = Instance.of(replace(source, image=source.image[part], labels=labels[part]),
                      instance.value)  # fmt: skip
    assert cut is not None, "its area is what it was"
    return cut


def _screen(
    rng: np.random.Generator, pool: Pool, instance: Instance, side_px: float, copy: int
) -> _Screen:
    box = instance.box
    extent = np.array([box.width, box.height]) * side_px / np.sqrt(box.area) * 1.2
    axis = int(rng.integers(2))
    hidden_s = rng.uniform(*HIDDEN_S)
    direction = 1 if rng.random() < 0.5 else -1
    speed = np.zeros(2)
    speed[axis] = direction * _PASSING * extent[axis] * FRAMES / RATE_HZ
    size = extent.copy()
    size[axis] += abs(speed[axis]) * hidden_s * RATE_HZ / FRAMES
    width, height = (max(int(value), 4) for value in np.round(size))
    photo = _covering(pool.background(rng, instance))
    x, y = (int(rng.integers(max(have - want, 0) + 1)) for have, want in
            zip(photo.shape[1::-1], (width, height), strict=True))  # fmt: skip
    image = cv2.resize(photo[y : y + height, x : x + width], (width, height))
    return _Screen(copy, image, rng.uniform(0.3, 0.7), speed)


def _covering(photo: np.ndarray) -> np.ndarray:
    zoom = 1.15 * max(WIDTH / photo.shape[1], HEIGHT / photo.shape[0])
    return cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)


def _apart(rng: np.random.Generator, side_px: float, count: int) -> np.ndarray:
    """Places inside the frame, float64 (count, 2), at least ``_APART`` sides from each other."""
    margin = side_px * 0.8
    while True:
        places = rng.uniform(margin, np.array([WIDTH, HEIGHT]) - margin, (count, 2))
        distances = np.linalg.norm(places[:, None] - places[None], axis=2)
        if distances[~np.eye(count, dtype=bool)].min() >= _APART * side_px:
            return places


@dataclass(frozen=True)
class TwinOutcome:
    """What became of one target of one clip.

    Attributes:
        end: "own" copy, "another" copy, "lost", or "elsewhere" on the last frame.
        called: it was uncertain or lost on a frame after it was last on its own copy.
        tracking: share of the frames on which its copy is well in sight that are called tracking.
    """

    end: str
    called: bool
    tracking: float


def judge(
    tracker: Tracker,
    clip: TwinClip,
    on_frame: Callable[[int, np.ndarray, list[Target]], None] = lambda t, frame, targets: None,
) -> list[TwinOutcome]:
    """Follow every copy of a clip from the box of what is seen of it on the first frame.

    Args:
        on_frame: called after every frame with its index, its image and its targets.
    """
    tracker.reset()
    frame, masks, _ = clip.frame(0)
    ids = [tracker.start(frame, _need_box(mask)) for mask in masks]
    states = np.full((FRAMES, len(ids)), TargetState.TRACKING)
    own_iou, seen = np.ones(states.shape), np.ones(states.shape)
    for t in range(1, FRAMES):
        frame, masks, seen[t] = clip.frame(t)
        targets = tracker.update(frame, elapsed_s=1 / RATE_HZ)
        on_frame(t, frame, targets)
        boxes = [mask_box(mask) for mask in masks]
        overlaps = np.array([[box.iou(target.box) if box else 0.0 for box in boxes]
                             for target in targets])  # fmt: skip
        states[t] = [target.state for target in targets]
        own_iou[t] = np.diag(overlaps)
    outcomes = []
    for i in range(len(ids)):
        last_own = int(np.flatnonzero(own_iou[:, i] >= _OWN_IOU)[-1])
        called = bool((states[last_own + 1 :, i] != TargetState.TRACKING).any())
        in_sight = seen[:, i] >= _IN_SIGHT
        tracking = float((states[in_sight, i] == TargetState.TRACKING).mean())
        outcomes.append(TwinOutcome(_end(states[-1, i], overlaps[i], i), called, tracking))
    return outcomes


def _end(state: int, overlaps: np.ndarray, own: int) -> str:
    if state == TargetState.LOST:
        return "lost"
    best = int(overlaps.argmax())
    if overlaps[best] < ON_IOU:
        return "elsewhere"
    return "own" if best == own else "another"


def _need_box(mask: np.ndarray) -> Box:
    box = mask_box(mask)
    assert box is not None, "all copies are in sight on the first frame"
    return box


@dataclass(frozen=True)
class TwinFigures:
    """Over all targets of all clips, as shares.

    Attributes:
        targets: how many there are.
        own, another, lost, elsewhere: where they end.
        called: of those that end on another copy, how many were called uncertain or lost after
            they were last on their own; NaN if none ends there.
        tracking: of the frames on which the own copy is well in sight, how many are called
            tracking. A tracker that doubts everything fails here.
    """

    targets: int
    own: float
    another: float
    lost: float
    elsewhere: float
    called: float
    tracking: float


def summarize(outcomes: Sequence[TwinOutcome]) -> TwinFigures:
    ends = [one.end for one in outcomes]
    called = [one.called for one in outcomes if one.end == "another"]
    return TwinFigures(
        targets=len(outcomes),
        **{end: ends.count(end) / len(ends) for end in ("own", "another", "lost", "elsewhere")},
        called=float(np.mean(called)) if called else float("nan"),
        tracking=float(np.mean([one.tracking for one in outcomes])),
    )


def measure(
    tracker: Tracker, reader: Reader, clips: int, *, first_seed: int = 0,
    on_clip: Callable[[], None] = lambda: None,
) -> TwinFigures:  # fmt: skip
    """Judge clips with the seeds ``first_seed``, ``first_seed + 1``, ..."""
    outcomes: list[TwinOutcome] = []
    for seed in range(first_seed, first_seed + clips):
        outcomes += judge(tracker, render_clip(reader, seed))
        on_clip()
    return summarize(outcomes)
