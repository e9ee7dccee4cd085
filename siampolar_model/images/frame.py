"""Camera images as views on their buffers, and crops that convert only what they need.

Continuous pixels (see results.py): pixel (row i, column j) covers [j, j+1) x [i, i+1), so the
sample of column j lies at j + 0.5, and the centre u + 0.5 of a crop pixel lies at
``origin + (u + 0.5) / scale`` in the image.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError
from ..geometry.crops import CropWindow
from .resample import BORDER_BGR, plan_cut, resample
from .value_range import value_range_of


@dataclass(frozen=True)
class _Format:
    """How one encoding lies in memory and how it becomes BGR.

    Attributes:
        channels: samples per pixel in the first plane (0: one, as a two-dimensional array).
        code: ``cv2.cvtColor`` code to BGR; None: needs none.
        wide: 16-bit samples.
        late: interleaved samples, each meaning one channel everywhere, so that warping and
            converting commute and only the finished crop is converted.
        align: (x, y) multiples that a rectangle must start and end on.
        margin: pixels beyond a rectangle that converting it looks at.
        min_side: smallest width and height that OpenCV converts.
        planes: 2 for a full plane of Y above a half-size plane of interleaved chroma.
    """

    channels: int
    code: int | None
    wide: bool = False
    late: bool = False
    align: tuple[int, int] = (1, 1)
    margin: int = 0
    min_side: int = 1
    planes: int = 1


def _bayer(code: int) -> _Format:
    return _Format(0, code, align=(2, 2), margin=2, min_side=3)


def _yuv422(code: int) -> _Format:
    return _Format(2, code, align=(2, 1))


def _two_planes(code: int) -> _Format:
    return _Format(0, code, align=(2, 2), planes=2)


# ROS names a Bayer pattern by its first two rows from the first pixel on, OpenCV 4 by the second
# row from the second pixel on: rggb is BayerBG there. ``yuv422`` and ``yuv422_yuy2`` are the older
# names of ``uyvy`` and ``yuyv``; sensor_msgs has no nv12, which camera drivers use all the same.
_FORMATS: dict[str, _Format] = {
    "bgr8": _Format(3, None, late=True),
    "rgb8": _Format(3, cv2.COLOR_RGB2BGR, late=True),
    "bgra8": _Format(4, cv2.COLOR_BGRA2BGR, late=True),
    "rgba8": _Format(4, cv2.COLOR_RGBA2BGR, late=True),
    "mono8": _Format(0, cv2.COLOR_GRAY2BGR, late=True),
    "mono16": _Format(0, cv2.COLOR_GRAY2BGR, wide=True),
    "bayer_rggb8": _bayer(cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGB2BGR),
    "uyvy": _yuv422(cv2.COLOR_YUV2BGR_UYVY),
    "yuv422": _yuv422(cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": _yuv422(cv2.COLOR_YUV2BGR_YUY2),
    "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2BGR_YUY2),
    "nv12": _two_planes(cv2.COLOR_YUV2BGR_NV12),
    "nv21": _two_planes(cv2.COLOR_YUV2BGR_NV21),
}

#: Every encoding that :meth:`Frame.from_buffer` reads.
ENCODINGS: tuple[str, ...] = tuple(_FORMATS)

# What a crop of each late format looks like outside the image, before it is converted.
_NATIVE_BORDER = {
    "bgr8": BORDER_BGR,
    "rgb8": BORDER_BGR[::-1],
    "bgra8": (*BORDER_BGR, 255),
    "rgba8": (*BORDER_BGR[::-1], 255),
}


@lru_cache(maxsize=8)
def _to_8bit_table(low: float, high: float) -> np.ndarray:
    """Table uint8 (65536,) that maps [low, high] to [0, 255] and saturates."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise FrameError(f"value range ({low:g}, {high:g}) must be finite with low below high")
    table = (np.arange(1 << 16, dtype=np.float64) - low) * (255 / (high - low))
    table = np.clip(np.round(table), 0, 255).astype(np.uint8)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, eq=False)
