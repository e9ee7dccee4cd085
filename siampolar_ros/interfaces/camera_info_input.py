"""The subscription to the camera's calibration, which also announces its images."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo


def camera_info_topic(node: Node, image_topic: str) -> str:
    """``camera_info`` as remapped, else the one next to the image topic, as in image_transport."""
    remapped = node.resolve_topic_name("camera_info")
    if remapped != node.resolve_topic_name("camera_info", only_expand=True):
        return remapped
    return image_topic.removesuffix("/compressed").rpartition("/")[0] + "/camera_info"


class CameraInfoInput:
    """Hands on every ``sensor_msgs/CameraInfo`` of the camera whose images are taken.

    Args:
        image_topic: full name of the image topic, from which the name of this topic follows.
    """

    def __init__(self, node: Node, image_topic: str, on_info: Callable[[CameraInfo], None]) -> None:
        self._node = node
        # Best effort matches every publisher, and a missed message does not matter.
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.topic = camera_info_topic(node, image_topic)
        self._subscription = node.create_subscription(CameraInfo, self.topic, on_info, qos)

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)
