"""Depth images as views on their buffers."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FrameError
from .image_buffer import checked_bytes

#: Metres per unit and dtype (byte order left open) of the encodings of REP 118.
_ENCODINGS = {"16UC1": (0.001, "u2"), "32FC1": (1.0, "f4")}

#: What ``mono16`` is taken for: drivers that do not know REP 118 send millimetres under this name.
TAKEN_FOR = {"mono16": "16UC1"}


@dataclass(frozen=True, eq=False)
class DepthImage:
    """Depth along the optical axis of each pixel.

    Attributes:
        values: uint16 or float32 (H, W); 0, negative, infinite and NaN are holes.
        unit_m: metres per unit of ``values``.
        nearest_m, farthest_m: depths outside are holes as well.
    """

    values: np.ndarray
    unit_m: float = 1.0
    nearest_m: float = 0.0
    farthest_m: float = float("inf")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.values.shape[1]), int(self.values.shape[0])

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """float64 (N,), metres; NaN where there is a hole."""
        depth = self.values[rows, columns].astype(np.float64) * self.unit_m
        known = np.isfinite(depth) & (depth > 0)
        known &= (depth >= self.nearest_m) & (depth <= self.farthest_m)
        return np.where(known, depth, np.nan)

    @staticmethod
    def from_buffer(
        data: Any,
        *,
        encoding: str,
        width: int,
        height: int,
        step: int,
        is_bigendian: bool = False,
        nearest_m: float = 0.0,
        farthest_m: float = float("inf"),
    ) -> DepthImage:
        """View a camera's buffer, with the meaning of the fields of ``sensor_msgs/Image``.

        Args:
            data: contiguous bytes.
            encoding: 16UC1 (millimetres), 32FC1 (metres), or mono16, which is taken for 16UC1.

        Raises:
            FrameError: another encoding, no pixels, or a step or data length that contradicts
                the size.
        """
        known = _ENCODINGS.get(TAKEN_FOR.get(encoding, encoding))
        if known is None:
            raise FrameError(
                f"encoding {reprlib.repr(encoding)} is not depth; it must be 16UC1 (millimetres) "
                "or 32FC1 (metres)"
            )
        unit_m, kind = known
        dtype = np.dtype((">" if is_bigendian else "<") + kind)
        size = f"{encoding} depth image of {width}x{height} px"
        if width <= 0 or height <= 0:
            raise FrameError(f"{size} is empty; width and height must be above 0")
        row_bytes = width * dtype.itemsize
        flat = checked_bytes(data, size, rows=height, row_bytes=row_bytes, step=step)
        values = np.ndarray((height, width), dtype, flat, 0, (step, dtype.itemsize))
        return DepthImage(values, unit_m, nearest_m, farthest_m)