class Frame:
    """One image, held as views on the buffer it came in; nothing is copied until it is cut.

    Make one with :meth:`from_bgr` or :meth:`from_buffer`. The buffer must not change while the
    frame is in use.

    Attributes:
        width, height: size in pixels.
        encoding: one of :data:`ENCODINGS`.
        planes: views: one array (H, W) or (H, W, C), or (H, W) and (H/2, W/2, 2) for nv12/nv21.

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
    planes: tuple[np.ndarray, ...]

    @classmethod
    def from_bgr(cls, image: np.ndarray) -> Frame:
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
        return cls(int(shape[1]), int(shape[0]), "bgr8", (image,))

    @classmethod
    def from_buffer(
        cls,
        data: Any,
        *,
        encoding: str,
        width: int,
        height: int,
        step: int,
        is_bigendian: bool = False,
    ) -> Frame:
        """View a camera's buffer, with the meaning of the fields of ``sensor_msgs/Image``.

        Args:
            data: contiguous bytes (bytes, memoryview, array.array, uint8 array).
            encoding: one of :data:`ENCODINGS`.
            width, height: size in pixels.
            step: bytes from one row to the next, padding included; nv12 and nv21: of both planes.
            is_bigendian: byte order of 16-bit samples.

        Raises:
            FrameError: an unknown encoding, no pixels, a size that the encoding does not allow,
                or a step or data length that contradicts the size.
        """
        fmt = _FORMATS.get(encoding)
        if fmt is None:
            raise FrameError(
                f"unknown encoding {reprlib.repr(encoding)}; supported: {', '.join(ENCODINGS)}"
            )
        size = f"{encoding} image of {width}x{height} px"
        if width <= 0 or height <= 0:
            raise FrameError(f"{size} is empty; both must be above 0")
        if min(width, height) < fmt.min_side:
            raise FrameError(f"{size} is too small; both must be at least {fmt.min_side}")
        even_height = fmt.planes == 2
        if (fmt.channels == 2 or even_height) and (width % 2 or (even_height and height % 2)):
            what = "width and height" if even_height else "width"
            raise FrameError(f"{size}: {what} must be even")
        row_bytes = width * max(fmt.channels, 1) * (2 if fmt.wide else 1)
        if step < row_bytes:
            raise FrameError(f"{size} has a step of {step}; it must be at least {row_bytes} bytes")
        try:
            flat = np.frombuffer(data, np.uint8)
        except (TypeError, ValueError, BufferError) as error:
            raise FrameError(f"{size}: data is not contiguous bytes ({error})") from None
        rows = height + height // 2 if fmt.planes == 2 else height
        # Some drivers leave out the padding of the last row.
        if not (rows - 1) * step + row_bytes <= len(flat) <= rows * step:
            raise FrameError(
                f"{size} with a step of {step} has {len(flat)} bytes; it must have {rows * step}"
            )
        dtype = np.dtype(">u2" if is_bigendian else "<u2") if fmt.wide else np.dtype(np.uint8)

        def view(offset: int, rows: int, columns: int, channels: int) -> np.ndarray:
            shape: tuple[int, ...] = (rows, columns)
            strides: tuple[int, ...] = (step, max(channels, 1) * dtype.itemsize)
            if channels:
                shape, strides = (*shape, channels), (*strides, dtype.itemsize)
            return np.ndarray(shape, dtype, flat, offset, strides)

        planes = [view(0, height, width, fmt.channels)]
        if fmt.planes == 2:
            planes.append(view(height * step, height // 2, width // 2, 2))
        return cls(int(width), int(height), encoding, tuple(planes))

    def cut(
        self,
        window: CropWindow,
        out: np.ndarray | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> np.ndarray:
        """The window as uint8 (size, size, 3) BGR; outside the image it is :data:`BORDER_BGR`.

        Bilinear; when it shrinks by two or more, whole pixels are averaged first. Only the
        rectangle under the window is read, so the cost does not depend on the image's size.

        Args:
            window: where to cut; it may hang over the border or lie outside.
            out: C-contiguous uint8 (size, size, 3) to write into, such as a row of a batch.
            value_range: mono16: what becomes 0 and 255; None: :meth:`value_range` of this image.
                Other encodings ignore it.

        Raises:
            FrameError: a window that is not finite or has no size, or an empty value range.
        """
        fmt = _FORMATS[self.encoding]
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
        if fmt.late and fmt.code is not None and (fmt.channels or not plan.hangs):
            region = self.planes[0][plan.y0 : plan.y1, plan.x0 : plan.x1]
            border = _NATIVE_BORDER.get(self.encoding, (0,))
            return cv2.cvtColor(resample(region, plan, size, border), fmt.code, dst=out)
        region = self._region_bgr(plan.x0, plan.y0, plan.x1, plan.y1, value_range)
        return resample(region, plan, size, BORDER_BGR, out)

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels take."""
        return sum(plane.nbytes for plane in self.planes)

    def value_range(self) -> tuple[float, float] | None:
        """mono16: its 1st and 99th percentile, estimated on a regular grid; None for 8-bit."""
        return self._own_range if _FORMATS[self.encoding].wide else None

    def to_bgr(self, value_range: tuple[float, float] | None = None) -> np.ndarray:
        """The whole image as a new uint8 (H, W, 3) BGR array; ``value_range`` as in :meth:`cut`."""
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
        fmt = _FORMATS[self.encoding]
        if fmt.code is None:
            return self.planes[0][y0:y1, x0:x1]
        align_x, align_y = fmt.align
        left = max(0, (x0 - fmt.margin) // align_x * align_x)
        top = max(0, (y0 - fmt.margin) // align_y * align_y)
        right = min(self.width, -(-(x1 + fmt.margin) // align_x) * align_x)
        bottom = min(self.height, -(-(y1 + fmt.margin) // align_y) * align_y)
        source = self.planes[0][top:bottom, left:right]
        if fmt.planes == 2:
            chroma = self.planes[1][top // 2 : bottom // 2, left // 2 : right // 2]
            bgr = cv2.cvtColorTwoPlane(source, chroma, fmt.code)
        else:
            if fmt.wide:
                source = _to_8bit_table(*(value_range or self._own_range))[source]
            bgr = cv2.cvtColor(source, fmt.code)
        return bgr[y0 - top : y1 - top, x0 - left : x1 - left]
