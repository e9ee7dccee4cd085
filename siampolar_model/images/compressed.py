"""JPEG and PNG images as frames that are decoded when their pixels are first needed.

The size is read from the first bytes. An image that is too large is therefore refused before any
memory is allocated for it, and an image that is skipped because a newer one came is never decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError
from ..geometry.crops import CropWindow
from .frame import BufferFrame, Frame

#: Default limit of pixels per image: 8K has 33 million.
MAX_PIXELS = 50_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

# JPEG markers (ITU-T T.81, table B.1): frame headers are C0 to CF without DHT, JPG and DAC.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

# The EXIF orientation of a camera mounted upside down must not rotate the image, because boxes are
# given in the pixels as they are stored.
_AS_STORED = cv2.IMREAD_IGNORE_ORIENTATION

# Encoding of the decoded pixels -> flags of cv2.imdecode, and bytes per pixel.
_DECODE = {
    "bgr8": (cv2.IMREAD_COLOR | _AS_STORED, 3),
    "mono8": (cv2.IMREAD_GRAYSCALE | _AS_STORED, 1),
    "mono16": (cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | _AS_STORED, 2),
}


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of a file tell: its size in pixels and the encoding of its pixels."""

    kind: str
    width: int
    height: int
    encoding: str


def read_header(data: bytes | memoryview) -> ImageHeader:
    """Size and kind of a JPEG or PNG image, without decoding it.

    The encoding of colour is ``bgr8``, also of 16-bit colour; that of grey is ``mono8`` or, in a
    16-bit PNG, ``mono16``.

    Raises:
        FrameError: neither JPEG nor PNG, or a header that is cut off or not allowed.
    """
    start = bytes(data[:8])
    if start.startswith(_PNG):
        header = _read_png(bytes(data[:33]))
    elif start.startswith(_JPEG):
        header = _read_jpeg(data)
    else:
        raise FrameError(
            f"compressed image begins with {start.hex(' ') or 'nothing'}; supported: JPEG and PNG"
        )
    if not (header.width and header.height):
        raise FrameError(
            f"{header.kind} image of {header.width}x{header.height} px is empty; both must be "
            "above 0"
        )
    return header


def _read_png(start: bytes) -> ImageHeader:
    """The IHDR chunk, which comes first (PNG specification, 11.2.2)."""
    if len(start) < 33 or start[12:16] != b"IHDR":
        raise FrameError("PNG image without a whole IHDR chunk: it is cut off or damaged")
    width, height, depth, color = struct.unpack_from(">IIBB", start, 16)
    grey = color in (0, 4)
    encoding = ("mono16" if depth == 16 else "mono8") if grey else "bgr8"
    return ImageHeader("PNG", width, height, encoding)


def png_is_whole(data: bytes | memoryview) -> bool:
    """Whether every chunk of a PNG file lies in it, the last one included.

    OpenCV takes the memory for a chunk by the length that is written there, up to 2 GB.
    """
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False


def _read_jpeg(data: bytes | memoryview) -> ImageHeader:
    """The first frame header, found by stepping over the segments before it."""
    at, end = 2, len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAME_HEADERS:
            if at + 10 > end or length < 8:
                break
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if precision != 8:
                raise FrameError(f"JPEG image of {precision} bits per sample; supported: 8")
            return ImageHeader("JPEG", width, height, "mono8" if components == 1 else "bgr8")
        if length < 2:
            break
        at += 2 + length
    raise FrameError("JPEG image without a frame header: it is cut off or damaged")


class CompressedFrame(Frame):
    """A JPEG or PNG file whose pixels are decoded once, by the first method that needs them.

    Not for use by several threads at once.

    Args:
        data: bytes of the whole file; they must not change.
        max_pixels: most pixels that the image may have.

    Raises:
        FrameError: see :func:`read_header`; or more pixels than allowed.
    """

    def __init__(self, data: Any, max_pixels: int = MAX_PIXELS) -> None:
        self._data = memoryview(data).cast("B")
        self._header = read_header(self._data)
        self.width, self.height = self._header.width, self._header.height
        self.encoding = self._header.encoding
        check_pixels(self.width, self.height, max_pixels)
        self._decoded: BufferFrame | None = None

    def decode(self) -> BufferFrame:
        if self._decoded is None:
            self._decoded = BufferFrame(self.width, self.height, self.encoding, (self._pixels(),))
        return self._decoded

    @property
    def is_decoded(self) -> bool:
        return self._decoded is not None

    def _pixels(self) -> np.ndarray:
        """The decoded pixels, (H, W, 3) or (H, W)."""
        flags, _ = _DECODE[self.encoding]
        image, reason = None, "it is cut off or damaged"
        if self._header.kind != "PNG" or png_is_whole(self._data):
            try:
                image = cv2.imdecode(np.frombuffer(self._data, np.uint8), flags)
            except cv2.error as error:
                reason = error.err or str(error)
        size = f"{self._header.kind} image of {self.width}x{self.height} px"
        if image is None:
            raise FrameError(f"{size} cannot be decoded: {' '.join(reason.split())}")
        if image.shape[:2] != (self.height, self.width):
            raise FrameError(f"{size} was decoded to {image.shape[1]}x{image.shape[0]} px")
        return image

    def cut(
        self,
        window: CropWindow,
        out: np.ndarray | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> np.ndarray:
        return self.decode().cut(window, out, value_range)

    def to_bgr(self, value_range: tuple[float, float] | None = None) -> np.ndarray:
        return self.decode().to_bgr(value_range)

    def value_range(self) -> tuple[float, float] | None:
        return self.decode().value_range()

    @property
    def nbytes(self) -> int:
        return len(self._data) + self.width * self.height * _DECODE[self.encoding][1]


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image with more pixels than allowed.

    Raises:
        FrameError: naming the size and the limit.
    """
    if width * height > max_pixels:
        raise FrameError(
            f"image of {width}x{height} px has {width * height / 1e6:.1f} million pixels; at most "
            f"{max_pixels / 1e6:g} million are allowed (max_image_pixels)"
        )
