"""A crop of an image that is searched for a target, and what the network finds in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..engines.base import Candidates, Prior
from ..geometry import polar
from ..geometry.box import Box
from ..geometry.crops import CropWindow
from ..geometry.soft_mask import SoftMask

#: If the bounding boxes of mask and outline and the predicted box overlap by this IoU or more, they
#: are averaged: their errors are independent. If not, the outline probably misses a part (a swan's
#: neck), and the predicted box is kept.
AGREE = 0.7

#: How far beyond the box a mask may reach: this share of half the box's side, plus this many pixels
#: of the search crop, as far as rays do.
_BEYOND, _BEYOND_PX = 0.2, 4.0


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

    def prior(self, scale_penalty: float) -> Prior:
        """Its row of the graph's input; the target is expected in the middle of the crop."""
        scale, middle = self.window.scale, self.window.size / 2
        return Prior(
            window_weight=self.window_weight,
            scale_penalty=scale_penalty,
            width=self.width * scale,
            height=self.height * scale,
            center_x=middle,
            center_y=middle,
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate in one search crop, in crop pixels.

    Attributes:
        search_crop: the crop that it was found in.
        score: raw classification score, [0, 1].
        quality: predicted IoU of the outline with the object, [0, 1].
        box: the predicted box, or its mean with those of mask and outline if they agree.
        center_xy: float64 (2,), origin of the rays.
        rays_px: float32 (N,), lengths of the rays.
        mask: the network's own mask; None if it gives none.
    """

    search_crop: SearchCrop
    score: float
    quality: float
    box: Box
    center_xy: np.ndarray
    rays_px: np.ndarray
    mask: SoftMask | None = None

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
        geometry = [found.box_xyxy[i, rank], found.center_xy[i, rank], found.rays_px[i, rank]]
        if found.mask is not None:
            geometry.append(found.mask[i])
        # A sum is finite only if all of its numbers are, so one check does for all.
        total = score + quality + sum(float(values.sum()) for values in geometry)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the network gave numbers that are not finite for target {id}: score {score}, "
                f"quality {quality}, box {geometry[0]}, center {geometry[1]}"
            )
        center_xy, rays_px = geometry[1].astype(np.float64), geometry[2].copy()
        predicted = Box(*map(float, geometry[0]))
        mask = _mask_near(found, i, rank, predicted, search_crop.window.size)
        outline = Box(*polar.box_of(polar.polygon((center_xy[0], center_xy[1]), rays_px)))
        drawn = mask.bounding_box() if mask is not None else None
        box = _agreed(predicted, outline if drawn is None else _agreed(drawn, outline))
        return cls(search_crop, score, quality, box, center_xy, rays_px, mask)


def _mask_near(found: Candidates, i: int, rank: int, box: Box, crop_px: int) -> SoftMask | None:
    """The part of row ``i``'s mask in a candidate's box of the crop, or a little beyond."""
    if found.mask is None or found.mask_gain is None:
        return None
    whole = found.mask[i]
    cell_px = -(-crop_px // whole.shape[0])  # whole pixels, so that the last cell may reach beyond
    margin_x, margin_y = (_BEYOND * side / 2 + _BEYOND_PX for side in (box.width, box.height))
    left, right = _cells(box.x1 - margin_x, box.x2 + margin_x, cell_px, whole.shape[1])
    top, bottom = _cells(box.y1 - margin_y, box.y2 + margin_y, cell_px, whole.shape[0])
    values = whole[top:bottom, left:right] * found.mask_gain[i, rank]
    edges = (edge * cell_px for edge in (left, top, right, bottom))
    return SoftMask(np.minimum(values, np.float32(1)), Box(*edges))


def _cells(low: float, high: float, cell_px: int, count: int) -> tuple[int, int]:
    """The cells that an interval of pixels touches."""
    return max(0, math.floor(low / cell_px)), min(count, math.ceil(high / cell_px))


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


def _agreed(a: Box, b: Box) -> Box:
    """The first box, or the mean of both if they agree."""
    if a.iou(b) < AGREE:
        return a
    return Box((a.x1 + b.x1) / 2, (a.y1 + b.y1) / 2, (a.x2 + b.x2) / 2, (a.y2 + b.y2) / 2)
