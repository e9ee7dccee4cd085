"""Boxes in continuous image coordinates, and the text form that users type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BoxError


@dataclass(frozen=True)
class Box:
    """Axis-aligned half-open box in continuous pixels, x to the right, y down.

    Pixel (row i, column j) covers [j, j+1) x [i, i+1), so the width is simply ``x2 - x1``.

    Attributes:
        x1, y1: top-left corner.
        x2, y2: bottom-right corner.

    Example:
        >>> from siampolar_model import Box
        >>> box = Box.from_xywh(100, 80, 60, 120)
        >>> box.x2, box.y2, box.center_xy, box.area
        (160.0, 200.0, (130.0, 140.0), 7200.0)
        >>> round(box.iou(Box(100, 80, 160, 140)), 3)
        0.5
        >>> print(box.clip(width=640, height=150))
        x=100 y=80 w=60 h=70
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float) -> Box:
        """Box from its top-left corner and size in pixels."""
        return cls(float(x), float(y), float(x) + float(width), float(y) + float(height))

    @classmethod
    def from_center(cls, cx: float, cy: float, width: float, height: float) -> Box:
        """Box from its centre and size in pixels."""
        return cls(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)

    @property
    def width(self) -> float:
        """In pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """In pixels."""
        return self.y2 - self.y1

    @property
    def center_xy(self) -> tuple[float, float]:
        """The middle, in pixels."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def area(self) -> float:
        """Square pixels; 0 if a side is not above 0."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def intersection(self, other: Box) -> float:
        """Area in square pixels shared with ``other``; 0 when they do not overlap."""
        w = min(self.x2, other.x2) - max(self.x1, other.x1)
        h = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(w, 0.0) * max(h, 0.0)

    def iou(self, other: Box) -> float:
        """Intersection over union in [0, 1]; 0 for two empty boxes."""
        inter = self.intersection(other)
        union = self.area + other.area - inter
        return inter / union if union > 0 else 0.0

    def clip(self, width: float, height: float) -> Box:
        """The part inside an image of ``width`` x ``height`` pixels (may be empty)."""
        x1, x2 = min(max(self.x1, 0.0), width), min(max(self.x2, 0.0), width)
        y1, y2 = min(max(self.y1, 0.0), height), min(max(self.y2, 0.0), height)
        return Box(x1, y1, x2, y2)

    def as_xywh(self) -> tuple[float, float, float, float]:
        """Top-left corner and size in pixels."""
        return self.x1, self.y1, self.width, self.height

    def as_xyxy(self) -> np.ndarray:
        """Array float32 (4,)."""
        return np.array([self.x1, self.y1, self.x2, self.y2], np.float32)

    def corners_xy(self) -> np.ndarray:
        """The outline float32 (4, 2), clockwise from the top left."""
        x1, y1, x2, y2 = self.as_xyxy()
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)

    def __str__(self) -> str:
        return f"x={self.x1:g} y={self.y1:g} w={self.width:g} h={self.height:g}"


def validate_init_box(box: Box, image_width: int, image_height: int, min_box_px: float) -> Box:
    """Clip an init box to the image, or refuse it.

    A box is accepted while at least half of its area lies inside the image and both sides
    of what is inside measure at least ``min_box_px`` pixels.

    Raises:
        BoxError: not finite, no area, wholly outside, mostly outside, or too small.
    """
    if not all(math.isfinite(v) for v in (box.x1, box.y1, box.x2, box.y2)):
        raise BoxError(f"init box {box} is not finite; x, y, width and height must be numbers")
    if box.width <= 0 or box.height <= 0:
        raise BoxError(f"init box {box} has no area; width and height must be above 0")
    clipped = box.clip(image_width, image_height)
    size = f"{image_width}x{image_height}"
    if clipped.area <= 0:
        raise BoxError(f"init box {box} lies wholly outside the {size} image")
    if clipped.area < 0.5 * box.area:
        raise BoxError(
            f"init box {box} lies {1 - clipped.area / box.area:.0%} outside the {size} image; "
            "at least half of it must be inside"
        )
    if min(clipped.width, clipped.height) < min_box_px:
        raise BoxError(
            f"init box {box} leaves {clipped.width:g}x{clipped.height:g} px inside the {size} "
            f"image; both sides must be at least {min_box_px:g} px"
        )
    return clipped


def as_box(box: Box | Sequence[float]) -> Box:
    """A box as it is, or four numbers x, y, width, height in pixels as a box.

    Raises:
        BoxError: see :func:`parse_box`.
    """
    return box if isinstance(box, Box) else parse_box(box)


def parse_box(text: str | Sequence[float]) -> Box:
    """Read ``"x,y,w,h"`` (or four numbers), in pixels, as a box.

    Raises:
        BoxError: not four finite numbers, or no area.
    """
    try:
        parts = text.split(",") if isinstance(text, str) else list(text)
        x, y, w, h = (float(p) for p in parts)
    except (TypeError, ValueError, OverflowError):
        raise BoxError(
            f"box {text!r} is not four numbers x,y,w,h in pixels, such as 100,80,60,120"
        ) from None
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        raise BoxError(f"box {text!r}: all four must be finite and w and h above 0")
    return Box.from_xywh(x, y, w, h)
