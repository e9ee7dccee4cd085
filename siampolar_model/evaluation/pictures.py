"""Image and mask files of annotated data sets, by one rule for every layout.

A mask holds one label per pixel: 0 is background. Masks are read by their indices, not by the
colours that a palette gives to these. Label 255 marks pixels that the annotators left undecided
("void") wherever objects have other labels; where it is the only label, it is the object.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import DatasetError, FrameError, VideoError
from ..images.picture import read_bgr, read_picture, read_whole
from ..images.value_range import value_range_of
from ..io.image_folder import image_files

#: The label of undecided pixels.
VOID = 255

# How a PNG file begins, where it tells its colour type, and the type of palette indices.
_PNG, _COLOUR_TYPE_AT, _PALETTE = b"\x89PNG\r\n\x1a\n", 25, b"\x03"


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder in order.

    Raises:
        DatasetError: a file that is missing behind a link, empty, or not a picture.
    """
    try:
        return image_files(folder)
    except VideoError as error:
        raise DatasetError(str(error)) from None


def first_value_range(path: Path) -> tuple[float, float] | None:
    """What becomes black and white in a sequence that begins with this image; None if 8 bits.

    Raises:
        DatasetError: not a readable image.
    """
    pixels = _read(path)
    return None if pixels.dtype == np.uint8 else value_range_of(pixels)


def read_image(path: Path, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """An image file as uint8 (H, W, 3), BGR.

    Args:
        value_range: see :func:`first_value_range`.

    Raises:
        DatasetError: not a readable image.
    """
    try:
        return read_bgr(path, value_range)
    except FrameError as error:
        raise DatasetError(str(error)) from None


def read_labels(path: Path) -> np.ndarray:
    """The labels of a mask file as uint8 (H, W).

    In an image of one colour on black, without a palette, that colour is object 1.

    Raises:
        DatasetError: not a readable image, a JPEG file, more than 8 bits, or several colours
            without a palette.
    """
    indices = _palette_indices(path)
    if indices is not None:
        return indices
    pixels = _read(path)
    if pixels.dtype != np.uint8:
        raise DatasetError(f"{path}: has {pixels.dtype} values; a mask has 8 bits")
    if pixels.ndim == 2:
        return pixels
    on = np.any(pixels, axis=2)
    if (pixels[on] != pixels[on][:1]).any():
        raise DatasetError(f"{path}: has several colours; a mask is an index image or a grey one")
    return np.asarray(on, np.uint8)


def check_exact(path: Path, data: bytes) -> None:
    """Raises DatasetError for a mask in a JPEG file, which changes labels along every edge."""
    if data.startswith(b"\xff\xd8\xff"):
        raise DatasetError(f"{path}: is a JPEG file, which changes labels; store masks as PNG")


def has_void(labels: Iterable[int]) -> bool:
    """Whether 255 means "undecided" where these are all the labels of one video or photograph."""
    objects = set(labels) - {0}
    return VOID in objects and len(objects) > 1


def _read(path: Path) -> np.ndarray:
    try:
        return read_picture(path)
    except FrameError as error:
        raise DatasetError(str(error)) from None


def _palette_indices(path: Path) -> np.ndarray | None:
    """Of a PNG with a palette, by FFmpeg: OpenCV gives the colours. None for other files."""
    try:
        content = read_whole(path)
    except FrameError as error:
        raise DatasetError(str(error)) from None
    check_exact(path, content)
    if not content.startswith(_PNG) or content[_COLOUR_TYPE_AT : _COLOUR_TYPE_AT + 1] != _PALETTE:
        return None
    import av  # only such masks need it

    try:
        with av.open(
            io.BytesIO(content), "r", format="png_pipe", metadata_errors="replace"
        ) as container:
            frame = next(container.decode(video=0))
            plane = frame.planes[0]
            rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
            return rows[: frame.height, : frame.width].copy()
    except (av.FFmpegError, StopIteration):
        raise DatasetError(f"{path}: not a readable image") from None
