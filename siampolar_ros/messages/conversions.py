"""Between ROS messages and the values of siampolar_model."""

from __future__ import annotations

import time
from array import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from siampolar_model.geometry.box import Box
from siampolar_model.images.compressed import MAX_PIXELS, CompressedFrame, check_pixels
from siampolar_model.images.frame import Frame
from siampolar_model.results import Target, TargetState
from siampolar_model.session.history import StampedImage
from siampolar_model.session.requests import InitRequest, InitResult
from siampolar_model.session.session import Targets

from .. import msg
from .serialized_image import SerializedCompressedImage, SerializedImage

#: Of the compressed overlay: lines and text without visible blocks.
_JPEG_QUALITY = 85


def stamp_to_ns(stamp: Time) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def image_from_message(
    message: Image | SerializedImage | CompressedImage | SerializedCompressedImage,
    max_pixels: int = MAX_PIXELS,
) -> StampedImage:
    """A view on the message's pixels, which stay alive with it; nothing is copied or decoded.

    Raises:
        FrameError: an unknown encoding or format, a size that contradicts step or data, or more
            pixels than allowed.
    """
    arrived_s = time.monotonic()
    frame: Frame
    if isinstance(message, (CompressedImage, SerializedCompressedImage)):
        frame = CompressedFrame(message.data, max_pixels)
    else:
        check_pixels(message.width, message.height, max_pixels)
        frame = Frame.from_buffer(
            message.data,
            encoding=message.encoding,
            width=message.width,
            height=message.height,
            step=message.step,
            is_bigendian=bool(message.is_bigendian),
        )
    return StampedImage(stamp_to_ns(message.header.stamp), frame, message.header, arrived_s)


def message_from_bgr(image: np.ndarray, header: Header) -> Image:
    """``bgr8`` message of a uint8 (H, W, 3) image; one copy."""
    return _image(image, "bgr8", header)


def message_from_labels(labels: np.ndarray, header: Header) -> Image:
    """``mono16`` message of a uint16 (H, W) image; one copy."""
    return _image(labels.astype("<u2", copy=False), "mono16", header)


def _image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = pixels.nbytes // height
    # Assigning bytes or an array checks every element; this does not.
    message.data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return message


def jpeg_from_bgr(image: np.ndarray, header: Header) -> CompressedImage:
    """JPEG message of a uint8 (H, W, 3) image."""
    message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    message.data.frombytes(data.data.cast("B"))
    return message


def request_from_target(message: msg.InitTarget) -> InitRequest:
    size = (int(message.image_width), int(message.image_height))
    return InitRequest(
        box=Box.from_xywh(message.x, message.y, message.width, message.height),
        stamp_ns=stamp_to_ns(message.header.stamp),
        id=int(message.id),
        image_size=size if any(size) else None,
    )


def request_from_roi(message: RegionOfInterest) -> InitRequest:
    """A new target on the newest image: a RegionOfInterest has no header."""
    box = Box.from_xywh(message.x_offset, message.y_offset, message.width, message.height)
    return InitRequest(box)


def message_from_answer(answer: InitResult) -> msg.InitResult:
    header = Header() if answer.image is None else answer.image.header
    return msg.InitResult(
        header=header, success=answer.success, id=answer.id, message=answer.message
    )


def message_from_result(result: Targets) -> msg.Targets:
    """Targets with the header of the image, unchanged."""
    width, height = result.image.size
    return msg.Targets(
        header=result.image.header,
        image_width=width,
        image_height=height,
        targets=[message_from_track(one) for one in result.targets],
    )


def results_from_message(message: msg.Targets) -> list[Target]:
    """Inverse of :func:`message_from_result`, without the rays, which are not published."""
    return [
        Target(
            id=int(target.id),
            state=TargetState(target.state),
            score=float(target.score),
            quality=float(target.quality),
            box=Box.from_xywh(target.x, target.y, target.width, target.height),
            center_xy=(target.x + target.width / 2, target.y + target.height / 2),
            rays_px=np.zeros(0, np.float32),
            polygon_xy=np.array(target.polygon_xy, np.float32).reshape(-1, 2),
        )
        for target in message.targets
    ]


def message_from_track(result: Target) -> msg.Target:
    """One target, as on one image."""
    outline = array("f")
    outline.frombytes(np.ascontiguousarray(result.polygon_xy, np.float32).tobytes())
    return msg.Target(
        id=result.id,
        state=int(result.state),
        score=float(result.score),
        quality=float(result.quality),
        x=float(result.box.x1),
        y=float(result.box.y1),
        width=float(result.box.width),
        height=float(result.box.height),
        polygon_xy=outline,
    )
