"""Camera images as views on their buffers, and crops that convert only what they need.

Continuous pixels (see results.py): pixel (row i, column j) covers [j, j+1) x [i, i+1), so the
sample of column j lies at j + 0.5, and the centre u + 0.5 of a crop pixel lies at
``origin + (u + 0.5) / scale`` in the image.
"""

from __future__ import annotations

import math
import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError
from ..geometry.crops import CropWindow
from ..geometry.image_buffer import checked_bytes
from .encodings import BY_NAME, ENCODINGS, TAKEN_FOR
from .resample import BORDER_BGR, plan_cut, resample
from .value_range import value_range_of


class Frame(ABC):
    """One image from which crops are cut.

    :meth:`from_bgr` and :meth:`from_buffer` make one from pixels in memory,
    :class:`siampolar_model.images.compressed.CompressedFrame` from a JPEG or PNG file.

    Attributes:
        width, height: size in pixels.
        encoding: of its pixels, one of :data:`siampolar_model.images.encodings.ENCODINGS`.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Frame
        >>> frame = Frame.from_bgr(np.zeros((480, 640, 3), np.uint8))
        >>> grey = Frame.from_buffer(bytes(12), encoding="mono8", width=4, height=3, step=4)
        >>> frame.width, frame.height, grey.to_bgr().shape
        (640, 480, (3, 4, 3))
    """

    width: int
    height: int
    encoding: str

    @abstractmethod
    def decode(self) -> BufferFrame:
        """The image with its pixels in memory; a compressed one is decoded once.

        Raises:
            FrameError: a compressed image that is damaged.
        """

    @property
    @abstractmethod
    def is_decoded(self) -> bool:
        """Whether its pixels lie in memory already, so that reading them cannot fail."""

    @staticmethod
    def from_bgr(image: np.ndarray) -> BufferFrame:
        """View a uint8 (H, W, 3) BGR array.

        Raises:
            FrameError: another dtype or shape, or no pixels.
        """
        shape = getattr(image, "shape", None)
        dtype = getattr(image, "dtype", type(image).__name__)
        if dtype != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3:
            raise FrameError(f"image is {dtype} {shape}; it must be uint8 (height, width, 3), BGR")
        if not (shape[0] and shape[1]):
            raise FrameError(f"image of {shape[1]}x{shape[0]} px is empty; both must be above 0")
        return BufferFrame(int(shape[1]), int(shape[0]), "bgr8", (image,))

    @staticmethod
    def from_buffer(
        data: Any,
        *,
        encoding: str,
        width: int,
        height: int,
        step: int,
        is_bigendian: bool = False,
    ) -> BufferFrame:
        """View a camera's buffer, with the meaning of the fields of ``sensor_msgs/Image``.

        Args:
            data: contiguous bytes (bytes, memoryview, array.array, uint8 array).
            encoding: one of :data:`ENCODINGS`, or 8UC1, 8UC3 or 16UC1, which are taken for mono8,
                bgr8 and mono16.
            width, height: size in pixels.
            step: bytes from one row to the next, padding included; nv12 and nv21: of both planes.
            is_bigendian: byte order of 16-bit samples.

        Raises:
            FrameError: an unknown encoding, no pixels, a size that the encoding does not allow,
                or a step or data length that contradicts the size.
        """
        encoding = TAKEN_FOR.get(encoding, encoding)
        layout = BY_NAME.get(encoding)
        if layout is None:
            raise FrameError(
                f"unknown encoding {reprlib.repr(encoding)}; supported: {', '.join(ENCODINGS)}"
            )
        size = f"{encoding} image of {width}x{height} px"
        if width <= 0 or height <= 0:
            raise FrameError(f"{size} is empty; both must be above 0")
        if min(width, height) < layout.min_side:
            raise FrameError(f"{size} is too small; both must be at least {layout.min_side}")
        even_height = layout.planes == 2
        if (layout.channels == 2 or even_height) and (width % 2 or (even_height and height % 2)):
            what = "width and height" if even_height else "width"
            raise FrameError(f"{size}: {what} must be even")
        row_bytes = width * max(layout.channels, 1) * (2 if layout.wide else 1)
        rows = height + height // 2 if layout.planes == 2 else height
        flat = checked_bytes(data, size, rows=rows, row_bytes=row_bytes, step=step)
        dtype = np.dtype(">u2" if is_bigendian else "<u2") if layout.wide else np.dtype(np.uint8)

        def view(offset: int, rows: int, columns: int, channels: int) -> np.ndarray:
            shape: tuple[int, ...] = (rows, columns)
            strides: tuple[int, ...] = (step, max(channels, 1) * dtype.itemsize)
            if channels:
                shape, strides = (*shape, channels), (*strides, dtype.itemsize)
            return np.ndarray(shape, dtype, flat, offset, strides)

        planes = [view(0, height, width, layout.channels)]
        if layout.planes == 2:
            planes.append(view(height * step, height // 2, width // 2, 2))
        return BufferFrame(int(width), int(height), encoding, tuple(planes))

    @abstractmethod
    def cut(
        self,
        window: CropWindow,
        out: np.ndarray | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> np.ndarray:
        """The window as uint8 (size, size, 3) BGR, with :data:`BORDER_BGR` outside the image.

        Interpolation is bilinear. A window that shrinks by two or more first averages whole
        pixels. Only the rectangle under the window is read, so the cost does not depend on the
        size of the image.

        Args:
            window: where to cut; it may hang over the border or lie outside.
            out: C-contiguous uint8 (size, size, 3) to write into, such as a row of a batch.
            value_range: the two values of mono16 that become 0 and 255; None takes
                :meth:`value_range` of this image. Other encodings ignore it.

        Raises:
            FrameError: a window that is not finite or has no size, an empty value range, or a
                compressed image that is damaged.
        """

    @abstractmethod
    def to_bgr(self, value_range: tuple[float, float] | None = None) -> np.ndarray:
        """The whole image as a new uint8 (H, W, 3) BGR array; see :meth:`cut`."""

    @abstractmethod
    def value_range(self) -> tuple[float, float] | None:
        """mono16: its 1st and 99th percentile, estimated on a regular grid; None for 8-bit."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that the image takes in memory, once it is decoded."""


@dataclass(frozen=True, eq=False)
class BufferFrame(Frame):
    """Pixels in memory, held as views on the buffer they came in; only what is cut is copied.

    The buffer must not change while the frame is in use.

    Attributes:
        planes: views: one array (H, W) or (H, W, C), or (H, W) and (H/2, W/2, 2) for nv12/nv21.
    """

    width: int
    height: int
    encoding: str
    planes: tuple[np.ndarray, ...]

    def decode(self) -> BufferFrame:
        return self

    @property
    def is_decoded(self) -> bool:
        return True

    def cut(
        self,
        window: CropWindow,
        out: np.ndarray | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> np.ndarray:
        layout = BY_NAME[self.encoding]
        size = window.size
        plan = plan_cut(window, self.width, self.height)
        if out is None:
            out = np.empty((max(size, 0), max(size, 0), 3), np.uint8)
        elif out.shape != (size, size, 3) or out.dtype != np.uint8 or not out.flags["C_CONTIGUOUS"]:
            raise FrameError(
                f"out is {out.dtype} {out.shape}; it must be contiguous uint8 ({size}, {size}, 3)"
            )
        if plan is None:
            out[...] = BORDER_BGR
            return out
        # Grey has no colour to put outside the image, so it is converted first when that shows.
        if layout.late and layout.code is not None and (layout.channels or not plan.hangs):
            region = self.planes[0][plan.y0 : plan.y1, plan.x0 : plan.x1]
            border = layout.native_border
            return cv2.cvtColor(resample(region, plan, size, border), layout.code, dst=out)
        region = self._region_bgr(plan.x0, plan.y0, plan.x1, plan.y1, value_range)
        return resample(region, plan, size, BORDER_BGR, out)

    @property
    def nbytes(self) -> int:
        return sum(plane.nbytes for plane in self.planes)

    def value_range(self) -> tuple[float, float] | None:
        return self._own_range if BY_NAME[self.encoding].wide else None

    def to_bgr(self, value_range: tuple[float, float] | None = None) -> np.ndarray:
        image = self._region_bgr(0, 0, self.width, self.height, value_range)
        return image.copy() if self.encoding == "bgr8" else image

    @cached_property
    def _own_range(self) -> tuple[float, float]:
        return value_range_of(self.planes[0])

    def _region_bgr(
        self, x0: int, y0: int, x1: int, y1: int, value_range: tuple[float, float] | None
    ) -> np.ndarray:
        """A rectangle inside the image as BGR (a view for bgr8), as in the whole image converted.

        Encodings that hide colour in the arrangement of pixels are read from the enclosing
        rectangle that starts and ends where the arrangement repeats.
        """
        layout = BY_NAME[self.encoding]
        if layout.code is None:
            return self.planes[0][y0:y1, x0:x1]
        align_x, align_y = layout.align
        left = max(0, (x0 - layout.margin) // align_x * align_x)
        top = max(0, (y0 - layout.margin) // align_y * align_y)
        right = min(self.width, -(-(x1 + layout.margin) // align_x) * align_x)
        bottom = min(self.height, -(-(y1 + layout.margin) // align_y) * align_y)
        source = self.planes[0][top:bottom, left:right]
        if layout.planes == 2:
            chroma = self.planes[1][top // 2 : bottom // 2, left // 2 : right // 2]
            bgr = cv2.cvtColorTwoPlane(source, chroma, layout.code)
        else:
            if layout.wide:
                source = _to_8bit_table(*(value_range or self._own_range))[source]
            bgr = cv2.cvtColor(source, layout.code)
        return bgr[y0 - top : y1 - top, x0 - left : x1 - left]


@lru_cache(maxsize=8)
def _to_8bit_table(low: float, high: float) -> np.ndarray:
    """Table uint8 (65536,) that maps [low, high] to [0, 255] and saturates."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise FrameError(f"value range ({low:g}, {high:g}) must be finite with low below high")
    table = (np.arange(1 << 16, dtype=np.float64) - low) * (255 / (high - low))
    table = np.clip(np.round(table), 0, 255).astype(np.uint8)
    table.setflags(write=False)
    return table
