"""Messages of rclpy, made and read; what a bag needs as well is in siampolar_model.io.messages."""

from __future__ import annotations

import time
from array import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from siampolar_model.geometry.box import Box
from siampolar_model.images.compressed import MAX_PIXELS
from siampolar_model.io import messages
from siampolar_model.io.messages import stamp_to_ns as stamp_to_ns
from siampolar_model.session.history import StampedImage
from siampolar_model.session.requests import InitRequest
from siampolar_model.session.session import Targets

from .. import msg
from .serialized_image import SerializedCompressedImage, SerializedImage

#: Of the compressed overlay: lines and text without visible blocks.
_JPEG_QUALITY = 85


def stamp_from_ns(stamp_ns: int) -> Time:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def image_from_message(
    message: Image | SerializedImage | CompressedImage | SerializedCompressedImage,
    max_pixels: int = MAX_PIXELS,
) -> StampedImage:
    """As :func:`siampolar_model.io.messages.image_from_message`, of a message that came in now."""
    return messages.image_from_message(message, max_pixels, time.monotonic())


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


def summary_from_result(result: Targets) -> msg.Summary:
    """The numbers of all targets, a list of each."""
    targets = result.targets
    return msg.Summary(
        header=result.image.header,
        id=[target.id for target in targets],
        state=[target.state.name.lower() for target in targets],
        confidence=[target.confidence for target in targets],
        x=[target.box.center_xy[0] for target in targets],
        y=[target.box.center_xy[1] for target in targets],
        width=[target.box.width for target in targets],
        height=[target.box.height for target in targets],
        velocity_x=[target.velocity_xy[0] for target in targets],
        velocity_y=[target.velocity_xy[1] for target in targets],
    )


def request_from_roi(message: RegionOfInterest) -> InitRequest:
    """A new target on the newest image: a RegionOfInterest has no header."""
    box = Box.from_xywh(message.x_offset, message.y_offset, message.width, message.height)
    return InitRequest(box)


def _floats(values: np.ndarray) -> array[float]:
    floats = array("f")
    floats.frombytes(values.tobytes())
    return floats


_RESULTS = messages.ResultMessages(
    {
        "builtin_interfaces/msg/Time": Time,
        "std_msgs/msg/Header": Header,
        "siampolar_ros/msg/InitResult": msg.InitResult,
        "siampolar_ros/msg/Target": msg.Target,
        "siampolar_ros/msg/Targets": msg.Targets,
    },
    _floats,
)
message_from_answer = _RESULTS.init_result
message_from_result = _RESULTS.targets
message_from_target = _RESULTS.target
