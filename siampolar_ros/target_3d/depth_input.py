"""The subscription to depth images or point clouds, and how the stream is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from siampolar_model.errors import FrameError
from siampolar_model.geometry.depth import TAKEN_FOR, DepthImage

from ..health.stream_health import StreamHealth
from ..interfaces.image_input import DEPTH, choose_reliability
from ..messages.conversions import stamp_to_ns
from ..messages.serialized_image import SerializedImage
from ..parameters.target_3d import Target3dSettings
from ..runtime.timers import steady_timer

#: The publishers are checked this often, in seconds, as for images.
_LOOK_S = 0.5


class DepthInput:
    """Takes ``depth`` or ``points``, and subscribes again when the publishers' QoS changes.

    Args:
        settings: read at every check and for every message.
        on_depth: called with the header and a :class:`DepthImage` or ``PointCloud2`` of each
            message that can be read, in the executor's thread.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], Target3dSettings],
        on_depth: Callable[[int, Header, DepthImage | PointCloud2], None],
    ) -> None:
        self._node = node
        self._settings = settings
        self._on_depth = on_depth
        self._told: set[str] = set()
        cloud = settings().source == "cloud"
        self._type = PointCloud2 if cloud else Image
        self._type_name = f"sensor_msgs/msg/{self._type.__name__}"
        self.topic = node.resolve_topic_name("points" if cloud else "depth")
        self.health = StreamHealth(self.topic)
        self._subscribe(choose_reliability(settings().depth_reliability, ()))
        self._timer = steady_timer(node, _LOOK_S, self.look)
        self.look()

    def look(self) -> None:
        """Check the publishers, and subscribe again if they offer something else."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        ours = [one for one in publishers if one.topic_type == self._type_name]
        others = {one.topic_type for one in publishers} - {self._type_name}
        self.health.set_publishers(len(ours), tuple(sorted(others)))
        wanted = choose_reliability(
            self._settings().depth_reliability, [one.qos_profile.reliability for one in ours]
        )
        if ours and wanted != self.reliability:
            self._node.destroy_subscription(self._subscription)
            self._subscribe(wanted)

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self.reliability = reliability
        qos = QoSProfile(depth=DEPTH, reliability=reliability)
        # Images as bytes: rclpy's message would be one more copy of all pixels.
        raw = self._type is Image
        take = self._take_image if raw else self._take_cloud
        self._subscription: Any = self._node.create_subscription(
            self._type, self.topic, take, qos, raw=raw
        )

    def _take_image(self, data: bytes) -> None:
        self.health.received()
        settings = self._settings()
        try:
            message = SerializedImage.parse(data)
            depth = DepthImage.from_buffer(
                message.data,
                encoding=message.encoding,
                width=message.width,
                height=message.height,
                step=message.step,
                is_bigendian=bool(message.is_bigendian),
                nearest_m=settings.min_depth,
                farthest_m=settings.max_depth,
            )
        except FrameError as error:
            self.refuse(str(error))
            return
        if message.encoding in TAKEN_FOR and message.encoding not in self._told:
            self._told.add(message.encoding)
            self._node.get_logger().warning(
                f"depth images on {self.topic} have the encoding {message.encoding}; they are "
                f"taken for {TAKEN_FOR[message.encoding]}, millimetres"
            )
        self._on_depth(stamp_to_ns(message.header.stamp), message.header, depth)

    def _take_cloud(self, message: PointCloud2) -> None:
        self.health.received()
        self._on_depth(stamp_to_ns(message.header.stamp), message.header, message)

    def refuse(self, reason: str) -> None:
        """A message that cannot be used."""
        self.health.refused(reason)
        self._node.get_logger().error(f"depth refused: {reason}", throttle_duration_sec=10.0)
