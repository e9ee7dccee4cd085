"""The image subscription: which reliability, and what the middleware lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

#: Images kept by the middleware while the node is busy.
DEPTH = 5

#: Seconds between looks at the publishers: Humble has no event for a new one.
_LOOK_S = 0.5


def choose_reliability(wanted: str, offered: Iterable[ReliabilityPolicy]) -> ReliabilityPolicy:
    """``auto``: reliable if every publisher offers it (or there is none yet), else best effort."""
    if wanted == "reliable":
        return ReliabilityPolicy.RELIABLE
    if wanted == "best_effort":
        return ReliabilityPolicy.BEST_EFFORT
    if all(policy == ReliabilityPolicy.RELIABLE for policy in offered):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


class ImageInput:
    """Subscribes to ``topic`` and subscribes anew when publishers call for another reliability."""

    def __init__(
        self,
        node: Node,
        topic: str,
        wanted: Callable[[], str],
        on_image: Callable[[Image], None],
        on_lost: Callable[[int], None] = lambda images: None,
    ) -> None:
        self._node = node
        self._topic = topic
        self._wanted = wanted
        self._on_image = on_image
        self._on_lost = on_lost
        self._subscription: Any = None
        self._reliability = ReliabilityPolicy.RELIABLE
        self._subscribe(choose_reliability(wanted(), ()))
        self._timer = node.create_timer(_LOOK_S, self.look)

    @property
    def topic(self) -> str:
        """The topic's full name, remapped."""
        return str(self._subscription.topic_name)

    @property
    def reliability(self) -> ReliabilityPolicy:
        return self._reliability

    def look(self) -> None:
        """Compare with what the publishers offer now."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offered = [publisher.qos_profile.reliability for publisher in publishers]
        if not offered:
            return
        reliability = choose_reliability(self._wanted(), offered)
        if reliability != self._reliability:
            self._node.destroy_subscription(self._subscription)
            self._subscribe(reliability)
            word = "reliable" if reliability == ReliabilityPolicy.RELIABLE else "best effort"
            self._node.get_logger().info(f"images on {self.topic} are now taken {word}")

    def close(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self._reliability = reliability
        qos = QoSProfile(depth=DEPTH, reliability=reliability)
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._on_lost(event.total_count_change)
        )
        try:
            self._subscription = self._node.create_subscription(
                Image, self._topic, self._on_image, qos, event_callbacks=events
            )
        except UnsupportedEventTypeError:  # not every middleware counts
            self._subscription = self._node.create_subscription(
                Image, self._topic, self._on_image, qos
            )
