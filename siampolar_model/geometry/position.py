"""Where a target is in metres: its mask on an aligned depth image, or its known height.

Depth at the edge of a mask belongs to whatever lies behind, sensors leave holes, and stereo
matching smears one surface into the next. So the mask is eroded, the most frequent depth inside is
looked up in a histogram whose cells grow with distance, and the median of what lies near it counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import FrameError
from .box import Box

#: Width of a cell of the histogram of depths, as a share of the depth itself.
_CELL = 0.03

#: Pixels kept at most; beyond, every second, third, ... row and column is looked at.
_MOST_PIXELS = 6000

#: Pixels with depth that a position needs at least, and as a share of the eroded mask.
_LEAST_PIXELS, _LEAST_SHARE = 12, 0.03

#: Side in pixels of squares within which depth errors are the same, so they do not average out.
_CORRELATED_PX = 6.0

#: Error of a depth camera that is the same for all pixels, as a share of the distance.
_COMMON_ERROR = 0.005

#: Error of a target's centre in the image, pixels, and of its height, as a share.
_CENTRE_ERROR_PX, _HEIGHT_ERROR = 1.5, 0.05


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


@dataclass(frozen=True, eq=False)
class Position:
    """One target in metres in the camera's optical frame: x right, y down, z forward.

    Attributes:
        point_m: float64 (3,), the middle of the surface that the camera sees.
        covariance_m2: float64 (3, 3), of ``point_m``.
        size_m: width and height across the line of sight.
        pixels: how many pixels with depth decided; 0 if the range rests on a known height.
    """

    point_m: np.ndarray
    covariance_m2: np.ndarray
    size_m: tuple[float, float]
    pixels: int

    @property
    def distance_m(self) -> float:
        """From the camera to the point."""
        return float(np.linalg.norm(self.point_m))


def position_from_depth(
    depth_m: np.ndarray, mask: np.ndarray, box: Box, camera: Pinhole
) -> Position | None:
    """Where the target of a mask is.

    Args:
        depth_m: float32 (H, W), metres along the optical axis; 0, negative, infinite and NaN are
            holes.
        mask: (H, W), non-zero on the target, aligned with the depth image.
        box: the target's box in pixels, for its size.

    Returns:
        None if too few of the mask's pixels have a depth.

    Raises:
        FrameError: depth and mask of different size.
    """
    if depth_m.shape != mask.shape:
        raise FrameError(
            f"depth image is {depth_m.shape[1]}x{depth_m.shape[0]} px, the mask "
            f"{mask.shape[1]}x{mask.shape[0]}; they must be aligned"
        )
    rows, columns, inside = _inside(mask)
    if not len(rows):
        return None
    z = depth_m[rows, columns].astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    z, rows, columns = z[known], rows[known], columns[known]
    if len(z) < max(_LEAST_PIXELS, _LEAST_SHARE * inside):
        return None
    surface = _surface(z)
    z, rows, columns = z[surface], rows[surface], columns[surface]
    middle = float(np.median(z))
    spread = 1.4826 * float(np.median(np.abs(z - middle)))
    # Direction of the whole mask's middle: holes on one side must not pull it.
    u, v = _middle(mask)
    ray = np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0])
    independent = max(1.0, len(z) / _CORRELATED_PX**2)
    depth_sd = math.hypot(spread * 1.2533 / math.sqrt(independent), _COMMON_ERROR * middle)
    return _position(ray, middle, depth_sd, box, camera, len(z))


def position_from_height(box: Box, height_m: float, camera: Pinhole) -> Position:
    """Range by the known height of a target that stands whole in its box; needs no depth.

    Raises:
        ValueError: a height that is not a positive number.
    """
    if not (math.isfinite(height_m) and height_m > 0):
        raise ValueError(f"height_m is {height_m}; it must be above 0")
    u, v = box.center_xy
    ray = np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0])
    z = camera.fy * height_m / max(box.height, 1.0)
    error = math.hypot(_HEIGHT_ERROR, _CENTRE_ERROR_PX / max(box.height, 1.0))
    return _position(ray, z, error * z, box, camera, 0)


def _position(
    ray: np.ndarray, z: float, depth_sd: float, box: Box, camera: Pinhole, pixels: int
) -> Position:
    """A point on a ray; its error along the ray, and across it by the error in the image."""
    across = np.diag([_CENTRE_ERROR_PX * z / camera.fx, _CENTRE_ERROR_PX * z / camera.fy, 0.0])
    covariance = np.outer(ray, ray) * depth_sd**2 + across**2
    size = box.width * z / camera.fx, box.height * z / camera.fy
    return Position(ray * z, covariance, size, pixels)


def _inside(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows and columns of the eroded mask, thinned out, and how many there are."""
    area = int(np.count_nonzero(mask))
    if not area:
        return np.empty(0, int), np.empty(0, int), 0
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(ys[0]), int(xs[0])
    part = np.ascontiguousarray(mask[top : ys[-1] + 1, left : xs[-1] + 1] != 0).astype(np.uint8)
    # A tenth of the radius of a disc of this area, at least one pixel; thin masks stay whole.
    margin = max(1, round(0.1 * math.sqrt(area / math.pi)))
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    eroded = cv2.erode(part, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if 4 * np.count_nonzero(eroded) < area:
        eroded = part
    stride = max(1, math.isqrt(int(np.count_nonzero(eroded)) // _MOST_PIXELS))
    rows, columns = np.nonzero(eroded[::stride, ::stride])
    return rows * stride + top, columns * stride + left, len(rows)


def _surface(z: np.ndarray) -> np.ndarray:
    """Which depths are of the target: those near the most frequent one, first by cells."""
    cells = np.floor(np.log(z) / math.log1p(_CELL)).astype(np.int64)
    cells -= cells.min()
    counts = np.bincount(cells)
    # Three neighbouring cells together, so that a surface may lie across a border.
    padded = np.pad(counts, 1)
    together = padded[:-2] + padded[1:-1] + padded[2:]
    best = int(np.argmax(together))
    near = np.abs(cells - best) <= 1
    middle = np.median(z[near])
    spread = max(1.4826 * float(np.median(np.abs(z[near] - middle))), 0.002 * float(middle))
    surface: np.ndarray = np.abs(z - middle) <= 3 * spread
    return surface


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """Centre of the mask's area, x and y in continuous pixels."""
    weights = mask != 0
    columns, rows = weights.sum(0), weights.sum(1)
    total = columns.sum()
    x = float((columns * (np.arange(len(columns)) + 0.5)).sum() / total)
    y = float((rows * (np.arange(len(rows)) + 0.5)).sum() / total)
    return x, y
