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

from .crops import CropWindow

#: Colour outside the image: the ImageNet mean, so that padding is near zero after normalisation.
BORDER_BGR = (104, 117, 124)

#: Widest window that OpenCV's fixed-point warp addresses exactly.
_MAX_SIDE_PX = 1 << 20

#: mono16: an image's own range leaves this many percent out at either end ...
_RANGE_PERCENT = 1.0
#: ... and is estimated on a regular grid of about this many pixels, whatever the image's size.
_RANGE_SAMPLES = 1 << 16


class FrameError(ValueError):
    """An image that cannot be read; the message names the value and what is allowed."""


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


@dataclass(frozen=True)
class _Plan:
    """Which rectangle of the image a crop needs and how it is resampled.

    Attributes:
        x0, y0, x1, y1: the rectangle in pixels, inside the image, x0 and y0 multiples of ``cell``.
        cell: side in pixels of the squares averaged before the warp; 1: none.
        matrix: float64 (2, 3), crop pixel index to cell index in the rectangle.
        hangs: whether the crop sees something outside the image.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    cell: int
    matrix: np.ndarray
    hangs: bool


def _plan(window: CropWindow, width: int, height: int) -> _Plan | None:
    """The plan of a crop; None when it sees nothing of the image.

    Shrinking by two or more first averages squares of whole pixels on a grid that starts at the
    image's corner, so that the same object looks the same wherever the window begins. Their side
    is a power of two: halving is four times faster than any other shrinking in OpenCV.
    """
    if not (
        math.isfinite(window.cx)
        and math.isfinite(window.cy)
        and 0 < window.side <= _MAX_SIDE_PX
        and window.size > 1  # OpenCV 4.5 cannot write into a single pixel
    ):
        raise FrameError(
            f"crop window {window} must have finite numbers, a side above 0 and at most "
            f"{_MAX_SIDE_PX} px, and a size above 1"
        )
    pitch = window.side / window.size
    # Never wider than the image: beyond that, averaging would only mix in more border.
    cell = 1 << max(0, min(math.floor(pitch + 1e-9), width, height).bit_length() - 1)
    spans, offsets, hangs = [], [], False
    for origin, extent in zip(window.origin_xy, (width, height), strict=True):
        first = (origin + 0.5 * pitch) / cell - 0.5
        last = first + (window.size - 1) * pitch / cell
        # One cell more on each side than bilinear sampling touches: the warp rounds coordinates.
        low, high = math.floor(first) - 1, math.floor(last) + 3
        hangs |= math.floor(first) < 0 or (math.floor(last) + 2) * cell > extent
        low, high = max(low, 0), min(high, -(-extent // cell))
        if low >= high:
            return None
        spans.append((low * cell, min(high * cell, extent)))
        offsets.append(first - low)
    step = pitch / cell
    matrix = np.array([[step, 0, offsets[0]], [0, step, offsets[1]]], np.float64)
    (x0, x1), (y0, y1) = spans
    return _Plan(x0, y0, x1, y1, cell, matrix, hangs)


def _resample(
    region: np.ndarray,
    plan: _Plan,
    size: int,
    border: tuple[float, ...],
    out: np.ndarray | None = None,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Shrink and warp the plan's rectangle (h, w) or (h, w, C) to (size, size[, C])."""
    cell = plan.cell
    while cell > 1:
        height, width = region.shape[:2]
        if height % 2 or width % 2:  # a square cut by the image's edge: the rest of it is border
            region = cv2.copyMakeBorder(
                region, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=border
            )
        half = (-(-width // 2), -(-height // 2))
        region = cv2.resize(region, half, interpolation=cv2.INTER_AREA)
        cell //= 2
    region = _more_than_a_pixel(region, border)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        region, plan.matrix, (size, size), dst=out, flags=flags,
        borderMode=cv2.BORDER_CONSTANT, borderValue=border,
    )  # fmt: skip


def _more_than_a_pixel(region: np.ndarray, border: tuple[float, ...]) -> np.ndarray:
    """OpenCV 4.5 takes no array of a single pixel: lay one of border beside it."""
    if region.shape[:2] != (1, 1):
        return region
    beside = np.empty_like(region)
    beside[:] = border if region.ndim == 3 else border[0]
    return np.concatenate([region, beside], axis=1)


def cut_array(
    image: np.ndarray,
    window: CropWindow,
    *,
    border: tuple[float, ...] = BORDER_BGR,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Cut a window out of a plain array, with the resampling of :meth:`Frame.cut`.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32, C up to 4; rows may be padded.
        border: value outside the image, one number per channel.
        out: array of the result's shape and dtype to write into.

    Returns:
        (size, size) or (size, size, C) of the image's dtype; ``out`` where it was given.

    Raises:
        FrameError: a window that is not finite or has no size.
    """
    height, width = image.shape[:2]
    plan = _plan(window, width, height)
    if plan is None:
        if out is None:
            out = np.empty((window.size, window.size, *image.shape[2:]), image.dtype)
        out[...] = border if image.ndim == 3 else border[0]
        return out
    region = image[plan.y0 : plan.y1, plan.x0 : plan.x1]
    return _resample(region, plan, window.size, border, out)


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
        plan = _plan(window, self.width, self.height)
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
            return cv2.cvtColor(_resample(region, plan, size, border), fmt.code, dst=out)
        region = self._region_bgr(plan.x0, plan.y0, plan.x1, plan.y1, value_range)
        return _resample(region, plan, size, BORDER_BGR, out)

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
        stride = max(1, math.isqrt(self.width * self.height // _RANGE_SAMPLES))
        grid = self.planes[0][::stride, ::stride]
        low, high = np.percentile(grid, [_RANGE_PERCENT, 100 - _RANGE_PERCENT])
        return float(low), float(max(high, low + 1))  # a flat image has no range of its own

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
