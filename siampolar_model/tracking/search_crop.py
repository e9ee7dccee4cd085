"""A crop of an image that is searched for a target, and what the network finds in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..engines.base import Candidates
from ..geometry import polar
from ..geometry.box import Box
from ..geometry.crops import CropWindow

#: If the outline's bounding box and the predicted box overlap by at least this IoU, they are
#: averaged: their errors are independent. If not, the outline probably misses a part (a swan's
#: neck), and the predicted box is kept.
_AGREE = 0.7


#: Candidates besides the network's choice count from this score on.
LEAST_SCORE = 0.3


@dataclass(frozen=True)
class SearchCrop:
    """One search crop for one target.

    Attributes:
        window: the part of the image.
        width, height: expected size of the target, in image pixels.
        window_weight: how much a candidate's nearness to the window's centre counts.
        least_score: raw score from which a candidate may be the target while it is not tracked.
    """

    window: CropWindow
    width: float
    height: float
    window_weight: float
    least_score: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate in one search crop, in crop pixels.

    Attributes:
        search_crop: the crop that it was found in.
        score: raw classification score, [0, 1].
        quality: predicted IoU of the outline with the object, [0, 1].
        box: the predicted box, or its mean with the outline's bounding box if the two agree.
        center_xy: float64 (2,), origin of the rays.
        rays_px: float32 (N,), lengths of the rays.
        agreement: IoU of the predicted box with the outline's bounding box.
    """

    search_crop: SearchCrop
    score: float
    quality: float
    box: Box
    center_xy: np.ndarray
    rays_px: np.ndarray
    agreement: float = 1.0

    @cached_property
    def image_box(self) -> Box:
        """The box in image pixels."""
        return self.search_crop.window.box_to_image(self.box)

    @classmethod
    def of(
        cls, search_crop: SearchCrop, found: Candidates, i: int, id: int, rank: int = 0
    ) -> Candidate:
        """Row ``i`` of what an engine found.

        Args:
            id: the target, for the message of an error.
            rank: which candidate of the row; 0 is the network's choice.

        Raises:
            FloatingPointError: the network gave numbers that are not finite.
        """
        score, quality = float(found.score[i, rank]), float(found.quality[i, rank])
        geometry = (found.box_xyxy[i, rank], found.center_xy[i, rank], found.rays_px[i, rank])
        # A sum is finite only if all of its numbers are, so one check does for all.
        total = score + quality + sum(float(values.sum()) for values in geometry)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the network gave numbers that are not finite for target {id}: score {score}, "
                f"quality {quality}, box {geometry[0]}, center {geometry[1]}"
            )
        center_xy, rays_px = geometry[1].astype(np.float64), geometry[2].copy()
        predicted = Box(*map(float, geometry[0]))
        outline = Box(*polar.box_of(polar.polygon((center_xy[0], center_xy[1]), rays_px)))
        agreement = predicted.iou(outline)
        box = _mean(predicted, outline) if agreement >= _AGREE else predicted
        return cls(search_crop, score, quality, box, center_xy, rays_px, agreement)


def candidates_of(search_crop: SearchCrop, found: Candidates, i: int, id: int) -> list[Candidate]:
    """All candidates of row ``i``, the network's choice first.

    Raises:
        FloatingPointError: see :meth:`Candidate.of`.
    """
    first = Candidate.of(search_crop, found, i, id)
    others = (
        Candidate.of(search_crop, found, i, id, rank)
        for rank in range(1, found.score.shape[1])
        if found.score[i, rank] >= LEAST_SCORE
    )
    return [first, *others]


def _mean(a: Box, b: Box) -> Box:
    return Box((a.x1 + b.x1) / 2, (a.y1 + b.y1) / 2, (a.x2 + b.x2) / 2, (a.y2 + b.y2) / 2)
