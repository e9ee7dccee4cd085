"""How much there is to hold on to in the box that a target was started from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from .search_crop import Candidate

# Chosen on the first frames of DAVIS train and on held-out photographs, see docs/identity.md.

#: An object that is found again on its own starting image scores at least this much.
LEAST_SCORE = 0.88

#: Share of the box that the outline covers; below it, most of the box is background.
LEAST_COVERED = 0.15

#: Another place whose score is this share of the target's own looks like it.
ALIKE = 0.8

#: A candidate whose box overlaps the starting box by less than this IoU is another place.
_ELSEWHERE_IOU = 0.3


def start_warning(box: Box, candidates: Sequence[Candidate]) -> str:
    """What a user should know about a starting box; empty if it is good.

    Args:
        box: the starting box, in image pixels.
        candidates: what was found for the new target on its starting image, around the box; the
            network's choice first.
    """
    chosen = candidates[0]
    places = [one.image_box for one in candidates]
    if chosen.score < LEAST_SCORE or places[0].iou(box) < _ELSEWHERE_IOU:
        return "little to hold on to in this box"
    if _outline_area(chosen) < LEAST_COVERED * box.area:
        return "most of this box is background"
    others = [one.score for one, place in zip(candidates, places, strict=True)
              if place.iou(box) < _ELSEWHERE_IOU]  # fmt: skip
    if max(others, default=0.0) >= ALIKE * chosen.score:
        return "a similar object is in sight"
    return ""


def _outline_area(candidate: Candidate) -> float:
    """Of its outline, in square pixels of the image."""
    center_xy = (float(candidate.center_xy[0]), float(candidate.center_xy[1]))
    outline = polar.polygon(center_xy, candidate.rays_px).astype(np.float32)
    return cv2.contourArea(outline) / candidate.search_crop.window.scale**2
