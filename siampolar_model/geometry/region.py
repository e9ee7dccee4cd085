"""What an object is pointed at with: its box, a point on it, its outline or its mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BoxError
from .box import Box, as_box, validate_init_box


@dataclass(frozen=True)
class Point:
    """A point on the object, in image pixels: the network looks for what is around it.

    Example:
        >>> from siampolar_model import Point
        >>> Point(320, 240).x
        320
    """

    x: float
    y: float

    def __str__(self) -> str:
        return f"x={self.x:g} y={self.y:g}"


@dataclass(frozen=True, eq=False)
class Outline:
    """The object's outline, points (M, 2) in image pixels, M at least 3; it may be a rough one.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Outline
        >>> Outline(np.array([(300, 100), (350, 100), (325, 200)])).points_xy.shape
        (3, 2)
    """

    points_xy: np.ndarray


@dataclass(frozen=True, eq=False)
class Mask:
    """The object's pixels: (height, width) of the image, not 0 (or True) on the object.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Mask
        >>> pixels = np.zeros((480, 640), np.uint8)
        >>> pixels[100:200, 300:350] = 1
        >>> int(Mask(pixels).pixels.sum())
        5000
    """

    pixels: np.ndarray


#: Everything that a target can be started with.
Region = Box | Point | Outline | Mask


def as_region(value: Region | Sequence[Any] | np.ndarray) -> Region:
    """A region as it is, or made of plain values.

    Args:
        value: two numbers x, y are a point, four numbers x, y, width, height a box, an array (or
            list of pairs) of shape (M, 2) an outline, another array of two dimensions a mask.

    Raises:
        BoxError: none of these.
    """
    if isinstance(value, (Box, Point, Outline, Mask)):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] != 2:
        return Mask(value)
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape == (2,):
        return Point(float(numbers[0]), float(numbers[1]))
    if numbers.ndim == 2 and numbers.shape[1] == 2:
        return Outline(numbers.astype(np.float32))
    return as_box(value)  # type: ignore[arg-type]  # it says what a box is


def bounds_of(region: Region) -> Box:
    """The smallest box around a region; that of a point has no area."""
    match region:
        case Box():
            return region
        case Point():
            return Box(region.x, region.y, region.x, region.y)
        case Outline():
            if len(region.points_xy) < 3:
                return Box(math.nan, math.nan, math.nan, math.nan)
            (x1, y1), (x2, y2) = region.points_xy.min(0), region.points_xy.max(0)
            return Box(float(x1), float(y1), float(x2), float(y2))
        case Mask():
            columns, rows = (np.flatnonzero(region.pixels.any(axis)) for axis in (0, 1))
            if not len(rows):
                return Box(0.0, 0.0, 0.0, 0.0)
            return Box(*map(float, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))


def validate_region(region: Region, width: int, height: int, min_box_px: float) -> Region:
    """A region that fits an image of this size; a box is clipped to it.

    Raises:
        BoxError: see :func:`siampolar_model.geometry.box.validate_init_box`; a point outside the
            image, an outline of fewer than three points, or a mask of another size or without
            any pixel of the object.
    """
    size = f"{width}x{height}"
    match region:
        case Box():
            return validate_init_box(region, width, height, min_box_px)
        case Point():
            if not (0 <= region.x < width and 0 <= region.y < height):
                raise BoxError(f"point {region} lies outside the {size} image")
            return region
        case Outline():
            count = len(region.points_xy)
            if count < 3:
                raise BoxError(f"an outline of {count} points; it needs at least 3")
        case Mask():
            if not region.pixels.any():
                raise BoxError("a mask without any pixel of the object; it must not be 0 there")
            if region.pixels.shape != (height, width):
                given = "x".join(map(str, region.pixels.shape[::-1]))
                raise BoxError(f"a mask of {given} pixels; the image is {size}")
    validate_init_box(bounds_of(region), width, height, min_box_px)
    return region
