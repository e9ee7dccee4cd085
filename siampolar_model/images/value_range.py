"""Which values of an image with more than 8 bits become black and white."""

from __future__ import annotations

import math

import numpy as np

#: The darkest and the brightest percent saturate, so that one hot pixel does not make all others
#: black.
_PERCENT = 1.0

#: The percentiles are estimated from about this many pixels on a regular grid.
_SAMPLES = 1 << 16


def value_range_of(pixels: np.ndarray) -> tuple[float, float]:
    """The 1st and the 99th percentile of (H, W) or (H, W, C) pixels, low below high.

    Values that are not finite are left out. An image of one value gets a range of 1 above it.
    """
    height, width = pixels.shape[:2]
    stride = max(1, math.isqrt(height * width // _SAMPLES))
    grid = pixels[::stride, ::stride]
    if grid.dtype.kind == "f":
        grid = grid[np.isfinite(grid)]
    if not grid.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(grid, [_PERCENT, 100 - _PERCENT]))
    if pixels.dtype.kind == "f":
        return low, high if high > low else low + 1
    return low, max(high, low + 1)
