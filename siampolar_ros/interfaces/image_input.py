"""The image subscription: which topic, type and reliability, and how the stream is doing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CompressedImage, Image

from siampolar_model.errors import FrameError
from siampolar_model.images.encodings import TAKEN_FOR
from siampolar_model.session.history import StampedImage

from ..health.stream_health import StreamHealth
from ..messages.conversions import image_from_message
from ..messages.serialized_image import SerializedCompressedImage, SerializedImage
from ..parameters.settings import ImageSettings
from ..runtime.timers import steady_timer

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

#: Images kept by the middleware while the node is busy. After a retransmission, a reliable reader
#: receives several images at once, often six without our Fast DDS profile. A queue of 5 silently
#: drops one of them.
DEPTH = 10

#: The publishers are checked this often, in seconds: Humble has no event for a new one.
_LOOK_S = 0.5

_TYPES = {"raw": Image, "compressed": CompressedImage}
_PARSERS: dict[str, Callable[[bytes], SerializedImage | SerializedCompressedImage]] = {
    "raw": SerializedImage.parse,
    "compressed": SerializedCompressedImage.parse,
}
_TYPE_NAMES = {"raw": "sensor_msgs/msg/Image", "compressed": "sensor_msgs/msg/CompressedImage"}


def choose_reliability(wanted: str, offered: Iterable[ReliabilityPolicy]) -> ReliabilityPolicy:
    """``auto`` is reliable if every publisher offers it (or none exists yet), else best effort."""
    if wanted == "reliable":
        return ReliabilityPolicy.RELIABLE
    if wanted == "best_effort":
        return ReliabilityPolicy.BEST_EFFORT
    if all(policy == ReliabilityPolicy.RELIABLE for policy in offered):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


def image_topic(base: str, transport: str) -> str:
    """The topic of a transport, named as image_transport does."""
    compressed = transport == "compressed" and not base.endswith("/compressed")
    return base + "/compressed" if compressed else base


class ImageInput:
    """Takes the images on a topic, and subscribes again when settings or publishers change.

    Args:
        settings: read at every check, so that a change takes effect within half a second.
        on_image: called in the executor's thread with each image that can be read.
        on_lost: called with the number of images that the middleware reports as lost.
        topic: where the images are; a remapping applies.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], ImageSettings],
        on_image: Callable[[StampedImage], None],
        on_lost: Callable[[int], None] = lambda images: None,
        topic: str = "image",
    ) -> None:
        self._node = node
        self._settings = settings
        self._on_image = on_image
        self._on_lost = on_lost
        self._closed = False
        self._told: set[str] = set()  # encodings that were warned of
        #: The topic, remapped, without what the transport adds.
        self.base = node.resolve_topic_name(topic)
        self._open(settings())
        self._timer = steady_timer(node, _LOOK_S, self.look)
        self.look()  # the publishers may be known already, as when a node is activated again

    def look(self) -> None:
        """Check the publishers and the settings, and subscribe again if they changed."""
        settings = self._settings()
        if settings.image_transport != self.transport:
            self._node.destroy_subscription(self._subscription)
            self._open(settings)
            self._node.get_logger().info(f"subscribed to {self.topic}")
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        ours = [p for p in publishers if p.topic_type == _TYPE_NAMES[settings.image_transport]]
        others = {p.topic_type for p in publishers} - {_TYPE_NAMES[settings.image_transport]}
        neighbour = "" if ours else self._neighbour(settings.image_transport)
        self.health.set_publishers(len(ours), tuple(sorted(others)), neighbour)
        reliability = choose_reliability(
            settings.image_reliability, [p.qos_profile.reliability for p in ours]
        )
        if ours and reliability != self.reliability:
            self._node.destroy_subscription(self._subscription)
            self._subscribe(settings, reliability)
            word = "reliable" if reliability == ReliabilityPolicy.RELIABLE else "best-effort"
            self._node.get_logger().info(f"subscribed to {self.topic} with {word} QoS")

    def _neighbour(self, transport: str) -> str:
        """The same images by the other transport, if somebody publishes them."""
        other = "raw" if transport == "compressed" else "compressed"
        topic = image_topic(self.base, other)
        publishers = self._node.get_publishers_info_by_topic(topic)
        if topic == self.topic or _TYPE_NAMES[other] not in {p.topic_type for p in publishers}:
            return ""
        return f"but on {topic}; set image_transport to {other}"

    def close(self) -> None:
        self._closed = True
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

    def _open(self, settings: ImageSettings) -> None:
        self.topic = image_topic(self.base, settings.image_transport)
        self.health = StreamHealth(self.topic)
        self._subscribe(settings, choose_reliability(settings.image_reliability, ()))

    def _subscribe(self, settings: ImageSettings, reliability: ReliabilityPolicy) -> None:
        self.transport = settings.image_transport
        self.reliability = reliability
        self.health.set_incompatible("")
        qos = QoSProfile(depth=DEPTH, reliability=reliability)
        parse = _PARSERS[settings.image_transport]
        arguments = (
            _TYPES[settings.image_transport],
            self.topic,
            lambda data: self._take(parse, data),
            qos,
        )
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._lose(event.total_count_change),
            incompatible_qos=self._on_incompatible_qos,
        )
        self._subscription: Any
        try:
            self._subscription = self._node.create_subscription(
                *arguments, event_callbacks=events, raw=True
            )
        except UnsupportedEventTypeError:  # not every middleware reports these events
            self._subscription = self._node.create_subscription(*arguments, raw=True)

    def _take(
        self,
        parse: Callable[[bytes], SerializedImage | SerializedCompressedImage],
        data: bytes,
    ) -> None:
        if self._closed:
            return  # taken by the executor before the subscription ended
        self.health.received()
        try:
            message = parse(data)
            image = image_from_message(message, self._settings().max_image_pixels)
        except FrameError as error:
            self.health.refused(str(error))
            self._node.get_logger().error(f"image refused: {error}", throttle_duration_sec=1.0)
            return
        self._say_taken_for(getattr(message, "encoding", ""))
        self._on_image(image)

    def _say_taken_for(self, encoding: str) -> None:
        """Say once what an encoding that does not name its colours is taken for."""
        if encoding in TAKEN_FOR and encoding not in self._told:
            self._told.add(encoding)
            self._node.get_logger().warning(
                f"images on {self.topic} have the encoding {encoding}, which does not name their "
                f"colours; they are taken for {TAKEN_FOR[encoding]}"
            )

    def _lose(self, images: int) -> None:
        self.health.lost(images)
        self._on_lost(images)

    def _on_incompatible_qos(self, event: Any) -> None:
        wanted = self._settings().image_reliability
        if wanted == "auto":
            return  # the next check subscribes with the reliability that is offered
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        reason = (
            f"a publisher on {self.topic} offers incompatible QoS ({policy}): none of its images "
            f"arrives; image_reliability is {wanted}, set it to auto"
        )
        self.health.set_incompatible(reason)
        self._node.get_logger().warning(reason)
