"""What the tracker node is asked: start, remove and list targets, by topic and by service."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import RegionOfInterest

from siampolar_model.session import InitAnswer, InitRequest, Session
from siampolar_ros.msg import InitTarget

from .conversions import request_from_roi, request_from_target
from .outputs import Outputs

_QOS = QoSProfile(depth=10)


class TargetRequests:
    """Hands requests to the session and its answers back.

    Topics: ``~/init_target`` (siampolar_ros/InitTarget) and ``~/init_roi``
    (sensor_msgs/RegionOfInterest: a new target on the newest image), while :meth:`open`.
    """

    def __init__(self, node: Node, session: Session, outputs: Outputs) -> None:
        self._node = node
        self._session = session
        self._outputs = outputs
        self._subscriptions: list[Any] = []

    def open(self) -> None:
        """Listen to init topics."""
        subscribe = self._node.create_subscription
        self._subscriptions = [
            subscribe(InitTarget, "~/init_target", self._on_init_target, _QOS),
            subscribe(RegionOfInterest, "~/init_roi", self._on_init_roi, _QOS),
        ]

    def close(self) -> None:
        """Listen no more."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)

    def init(self, request: InitRequest) -> None:
        """Ask for a target; what becomes of it is logged and published."""
        if self._subscriptions:
            self._session.init(request, self._on_answer)
        else:  # taken by the executor before the subscription ended
            self._on_answer(InitAnswer(False, request.id, "the tracker is not active"))

    def _on_init_target(self, message: InitTarget) -> None:
        self.init(request_from_target(message))

    def _on_init_roi(self, message: RegionOfInterest) -> None:
        self.init(request_from_roi(message))

    def _on_answer(self, answer: InitAnswer) -> None:
        if answer.success:
            self._node.get_logger().info(f"target {answer.id} started")
        else:
            self._node.get_logger().error(f"init refused: {answer.message}")
        self._outputs.answer(answer)
