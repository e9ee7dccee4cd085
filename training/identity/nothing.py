"""Boxes on nothing: whether the tracker warns of them, or soon says that it does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.tracker import Tracker

from ..data.readers.base import Reader

#: How long the tracker may take to doubt a box on nothing, in seconds, and the rate of the videos.
DOUBT_S, RATE_HZ = 2.0, 24

#: Sides of the boxes, as the root of their area in pixels, and how far they are from any object.
_SIDES_PX, _CLEAR_PX = (24.0, 140.0), 12

_TRIES = 300


@dataclass(frozen=True)
class NothingBox:
    """A box that shows no annotated object on the first frames of a video."""

    sequence: int
    box: Box


def nothing_boxes(reader: Reader, count: int, seed: int = 0) -> list[NothingBox]:
    """Boxes at random places of a video's first frame that no annotated object is near during
    the first two seconds, spread evenly over the videos.

    A box may show a tree or a wall: something to hold on to, but nothing that anybody would
    follow.
    """
    found: list[NothingBox] = []
    for sequence in range(len(reader)):
        rng = np.random.default_rng([seed, 81, sequence])
        covered = _covered(reader, sequence)
        wanted = count * (sequence + 1) // len(reader) - len(found)
        for _ in range(_TRIES):
            if wanted <= 0:
                break
            box = _random_box(rng, covered.shape[1], covered.shape[0])
            x1, y1, x2, y2 = (int(value) for value in box.as_xyxy())
            if not covered[y1 : y2 + 1, x1 : x2 + 1].any():
                found.append(NothingBox(sequence, box))
                wanted -= 1
    return found


def _covered(reader: Reader, sequence: int) -> np.ndarray:
    """Where objects are during the first two seconds, uint8 (H, W), with some room about them."""
    frames = range(0, min(reader.frames(sequence), round(DOUBT_S * RATE_HZ) + 1), 6)
    labels = [reader.read(sequence, t).labels for t in frames]
    covered = np.any([one > 0 for one in labels if one is not None], axis=0).astype(np.uint8)
    return cv2.dilate(covered, np.ones((2 * _CLEAR_PX + 1,) * 2, np.uint8))


def _random_box(rng: np.random.Generator, width: int, height: int) -> Box:
    side = float(np.exp(rng.uniform(*np.log(_SIDES_PX))))
    aspect = float(np.exp(rng.uniform(-0.6, 0.6)))
    w, h = side * aspect**0.5, side / aspect**0.5
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return Box.from_xywh(x, y, w, h)


@dataclass(frozen=True)
class NothingOutcome:
    """What became of a box on nothing.

    Attributes:
        warning: what the start said; empty: nothing.
        doubted_s: seconds until it was uncertain or lost; None: not within two seconds.
    """

    warning: str
    doubted_s: float | None

    @property
    def honest(self) -> bool:
        return bool(self.warning) or self.doubted_s is not None


def judge(tracker: Tracker, reader: Reader, one: NothingBox) -> NothingOutcome:
    """Follow a box for two seconds, or to the end of its video."""
    tracker.reset()
    image = reader.read(one.sequence, 0).image
    warning = tracker.start_warning(image, tracker.start(image, one.box))
    for t in range(1, min(reader.frames(one.sequence), round(DOUBT_S * RATE_HZ) + 1)):
        image = reader.read(one.sequence, t).image
        (target,) = tracker.update(image, elapsed_s=1 / RATE_HZ)
        if target.state != TargetState.TRACKING:
            return NothingOutcome(warning, t / RATE_HZ)
    return NothingOutcome(warning, None)


def first_objects(reader: Reader) -> Iterator[tuple[str, np.ndarray, Box]]:
    """Every object on the first frame of every video: its name, the image and its box."""
    for sequence in range(len(reader)):
        image = reader.read(sequence, 0)
        for value in image.objects:
            box = mask_box(image.mask(value))
            if box is not None:
                yield f"{reader.name(sequence)}/{value}", image.image, box


@dataclass(frozen=True)
class NothingFigures:
    """Over all boxes.

    Attributes:
        boxes: how many on nothing.
        honest: share of them warned of, or uncertain or lost within two seconds.
        warned: share of them warned of at the start.
        objects: how many true objects were started.
        false_warnings: names of those that were warned of, with the warning.
    """

    boxes: int
    honest: float
    warned: float
    objects: int
    false_warnings: tuple[str, ...]


def measure(
    tracker: Tracker,
    reader: Reader,
    count: int,
    *,
    seed: int = 0,
    on_box: Callable[[], None] = lambda: None,
) -> NothingFigures:
    """Judge boxes on nothing, and start every true object once."""
    outcomes = []
    for one in nothing_boxes(reader, count, seed):
        outcomes.append(judge(tracker, reader, one))
        on_box()
    objects, false = 0, []
    for name, image, box in first_objects(reader):
        tracker.reset()
        warning = tracker.start_warning(image, tracker.start(image, box))
        objects += 1
        if warning:
            false.append(f"{name}: {warning}")
    tracker.reset()
    return NothingFigures(
        len(outcomes),
        float(np.mean([one.honest for one in outcomes])),
        float(np.mean([bool(one.warning) for one in outcomes])),
        objects,
        tuple(false),
    )
