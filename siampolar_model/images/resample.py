"""Cuts a square crop from an array: interpolation, area averaging and the border."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import FrameError
from ..geometry.crops import CropWindow

#: Colour outside the image: the ImageNet mean, so that padding is near zero after normalisation.
BORDER_BGR = (104, 117, 124)

#: Widest window that OpenCV's fixed-point warp addresses exactly.
_MAX_SIDE_PX = 1 << 20


@dataclass(frozen=True)
class CutPlan:
    """Which rectangle of the image a crop needs and how it is resampled.

    Attributes:
        x0, y0, x1, y1: the rectangle in pixels, inside the image, x0 and y0 multiples of ``cell``.
        cell: side in pixels of the squares averaged before the warp; 1 averages nothing.
        matrix: float64 (2, 3), crop pixel index to cell index in the rectangle.
        hangs: whether the window reaches outside the image.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    cell: int
    matrix: np.ndarray
    hangs: bool


def plan_cut(window: CropWindow, width: int, height: int) -> CutPlan | None:
    """The plan of a crop; None if its window lies outside the image.

    A window that shrinks by two or more first averages squares of whole pixels, on a grid that
    starts at the image's corner, so that an object looks the same wherever the window begins. The
    side of the squares is a power of two, because halving is four times faster than any other
    shrinking in OpenCV.

    Raises:
        FrameError: a window that is not finite, too wide, or has no size.
    """
    if not (
        math.isfinite(window.cx)
        and math.isfinite(window.cy)
        and 0 < window.side <= _MAX_SIDE_PX
        and window.size > 1  # OpenCV 4.5 cannot write into a single pixel
    ):
        raise FrameError(
            f"crop window {window} must have finite numbers, a side above 0 and at most "
            f"{_MAX_SIDE_PX} px, and a size above 1"
        )
    pitch = window.side / window.size
    # Not wider than the image, because more averaging would only mix in more border.
    cell = 1 << max(0, min(math.floor(pitch + 1e-9), width, height).bit_length() - 1)
    spans, offsets, hangs = [], [], False
    for origin, extent in zip(window.origin_xy, (width, height), strict=True):
        first = (origin + 0.5 * pitch) / cell - 0.5
        last = first + (window.size - 1) * pitch / cell
        # One cell more on each side than bilinear sampling needs, because the warp rounds.
        low, high = math.floor(first) - 1, math.floor(last) + 3
        hangs |= math.floor(first) < 0 or (math.floor(last) + 2) * cell > extent
        low, high = max(low, 0), min(high, -(-extent // cell))
        if low >= high:
            return None
        spans.append((low * cell, min(high * cell, extent)))
        offsets.append(first - low)
    step = pitch / cell
    matrix = np.array([[step, 0, offsets[0]], [0, step, offsets[1]]], np.float64)
    (x0, x1), (y0, y1) = spans
    return CutPlan(x0, y0, x1, y1, cell, matrix, hangs)


def resample(
    region: np.ndarray,
    plan: CutPlan,
    size: int,
    border: tuple[float, ...],
    out: np.ndarray | None = None,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Shrink and warp the plan's rectangle, (h, w) or (h, w, C), to (size, size[, C])."""
    cell = plan.cell
    while cell > 1:
        height, width = region.shape[:2]
        if height % 2 or width % 2:  # a square at the image's edge is filled up with border
            region = cv2.copyMakeBorder(
                region, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=border
            )
        half = (-(-width // 2), -(-height // 2))
        region = cv2.resize(region, half, interpolation=cv2.INTER_AREA)
        cell //= 2
    region = _at_least_two_pixels(region, border)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        region, plan.matrix, (size, size), dst=out, flags=flags,
        borderMode=cv2.BORDER_CONSTANT, borderValue=border,
    )  # fmt: skip


def _at_least_two_pixels(region: np.ndarray, border: tuple[float, ...]) -> np.ndarray:
    """The region, with border added to a single pixel, which OpenCV 4.5 does not accept."""
    if region.shape[:2] != (1, 1):
        return region
    neighbour = np.empty_like(region)
    neighbour[:] = border if region.ndim == 3 else border[0]
    return np.concatenate([region, neighbour], axis=1)


def cut_array(
    image: np.ndarray,
    window: CropWindow,
    *,
    border: tuple[float, ...] = BORDER_BGR,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Cut a window out of a plain array, with the resampling of :meth:`Frame.cut`.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32, C up to 4; rows may be padded.
        border: value outside the image, one number per channel.
        out: array of the result's shape and dtype to write into.

    Returns:
        (size, size) or (size, size, C) of the image's dtype; ``out`` where it was given.

    Raises:
        FrameError: a window that is not finite or has no size.
    """
    height, width = image.shape[:2]
    plan = plan_cut(window, width, height)
    if plan is None:
        if out is None:
            out = np.empty((window.size, window.size, *image.shape[2:]), image.dtype)
        out[...] = border if image.ndim == 3 else border[0]
        return out
    region = image[plan.y0 : plan.y1, plan.x0 : plan.x1]
    return resample(region, plan, window.size, border, out)
