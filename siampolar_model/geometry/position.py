"""Where a target is in metres: its outline on an aligned depth image, or its known height.

Depth at the edge of an outline belongs to whatever lies behind, sensors leave holes, and stereo
matching smears one surface into the next. So the inside is eroded, the most frequent depth is
looked up in a histogram whose cells grow with distance, the surface is followed from there to the
cells next to it, and its median counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from . import polar
from .box import Box
from .depth import DepthImage

#: Width of a cell of the histogram of depths, as a share of the depth itself.
_CELL = 0.03

#: The surface goes on into the next cell while that holds this share of the fullest one.
_GOES_ON = 0.15

#: The inside is eroded by this share of the radius of a disc of the same area, or these pixels:
#: stereo cameras compare windows of about 9 pixels and blur as much.
_MARGIN, _LEAST_MARGIN_PX = 0.1, 4

#: Pixels kept at most; beyond, every second, third, ... row and column is looked at.
_MOST_PIXELS = 4000

#: Pixels with depth that a position needs at least, and as a share of those inside.
_LEAST_PIXELS, _LEAST_SHARE = 12, 0.03

#: Points of a laser scanner that a position needs at least.
_LEAST_SPARSE = 5

#: Side in pixels of squares within which depth errors are the same, so they do not average out.
_CORRELATED_PX = 6.0

#: Error of a depth camera that is the same for all pixels, as a share of the distance.
_COMMON_ERROR = 0.005

#: Error of a target's centre in the image, pixels, and of its height, as a share.
_CENTRE_ERROR_PX, _HEIGHT_ERROR = 1.5, 0.05


class NoPosition(ValueError):
    """A target whose place cannot be told now; the message says why in one line."""


class Camera(Protocol):
    """What a position needs of a camera."""

    def rays(self, points_xy: np.ndarray) -> np.ndarray:
        """Directions x / z and y / z, float64 (N, 2), of continuous pixels (N, 2)."""


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion: focal lengths and principal point in pixels.

    Pixels are continuous as everywhere (see docs/architecture.md): ``cx`` of a ROS CameraInfo,
    which counts from the centre of the first pixel, plus 0.5.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def rays(self, points_xy: np.ndarray) -> np.ndarray:
        """As in :class:`Camera`."""
        centred = np.asarray(points_xy, np.float64) - (self.cx, self.cy)
        directions: np.ndarray = centred / (self.fx, self.fy)
        return directions


@dataclass(frozen=True, eq=False)
class Position:
    """One target in metres in the camera's optical frame: x right, y down, z forward.

    Attributes:
        point_m: float64 (3,), the middle of the surface that the camera sees.
        covariance_m2: float64 (3, 3), of ``point_m``.
        size_m: width and height across the line of sight, and how deep the visible surface is (0
            if the range rests on a known height).
        surface_m: smallest and largest depth of that surface.
        pixels: how many pixels with depth decided; 0 if the range rests on a known height.
    """

    point_m: np.ndarray
    covariance_m2: np.ndarray
    size_m: tuple[float, float, float]
    surface_m: tuple[float, float]
    pixels: int

    @property
    def distance_m(self) -> float:
        """From the camera to the point."""
        return float(np.linalg.norm(self.point_m))


def position_from_depth(
    depth: DepthImage,
    outline_xy: np.ndarray,
    box: Box,
    camera: Camera,
    is_sparse: bool = False,
) -> Position:
    """Where the target of an outline is.

    Args:
        depth: aligned with the image of the outline.
        outline_xy: (M, 2), continuous pixels.
        box: the target's box in pixels, for its size.
        is_sparse: the depth is of a laser scanner, which leaves most pixels without: every pixel
            is looked at, and few are enough.

    Raises:
        NoPosition: too few of the pixels inside have a depth.
    """
    inside = _Inside.of(outline_xy, *depth.size, every_pixel=is_sparse)
    z = depth.at(inside.rows, inside.columns)
    z = z[~np.isnan(z)]
    needed = _LEAST_SPARSE
    if not is_sparse:
        needed = max(_LEAST_PIXELS, math.ceil(_LEAST_SHARE * len(inside.rows)))
    if len(z) < needed:
        raise NoPosition(
            f"{len(z)} of {len(inside.rows)} pixels inside have a depth; {needed} are needed"
        )
    z = np.sort(_surface(z))
    five, quarter, middle, three_quarters, ninety_five = (
        float(z[int(share * (len(z) - 1) + 0.5)]) for share in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    spread = (three_quarters - quarter) / 1.349  # the standard deviation if it is normal
    independent = min(len(z), max(1.0, len(z) * (inside.stride / _CORRELATED_PX) ** 2))
    depth_sd = math.hypot(spread * 1.2533 / math.sqrt(independent), _COMMON_ERROR * middle)
    # Direction of the whole inside's middle: holes on one side must not pull it.
    return _position(
        inside.middle_xy, middle, depth_sd, box, camera, ninety_five - five,
        (float(z[0]), float(z[-1])), len(z),
    )  # fmt: skip


def position_from_height(
    box: Box, height_m: float, camera: Camera, image_size: tuple[int, int]
) -> Position:
    """Range by the known height of a target that stands upright; needs no depth.

    Args:
        height_m: above 0.
        image_size: width and height of the image in pixels.

    Raises:
        NoPosition: the box is cut off by the upper or lower border of the image.
        ValueError: a height that is not a positive number.
    """
    if not (math.isfinite(height_m) and height_m > 0):
        raise ValueError(f"height_m is {height_m}; it must be above 0")
    if box.y1 < 1 or box.y2 > image_size[1] - 1:
        raise NoPosition("the image's border cuts its height off, which would tell its distance")
    x, _ = box.center_xy
    top, bottom = camera.rays(np.array([[x, box.y1], [x, box.y2]]))
    z = height_m / max(float(bottom[1] - top[1]), 1e-6)
    error = math.hypot(_HEIGHT_ERROR, _CENTRE_ERROR_PX / max(box.height, 1.0))
    return _position(box.center_xy, z, error * z, box, camera, 0.0, (z, z), 0)


def _position(
    middle_xy: tuple[float, float],
    z: float,
    depth_sd: float,
    box: Box,
    camera: Camera,
    deep_m: float,
    surface_m: tuple[float, float],
    pixels: int,
) -> Position:
    """A point on a ray; its error along the ray, and across it by the error in the image."""
    (x, y), (cx, cy) = middle_xy, box.center_xy
    points = [(x, y), (box.x1, cy), (box.x2, cy), (cx, box.y1), (cx, box.y2)]
    rays = camera.rays(np.array(points))
    if not np.isfinite(rays).all():
        raise NoPosition("the camera's distortion has no inverse at this place")
    ray, left, right, top, bottom = rays
    direction = np.array([*ray, 1.0])
    width, height = (right[0] - left[0]) * z, (bottom[1] - top[1]) * z
    across_m = (
        _CENTRE_ERROR_PX * width / max(box.width, 1.0),
        _CENTRE_ERROR_PX * height / max(box.height, 1.0),
    )
    covariance = np.outer(direction, direction) * depth_sd**2 + np.diag([*across_m, 0.0]) ** 2
    size = float(width), float(height), deep_m
    return Position(direction * z, covariance, size, surface_m, pixels)


@dataclass(frozen=True, eq=False)
class _Inside:
    """The pixels inside an outline that count.

    Attributes:
        rows, columns: of the eroded inside, thinned out.
        stride: every how many rows and columns.
        middle_xy: of the whole inside, in continuous pixels.
    """

    rows: np.ndarray
    columns: np.ndarray
    stride: int
    middle_xy: tuple[float, float]

    @classmethod
    def of(cls, outline_xy: np.ndarray, width: int, height: int, every_pixel: bool) -> _Inside:
        """
        Raises:
            NoPosition: no pixel of the image is inside.
        """
        left, top, part = fill_part(outline_xy, width, height)
        area = int(np.count_nonzero(part))
        if not area:
            raise NoPosition("no pixel of the image is inside its outline")
        eroded = _eroded(part, area)
        most = math.inf if every_pixel else _MOST_PIXELS
        stride = max(1, math.ceil(math.sqrt(np.count_nonzero(eroded) / most)))
        rows, columns = np.nonzero(eroded[::stride, ::stride])
        x = float(part.sum(0, dtype=np.int64) @ np.arange(part.shape[1])) / area + left + 0.5
        y = float(part.sum(1, dtype=np.int64) @ np.arange(part.shape[0])) / area + top + 0.5
        return cls(rows * stride + top, columns * stride + left, stride, (x, y))


def _eroded(part: np.ndarray, area: int) -> np.ndarray:
    """The mask without its edge, as long as a quarter of its area is left; thin ones stay whole."""
    margin = max(_LEAST_MARGIN_PX, round(_MARGIN * math.sqrt(area / math.pi)))
    while margin:
        kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        inner = cv2.erode(part, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        if 4 * np.count_nonzero(inner) >= area:
            return inner
        margin //= 2
    return part


def fill_part(outline_xy: np.ndarray, width: int, height: int) -> tuple[int, int, np.ndarray]:
    """The inside of an outline without the rest of the image.

    Returns:
        Column and row of the part's corner, and uint8 (h, w), 1 inside, whose size is 0 if
        nothing of the outline lies in the image.
    """
    nothing = 0, 0, np.zeros((0, 0), np.uint8)
    if len(outline_xy) < 3 or not np.isfinite(outline_xy).all():
        return nothing
    x1, y1, x2, y2 = polar.box_of(outline_xy)
    left, top = max(0, math.floor(x1)), max(0, math.floor(y1))
    right, bottom = min(width, math.ceil(x2)), min(height, math.ceil(y2))
    if right <= left or bottom <= top:
        return nothing
    return left, top, polar.fill(outline_xy - (left, top), bottom - top, right - left)


def _surface(z: np.ndarray) -> np.ndarray:
    """The depths of the target: those about the most frequent one, as far as they go on."""
    cells = np.floor(np.log(z) / math.log1p(_CELL)).astype(np.int64)
    cells -= cells.min()
    counts = np.pad(np.bincount(cells), 1)
    # Three neighbouring cells together, so that a surface may lie across a border.
    together = counts[:-2] + counts[1:-1] + counts[2:]
    first = last = int(np.argmax(together))
    enough = _GOES_ON * together[first]
    while first > 0 and together[first - 1] >= enough:
        first -= 1
    while last < len(together) - 1 and together[last + 1] >= enough:
        last += 1
    surface: np.ndarray = z[(cells >= first) & (cells <= last)]
    return surface
