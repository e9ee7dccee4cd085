"""One look at a part of an image, and what the network sees there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..engines.base import Candidates
from ..geometry import polar
from ..geometry.box import Box
from ..geometry.crops import CropWindow

#: The outline has a say in the box if its own box overlaps it so much (IoU): both are of the whole
#: target then, and err independently. Else the outline has lost a part, as of a swan its neck.
_AGREE = 0.7


@dataclass(frozen=True)
class SearchCrop:
    """One search crop for one target.

    Attributes:
        window: where.
        width, height: size expected there, image pixels.
        window_weight: how much nearness to the window's centre counts.
        least_score: raw score from which a target that is not tracked may be what is seen there.
    """

    window: CropWindow
    width: float
    height: float
    window_weight: float
    least_score: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """The top candidate of one search crop, in its pixels; see :class:`Candidates`.

    Attributes:
        box: the network's, or the mean of that and the outline's if they agree.
    """

    search_crop: SearchCrop
    score: float
    quality: float
    box: Box
    center_xy: np.ndarray
    rays_px: np.ndarray

    @classmethod
    def of(cls, search_crop: SearchCrop, found: Candidates, i: int, id: int) -> Candidate:
        """Row ``i`` of an engine's answer.

        Raises:
            FloatingPointError: numbers that are not finite.
        """
        score, quality = float(found.score[i, 0]), float(found.quality[i, 0])
        geometry = (found.box_xyxy[i, 0], found.center_xy[i, 0], found.rays_px[i, 0])
        # A sum is finite only if all of its numbers are: one check instead of five.
        total = score + quality + sum(float(values.sum()) for values in geometry)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the network gave numbers that are not finite for target {id}: score {score}, "
                f"quality {quality}, box {geometry[0]}, center {geometry[1]}"
            )
        center_xy, rays_px = geometry[1].astype(np.float64), geometry[2].copy()
        box = _agreed(geometry[0], polar.polygon((center_xy[0], center_xy[1]), rays_px))
        return cls(search_crop, score, quality, box, center_xy, rays_px)


def _agreed(box_xyxy: np.ndarray, polygon_xy: np.ndarray) -> Box:
    """One box of the two answers to where the target is."""
    a, b = Box(*map(float, box_xyxy)), Box(*polar.box_of(polygon_xy))
    if a.iou(b) < _AGREE:
        return a
    return Box((a.x1 + b.x1) / 2, (a.y1 + b.y1) / 2, (a.x2 + b.x2) / 2, (a.y2 + b.y2) / 2)
