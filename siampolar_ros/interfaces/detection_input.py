"""A detector's boxes, which start targets if the settings allow it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from siampolar_model.session.requests import InitRequest, InitResult
from siampolar_model.session.session import Session

from ..messages import vision_messages
from ..messages.conversions import stamp_to_ns
from ..parameters.settings import DetectionSettings
from .detection_starter import DetectionStarter, Start


class DetectionInput:
    """Takes ``vision_msgs/Detection2DArray`` on ``~/detections_in``, if vision_msgs is installed.

    Args:
        init: asks for a target; its callback gets the result.
    """

    def __init__(
        self,
        node: Node,
        session: Session,
        starter: DetectionStarter,
        settings: Callable[[], DetectionSettings],
        init: Callable[[InitRequest, Callable[[InitResult], None]], None],
    ) -> None:
        self._node = node
        self._session = session
        self._starter = starter
        self._settings = settings
        self._init = init
        self._subscription: Any = None
        if vision_messages.AVAILABLE:
            self._subscription = node.create_subscription(
                vision_messages.Detection2DArray, "~/detections_in", self._take, QoSProfile(depth=5)
            )
        elif settings().auto_init:
            node.get_logger().error(
                "auto_init needs the package vision_msgs: sudo apt-get install "
                "ros-$ROS_DISTRO-vision-msgs"
            )

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        detections = vision_messages.detections_from_message(message)
        for start in self._starter.decide(detections, self._session.ids, self._settings()):
            request = InitRequest(start.detection.box, stamp_ns, start.id)
            self._init(request, partial(self._answered, start))

    def _answered(self, start: Start, answer: InitResult) -> None:
        self._starter.answered(start, answer.id if answer.success else None)
