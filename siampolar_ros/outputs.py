"""What the tracker node publishes."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from siampolar_model.draw import draw_results
from siampolar_model.session import InitAnswer, SessionResult
from siampolar_ros.msg import InitResult, Targets

from .conversions import message_from_answer, message_from_bgr, message_from_result

_RELIABLE = QoSProfile(depth=10)


class Outputs:
    """Publishers of the tracker node; usable from any thread, one at a time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._targets = node.create_publisher(Targets, "~/targets", _RELIABLE)
        self._init_result = node.create_publisher(InitResult, "~/init_result", _RELIABLE)
        self._overlay = node.create_publisher(Image, "~/overlay", QoSProfile(depth=2))

    def result(self, result: SessionResult) -> None:
        """Publish the targets, and their picture if somebody looks at it."""
        self._targets.publish(message_from_result(result))
        # Humble has no event for a new subscriber.
        if self._overlay.get_subscription_count() > 0:
            picture = draw_results(result.image.frame.to_bgr(), result.results)
            self._overlay.publish(message_from_bgr(picture, result.image.header))

    def answer(self, answer: InitAnswer) -> None:
        self._init_result.publish(message_from_answer(answer))

    def close(self) -> None:
        for publisher in (self._targets, self._init_result, self._overlay):
            self._node.destroy_publisher(publisher)
