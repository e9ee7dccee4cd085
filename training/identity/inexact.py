"""Starting boxes drawn inexactly: how much of the outline's quality that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from siampolar_model.evaluation.metrics import mask_box, region_similarity
from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.tracker import Tracker

from ..data.readers.base import Reader


@dataclass(frozen=True)
class Inexact:
    """A way to draw a box inexactly: its sides times ``scale``, shifted by parts of its sides."""

    name: str
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def applied(self, box: Box, width: int, height: int) -> Box:
        """The inexact box, clipped to an image."""
        x, y = box.center_xy
        x, y = x + self.shift[0] * box.width, y + self.shift[1] * box.height
        return Box.from_center(x, y, box.width * self.scale, box.height * self.scale).clip(
            width, height
        )


EXACT = Inexact("exact")

#: What is measured: 25 % too small or too large, or shifted by 15 % to any of four sides.
WAYS = (
    Inexact("25 % too small", scale=0.75),
    Inexact("25 % too large", scale=1.25),
    Inexact("15 % to the left", shift=(-0.15, 0.0)),
    Inexact("15 % to the right", shift=(0.15, 0.0)),
    Inexact("15 % up", shift=(0.0, -0.15)),
    Inexact("15 % down", shift=(0.0, 0.15)),
)


@dataclass(frozen=True)
class Fall:
    """Mean J over videos from exact boxes and from boxes drawn in one way, both in [0, 1]."""

    way: Inexact
    exact: float
    inexact: float


def measure(
    tracker: Tracker,
    reader: Reader,
    frames: int,
    *,
    on_video: Callable[[], None] = lambda: None,
) -> list[Fall]:
    """Track the first frames of every video from an exact box and from those of :data:`WAYS`.

    All start as targets of their own tracker, one after the other, so that none stands in
    another's way.
    """
    j = np.full((len(reader), 1 + len(WAYS)), np.nan)
    for sequence in range(len(reader)):
        images = [reader.read(sequence, t) for t in range(min(frames, reader.frames(sequence)))]
        if not images[0].objects:
            continue
        masks = [(one.mask(images[0].objects[0]) > 0).astype(np.uint8) for one in images]
        box = mask_box(masks[0])
        assert box is not None, "an object of an image has pixels"
        for column, way in enumerate((EXACT, *WAYS)):
            started = way.applied(box, masks[0].shape[1], masks[0].shape[0])
            j[sequence, column] = _mean_j(tracker, [one.image for one in images], masks, started)
        on_video()
    mean = np.nanmean(j, 0)
    return [Fall(way, float(mean[0]), float(mean[1 + i])) for i, way in enumerate(WAYS)]


def _mean_j(tracker: Tracker, images: list[np.ndarray], masks: list[np.ndarray], box: Box) -> float:
    tracker.reset()
    tracker.start(images[0], box)
    j = []
    for image, mask in zip(images[1:], masks[1:], strict=True):
        (target,) = tracker.update(image)
        lost = target.state == TargetState.LOST
        pred = np.zeros_like(mask) if lost else target.mask(*mask.shape).astype(np.uint8)
        j.append(region_similarity(mask, pred))
    tracker.reset()
    return float(np.mean(j))
