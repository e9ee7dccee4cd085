"""Image and mask files as arrays, by one rule for every data set.

A mask holds one label per pixel: 0 is background. Masks are read by their indices, not by the
colours that a palette gives to these. Label 255 marks pixels that the annotators left undecided
("void") wherever other objects have labels, too; where it is the only label, it is the object.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np

from ..errors import DatasetError

#: The label of undecided pixels.
VOID = 255

# Where a PNG file tells its colour type, and the type whose pixels are indices of a palette.
_PNG, _COLOUR_TYPE_AT, _PALETTE = b"\x89PNG\r\n\x1a\n", 25, b"\x03"


def read_image(path: Path) -> np.ndarray:
    """An image file as uint8 (H, W, 3), BGR.

    Raises:
        DatasetError: not a readable image.
    """
    return _decode(path, _content(path), cv2.IMREAD_COLOR)


def read_labels(path: Path) -> np.ndarray:
    """The labels of a mask file as uint8 (H, W).

    In an image of colours without a palette, everything that is not black is object 1.

    Raises:
        DatasetError: not a readable image, more than 8 bits, or several colours without a palette.
    """
    content = _content(path)
    if content.startswith(_PNG) and content[_COLOUR_TYPE_AT : _COLOUR_TYPE_AT + 1] == _PALETTE:
        return _palette_indices(path, content)
    pixels = _decode(path, content, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint8:
        raise DatasetError(f"{path}: has {pixels.dtype} values; a mask has 8 bits")
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3]
    on = colours.any(axis=2)
    if (colours[on] != colours[on][:1]).any():
        raise DatasetError(f"{path}: has several colours; a mask is an index image or a grey one")
    return on.astype(np.uint8)


def has_void(labels: Iterable[int]) -> bool:
    """Whether 255 means "undecided" where these are all the labels of one video or photograph."""
    objects = set(labels) - {0}
    return VOID in objects and len(objects) > 1


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


def _decode(path: Path, content: bytes, flags: int) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DatasetError(f"{path}: not a readable image")
    return pixels


def _palette_indices(path: Path, content: bytes) -> np.ndarray:
    """By FFmpeg, because OpenCV replaces indices by the colours of the palette."""
    try:
        with av.open(io.BytesIO(content), format="png_pipe") as container:
            frame = next(container.decode(video=0))
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            return rows[: frame.height, : frame.width].copy()
    except (av.FFmpegError, StopIteration):
        raise DatasetError(f"{path}: not a readable image") from None
