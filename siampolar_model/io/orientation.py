"""Turns the frames of a video as its header asks: quarter turns, mirrored or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.sidedata.sidedata import Type

# How far a camera may have been tilted, as the sine of an angle, and still count as straight.
_TILT = 0.1


class Orientation:
    """How a stored frame is to be shown, by the four numbers that turn it.

    A point (x, y) of the frame is shown at (a * x + c * y, b * x + d * y).

    Attributes:
        is_known: whether the numbers are, but for a small tilt, quarter turns and mirrors.
    """

    def __init__(self, a: float, b: float, c: float, d: float) -> None:
        straight = max(abs(b), abs(c)) <= _TILT * min(abs(a), abs(d))
        across = max(abs(a), abs(d)) <= _TILT * min(abs(b), abs(c))
        self.is_known = straight != across
        self._across = across and self.is_known
        along_x, along_y = (c, b) if self._across else (a, d)
        self._mirror_x = self.is_known and along_x < 0
        self._mirror_y = self.is_known and along_y < 0

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The image (H, W) or (H, W, C) as it is shown, contiguous; as it is if not known."""
        if self._across:
            image = image.swapaxes(0, 1)
        if self._mirror_x:
            image = image[:, ::-1]
        if self._mirror_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


def orientation_of(frame: Any) -> Orientation:
    """The orientation of a decoded frame of PyAV, stored as it is where the file says nothing."""
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:  # side data that this release of PyAV does not know
        turns = np.deg2rad(frame.rotation)
        return Orientation(np.cos(turns), -np.sin(turns), np.sin(turns), np.cos(turns))
    if matrix is None:
        return Orientation(1, 0, 0, 1)
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    return Orientation(a, b, c, d)
