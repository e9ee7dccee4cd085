"""How far the results of one engine are from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engines.base import Candidates
from ..geometry import polar
from ..geometry.box import Box


@dataclass(frozen=True)
class Difference:
    """Means over the best candidates of all pairs of results.

    Attributes:
        score: absolute difference of the raw scores.
        box_iou, outline_iou: IoU of the boxes and of the filled outlines, in [0, 1].
    """

    score: float
    box_iou: float
    outline_iou: float


def difference(actual: Sequence[Candidates], expected: Sequence[Candidates]) -> Difference:
    """Compare results for the same crops, each for one target."""
    rows = []
    for a, e in zip(actual, expected, strict=True):
        box, other = (Box(*map(float, one.box_xyxy[0, 0])) for one in (a, e))
        score = abs(float(a.score[0, 0]) - float(e.score[0, 0]))
        rows.append((score, box.iou(other), _outline_iou(a, e)))
    return Difference(*(float(value) for value in np.mean(rows, axis=0)))


def _outline_iou(a: Candidates, b: Candidates) -> float:
    """Rasterized in search-crop pixels; parts left of or above the crop are ignored."""
    outlines = [polar.polygon(one.center_xy[0, 0], one.rays_px[0, 0]) for one in (a, b)]
    side = int(np.ceil(max(outline.max() for outline in outlines))) + 1
    first, second = (polar.fill(outline, side, side) > 0 for outline in outlines)
    return float((first & second).sum() / max((first | second).sum(), 1))
