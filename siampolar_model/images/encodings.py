"""How every supported encoding lies in memory, and how its pixels become BGR."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from .resample import BORDER_BGR


@dataclass(frozen=True)
class Encoding:
    """How one encoding lies in memory and how it becomes BGR.

    Attributes:
        channels: samples per pixel in the first plane (0: one, as a two-dimensional array).
        code: ``cv2.cvtColor`` code to BGR; None if the pixels are BGR already.
        wide: 16-bit samples.
        late: interleaved samples of which each means one channel everywhere. Warping and
            converting commute then, and only the finished crop is converted.
        align: (x, y) multiples that a rectangle must start and end on.
        margin: pixels around a rectangle that its conversion reads.
        min_side: smallest width and height that OpenCV converts.
        planes: 2 for a full plane of Y above a half-size plane of interleaved chroma.
        native_border: what :data:`BORDER_BGR` is in this encoding before it is converted.
    """

    channels: int
    code: int | None
    wide: bool = False
    late: bool = False
    align: tuple[int, int] = (1, 1)
    margin: int = 0
    min_side: int = 1
    planes: int = 1
    native_border: tuple[int, ...] = (0,)


def _interleaved(code: int | None, *native_border: int) -> Encoding:
    return Encoding(len(native_border), code, late=True, native_border=native_border)


def _bayer(code: int) -> Encoding:
    return Encoding(0, code, align=(2, 2), margin=2, min_side=3)


def _yuv422(code: int) -> Encoding:
    return Encoding(2, code, align=(2, 1))


def _two_planes(code: int) -> Encoding:
    return Encoding(0, code, align=(2, 2), planes=2)


# ROS names a Bayer pattern by its first two rows from the first pixel on, OpenCV 4 by the second
# row from the second pixel on: rggb is BayerBG there. ``yuv422`` and ``yuv422_yuy2`` are the older
# names of ``uyvy`` and ``yuyv``. sensor_msgs does not list nv12, but camera drivers use it.
BY_NAME: dict[str, Encoding] = {
    "bgr8": _interleaved(None, *BORDER_BGR),
    "rgb8": _interleaved(cv2.COLOR_RGB2BGR, *BORDER_BGR[::-1]),
    "bgra8": _interleaved(cv2.COLOR_BGRA2BGR, *BORDER_BGR, 255),
    "rgba8": _interleaved(cv2.COLOR_RGBA2BGR, *BORDER_BGR[::-1], 255),
    "mono8": Encoding(0, cv2.COLOR_GRAY2BGR, late=True),
    "mono16": Encoding(0, cv2.COLOR_GRAY2BGR, wide=True),
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

#: OpenCV's names of raw pixels, which say nothing of colour, and what they are taken for.
TAKEN_FOR: dict[str, str] = {"8UC1": "mono8", "8UC3": "bgr8", "16UC1": "mono16"}

#: Names of all encodings, as in ``sensor_msgs/Image``.
ENCODINGS: tuple[str, ...] = tuple(BY_NAME)
