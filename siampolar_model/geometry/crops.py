"""Square template and search crops around a target, and their inverses.

A crop is a square window of the image, resampled to ``size`` x ``size`` pixels. Both spaces
are continuous (see results.py), so the map is one scale and one shift, without half-pixel terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .box import Box

#: Context around the box in a template crop: side = sqrt((w + c*(w+h)) * (h + c*(w+h)))
#: with c = 0.5, as in SiamFC (Bertinetto et al. 2016, section 2.4 with p = (w + h) / 4 a side).
CONTEXT = 0.5


def context_side(width: float, height: float) -> float:
    """Side in pixels of the square template window around a box of this size."""
    pad = CONTEXT * (width + height)
    return math.sqrt((width + pad) * (height + pad))


@dataclass(frozen=True)
class CropWindow:
    """A square window of ``side`` image pixels about (cx, cy), seen as ``size`` crop pixels."""

    cx: float
    cy: float
    side: float
    size: int

    @property
    def scale(self) -> float:
        """Crop pixels per image pixel."""
        return self.size / self.side

    @property
    def origin_xy(self) -> tuple[float, float]:
        """Top-left corner of the window in image pixels."""
        return self.cx - self.side / 2, self.cy - self.side / 2

    def points_to_crop(self, points_xy: np.ndarray) -> np.ndarray:
        """Image pixels (..., 2) to crop pixels."""
        return (np.asarray(points_xy) - self.origin_xy) * self.scale

    def points_to_image(self, points_xy: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) to image pixels; inverse of :meth:`points_to_crop`."""
        return np.asarray(points_xy) / self.scale + self.origin_xy

    def box_to_crop(self, box: Box) -> Box:
        x0, y0 = self.origin_xy
        s = self.scale
        return Box((box.x1 - x0) * s, (box.y1 - y0) * s, (box.x2 - x0) * s, (box.y2 - y0) * s)

    def box_to_image(self, box: Box) -> Box:
        x0, y0 = self.origin_xy
        s = self.scale
        return Box(box.x1 / s + x0, box.y1 / s + y0, box.x2 / s + x0, box.y2 / s + y0)


def template_window(box: Box, size: int) -> CropWindow:
    """Window of the template crop: the box with its context, ``size`` crop pixels a side."""
    cx, cy = box.center_xy
    return CropWindow(cx, cy, max(context_side(box.width, box.height), 1.0), size)


def search_window(
    center_xy: tuple[float, float], width: float, height: float, factor: float, size: int
) -> CropWindow:
    """Window of the search crop: ``factor`` times the template window of a box of this size."""
    side = max(factor * context_side(width, height), 1.0)
    return CropWindow(center_xy[0], center_xy[1], side, size)
