"""Between ROS messages and the values of this package, without ROS.

rclpy and rosbags make messages of different classes with the same fields, so both are read by
field and written by :class:`ResultMessages`, which is given the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import BoxError, FrameError
from ..geometry.box import Box
from ..geometry.region import Mask, Outline, Point, Region
from ..images.compressed import MAX_PIXELS, CompressedFrame, check_pixels
from ..images.frame import Frame
from ..results import Target, TargetState
from ..session.history import StampedImage
from ..session.requests import InitRequest, InitResult
from ..session.session import Targets

#: The ROS package of our own messages.
PACKAGE = "siampolar_ros"

#: Kinds of InitTarget.msg.
_BOX, _POINT, _POLYGON, _MASK = range(4)

#: Written where no box is expected.
_NO_BOX = Box(0.0, 0.0, 0.0, 0.0)


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def image_from_message(
    message: Any, max_pixels: int = MAX_PIXELS, arrived_s: float | None = None
) -> StampedImage:
    """A view on the message's pixels, which stay alive with it; nothing is copied or decoded.

    Args:
        message: ``sensor_msgs/Image``, or ``sensor_msgs/CompressedImage`` (the one with a
            ``format``).
        arrived_s: when it came in, seconds of the monotonic clock.

    Raises:
        FrameError: an unknown encoding or format, a size that contradicts step or data, or more
            pixels than allowed.
    """
    frame: Frame
    if hasattr(message, "format"):
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


def request_from_message(message: Any) -> InitRequest:
    """The request of a ``siampolar_ros/InitTarget``, also of version 0.1.

    Raises:
        BoxError: an unknown kind, an outline of an odd number of coordinates, or a mask that
            cannot be read.
    """
    size = (int(message.image_width), int(message.image_height))
    return InitRequest(
        region=_region(message),
        stamp_ns=stamp_to_ns(message.header.stamp),
        id=int(message.id),
        image_size=size if any(size) else None,
    )


def _region(message: Any) -> Region:
    kind = int(getattr(message, "kind", _BOX))
    if kind == _BOX:
        return Box.from_xywh(message.x, message.y, message.width, message.height)
    if kind == _POINT:
        return Point(float(message.x), float(message.y))
    if kind == _POLYGON:
        numbers = np.array(message.polygon_xy, np.float32)
        if len(numbers) % 2:
            raise BoxError(f"polygon_xy has {len(numbers)} numbers; it needs x and y of each point")
        return Outline(numbers.reshape(-1, 2))
    if kind == _MASK:
        if message.mask.encoding not in ("mono8", "8UC1"):
            raise BoxError(f"the mask's encoding is {message.mask.encoding!r}; it must be mono8")
        try:
            return Mask(image_from_message(message.mask).frame.decode().planes[0])
        except FrameError as error:
            raise BoxError(f"the mask cannot be read: {error}") from None
    raise BoxError(f"kind is {kind}; it must be 0 (box), 1 (point), 2 (polygon) or 3 (mask)")


def results_from_message(message: Any) -> list[Target]:
    """The targets of a ``siampolar_ros/Targets``; inverse of :meth:`ResultMessages.targets`."""
    return [
        Target(
            id=int(target.id),
            state=TargetState(target.state),
            score=float(target.score),
            quality=float(target.quality),
            box=Box.from_xywh(target.x, target.y, target.width, target.height),
            polygon_xy=np.array(target.polygon_xy, np.float32).reshape(-1, 2),
            confidence=float(target.confidence),
            velocity_xy=(float(target.velocity_x), float(target.velocity_y)),
            predicted_box=_box_or_none(target),
            reason=str(target.reason),
        )
        for target in message.targets
    ]


def _box_or_none(target: Any) -> Box | None:
    """The expected box of a ``siampolar_ros/Target``; a size of 0 means that there is none."""
    x, y = target.predicted_x, target.predicted_y
    width, height = target.predicted_width, target.predicted_height
    return Box.from_xywh(x, y, width, height) if width > 0 and height > 0 else None


class ResultMessages:
    """Makes messages from results.

    Args:
        types: message classes by name, such as ``std_msgs/msg/Header``; called with their fields.
        floats: turns a float32 (N,) array into the value of a field ``float32[]``.
    """

    def __init__(
        self, types: Mapping[str, Callable[..., Any]], floats: Callable[[np.ndarray], Any]
    ) -> None:
        self._types = types
        self._floats = floats

    def target(self, result: Target) -> Any:
        """A ``siampolar_ros/Target``."""
        expected = result.predicted_box or _NO_BOX
        return self._types[f"{PACKAGE}/msg/Target"](
            id=result.id,
            state=int(result.state),
            reason=result.reason,
            confidence=float(result.confidence),
            score=float(result.score),
            quality=float(result.quality),
            x=float(result.box.x1),
            y=float(result.box.y1),
            width=float(result.box.width),
            height=float(result.box.height),
            polygon_xy=self._floats(np.ascontiguousarray(result.polygon_xy, np.float32).ravel()),
            velocity_x=float(result.velocity_xy[0]),
            velocity_y=float(result.velocity_xy[1]),
            predicted_x=float(expected.x1),
            predicted_y=float(expected.y1),
            predicted_width=float(expected.width),
            predicted_height=float(expected.height),
        )

    def targets(self, result: Targets) -> Any:
        """A ``siampolar_ros/Targets`` with the header of the image, unchanged."""
        width, height = result.image.size
        return self._types[f"{PACKAGE}/msg/Targets"](
            header=result.image.header,
            image_width=width,
            image_height=height,
            targets=[self.target(one) for one in result.targets],
        )

    def init_result(self, result: InitResult) -> Any:
        """A ``siampolar_ros/InitResult``; without an image its header is empty."""
        if result.image is not None:
            header = result.image.header
        else:
            stamp = self._types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
            header = self._types["std_msgs/msg/Header"](stamp=stamp, frame_id="")
        return self._types[f"{PACKAGE}/msg/InitResult"](
            header=header, success=result.success, id=result.id, message=result.message
        )
