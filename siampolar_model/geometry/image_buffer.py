"""The bytes of an image as drivers send them, checked against its size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import FrameError


def checked_bytes(data: Any, what: str, *, rows: int, row_bytes: int, step: int) -> np.ndarray:
    """View a buffer as uint8 (N,).

    Args:
        data: contiguous bytes (bytes, memoryview, array.array, uint8 array).
        what: the image, for messages, such as ``mono8 image of 640x480 px``.
        rows: how many there are, of all planes.
        row_bytes: bytes of a row's pixels.
        step: bytes from one row to the next, padding included.

    Raises:
        FrameError: data that is not contiguous bytes, or a step or length that contradicts the
            size.
    """
    if step < row_bytes:
        raise FrameError(f"{what} has a step of {step}; it must be at least {row_bytes} bytes")
    try:
        flat = np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise FrameError(f"{what}: data is not contiguous bytes ({error})") from None
    # Some drivers leave out the padding of the last row.
    if not (rows - 1) * step + row_bytes <= len(flat) <= rows * step:
        raise FrameError(
            f"{what} with a step of {step} has {len(flat)} bytes; it must have {rows * step}"
        )
    return flat
