"""Reads one picture file: the only place that decodes pictures from disk.

- Any path that Python can open; OpenCV's own file functions end the process on a name that is not
  UTF-8.
- Pixels are taken as they are stored. EXIF orientation is ignored, as by the tracker node, because
  annotations, masks and boxes belong to the stored pixels.
- 16-bit and floating-point pictures become 8 bits by a value range, as `mono16` images do in the
  node: from the 1st to the 99th percentile of the first picture of a sequence.
- A file that ends too early is refused; some decoders would fill the rest with grey.
- A file that holds several pictures is refused; decoders would give the first alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ..errors import FrameError
from .compressed import png_is_whole
from .picture_count import picture_count
from .picture_size import picture_size
from .value_range import value_range_of

#: Files that count as pictures, in lower case.
PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

#: Most pixels of a picture or a frame of a video; larger ones would take gigabytes.
MAX_FILE_PIXELS = 100_000_000

# Rows that become 8 bits at a time, so that large pictures need no large copies.
_ROWS = 256

# How a file of these suffixes begins; an empty or foreign file is found without decoding it.
_BEGINNINGS = (
    b"BM", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"P2", b"P3", b"P5", b"P6",
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF",
)  # fmt: skip

_AS_STORED = cv2.IMREAD_UNCHANGED  # also: no EXIF orientation, every bit depth


def read_picture(path: str | os.PathLike[str]) -> np.ndarray:
    """The pixels of a picture file as they are stored.

    Returns:
        (H, W) grey or (H, W, 3) BGR, of the file's own type: uint8, uint16, float32, ... A palette
        is resolved to its colours and transparency is left out.

    Raises:
        FrameError: no such file, not a picture, several pictures, or a file that ends too early;
            it names the file.
    """
    data = read_whole(path)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise FrameError(f"{path}: not a readable image")
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] <= 2 else pixels[..., :3]
    return pixels


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a picture file, checked as far as that goes without decoding them.

    Raises:
        FrameError: no such file, an empty one, one that ends too early, several pictures, or too
            many pixels; it names the file.
    """
    try:
        data = Path(path).read_bytes()
        if not data or _ends_early(data):
            reason = "it ends too early or is damaged" if data else "it is empty"
            raise FrameError(f"not a readable image; {reason}")
        if (count := picture_count(data)) > 1:
            raise FrameError(f"holds {count} pictures; a file must hold one")
        check_size(*picture_size(data))
    except (OSError, ValueError) as error:  # FrameError, and a name that no file can have
        raise FrameError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return data


def read_bgr(
    path: str | os.PathLike[str], value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """A picture file as uint8 (H, W, 3) BGR.

    Args:
        value_range: the values that become 0 and 255 if pixels have more than 8 bits; None takes
            the range of this picture, see :func:`.value_range.value_range_of`.

    Raises:
        FrameError: as :func:`read_picture`.
    """
    return to_bgr8(read_picture(path), value_range)


def to_bgr8(pixels: np.ndarray, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Pixels of any type as contiguous uint8 (H, W, 3) BGR; arguments as of :func:`read_bgr`."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        low, high = value_range or value_range_of(pixels)
        whole, pixels = pixels, np.empty(pixels.shape, np.uint8)
        for rows in (slice(at, at + _ROWS) for at in range(0, len(whole), _ROWS)):
            inside = np.clip(np.nan_to_num(whole[rows].astype(np.float64), nan=low), low, high)
            pixels[rows] = np.round((inside - low) * (255 / (high - low)))
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels)


def check_size(width: int, height: int) -> None:
    """Refuse more than :data:`MAX_FILE_PIXELS` pixels.

    Raises:
        FrameError: naming the size and the limit.
    """
    if width * height > MAX_FILE_PIXELS:
        raise FrameError(
            f"{width}x{height} px are {width * height / 1e6:.0f} million pixels; at most "
            f"{MAX_FILE_PIXELS // 1_000_000} million are read"
        )


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name and its first bytes.

    An animated PNG file is a video instead, as FFmpeg reads it; so is a file of another kind that
    merely has such a name.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return False
    try:
        check_picture(path)
        data = path.read_bytes()
    except (FrameError, OSError):
        return False
    return not (data.startswith(b"\x89PNG") and picture_count(data) > 1)


def check_picture(path: Path) -> None:
    """Refuse a file whose first bytes are not those of a picture; fast enough for whole folders.

    Raises:
        FrameError: the file does not exist, is a broken link, or is not a picture; it names the
            file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        link = f", a link to {os.readlink(path)}" if path.is_symlink() else ""
        raise FrameError(f"{path}{link}: {error.strerror or error}") from None
    if not start.startswith(_BEGINNINGS):
        begins = f"begins with {start.hex(' ')}" if start else "is empty"
        raise FrameError(f"{path}: not a readable image; the file {begins}")


def _ends_early(data: bytes) -> bool:
    """Whether a JPEG or PNG file lacks its end, which may be followed by other bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        # The last start of a scan, then an end of image: a preview in EXIF has markers of its own.
        return data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) < 0
    return data.startswith(b"\x89PNG") and not png_is_whole(data)
