"""The demo's own node: starts the target on the first image and notes what comes back."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from siampolar_model.results import Box, TrackResult
from siampolar_ros.msg import InitResult, InitTarget, Targets

from .conversions import results_from_message, stamp_from_ns, stamp_to_ns


@dataclass
class Recording:
    """What was seen, by image stamp in nanoseconds.

    Attributes:
        images: stamps of all images in order of arrival.
        results: what the tracker said of each; the last word counts.
        latency_ms: from the image's stamp to the arrival of its first result.
        init: the answer to the request; None: not yet.
    """

    images: list[int] = field(default_factory=list)
    results: dict[int, list[TrackResult]] = field(default_factory=dict)
    latency_ms: dict[int, float] = field(default_factory=dict)
    init: InitResult | None = None


def stamp_of_serialized(data: bytes) -> int:
    """Stamp in nanoseconds of a serialised message that begins with a header.

    The body of a CDR message follows four bytes, the second of which tells the byte order.
    """
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


class Recorder(Node):
    """Listens to images and targets in ``namespace``; nothing of an image but its stamp is read."""

    def __init__(self, namespace: str, box: Box, image_size: tuple[int, int]) -> None:
        super().__init__("recorder", namespace=namespace)
        self.recording = Recording()
        self._box = box
        self._image_size = image_size
        self._asked = False
        # Nothing may be missed here, however slow this process gets.
        deep = QoSProfile(depth=1000)
        self.create_subscription(Image, "image", self._on_image, deep, raw=True)
        self.create_subscription(Targets, "tracker/targets", self._on_targets, deep)
        self.create_subscription(InitResult, "tracker/init_result", self._on_init_result, deep)
        self._init = self.create_publisher(InitTarget, "tracker/init_target", QoSProfile(depth=10))

    def start_target(self) -> None:
        """Ask for the target once the first image is there and the tracker listens."""
        images = self.recording.images
        if self._asked or not images or self._init.get_subscription_count() == 0:
            return
        self._asked = True
        x, y, width, height = self._box.as_xywh()
        request = InitTarget(x=x, y=y, width=width, height=height)
        request.header.stamp = stamp_from_ns(images[0])
        request.image_width, request.image_height = self._image_size
        self._init.publish(request)

    def _on_image(self, data: bytes) -> None:
        self.recording.images.append(stamp_of_serialized(data))
        self.start_target()

    def _on_targets(self, message: Targets) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.recording.results[stamp_ns] = results_from_message(message)
        self.recording.latency_ms.setdefault(stamp_ns, (time.time_ns() - stamp_ns) / 1e6)

    def _on_init_result(self, message: InitResult) -> None:
        self.recording.init = message
