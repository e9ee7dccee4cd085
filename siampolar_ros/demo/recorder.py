"""The demo's own node: starts the target on the first image and records the results."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from siampolar_model.geometry.box import Box
from siampolar_model.io.messages import results_from_message, stamp_to_ns
from siampolar_model.results import Target

from .. import msg
from ..messages.serialized_image import read_stamp
from ..nodes.first_target_node import FirstTarget


@dataclass
class Recording:
    """What was seen, by image stamp in nanoseconds.

    Attributes:
        images: stamps of all images in order of arrival.
        results: what the tracker reported for each; the last report counts.
        latency_ms: from the image's stamp to the arrival of its first result.
        init: the answer to the request; None until it arrives.
    """

    images: list[int] = field(default_factory=list)
    results: dict[int, list[Target]] = field(default_factory=dict)
    latency_ms: dict[int, float] = field(default_factory=dict)
    init: msg.InitResult | None = None


class Recorder(Node):
    """Listens to images and targets in ``namespace``; of an image only the stamp is read."""

    def __init__(self, namespace: str, box: Box, image_size: tuple[int, int]) -> None:
        super().__init__("recorder", namespace=namespace)
        self.recording = Recording()
        self.first_target = FirstTarget(self, box, image_size)
        # Nothing may be missed here, however slow this process gets.
        deep = QoSProfile(depth=1000)
        self.create_subscription(Image, "image", self._on_image, deep, raw=True)
        self.create_subscription(msg.Targets, "tracker/targets", self._on_targets, deep)
        self.create_subscription(msg.InitResult, "tracker/init_result", self._on_init_result, deep)

    def _on_image(self, data: bytes) -> None:
        stamp_ns = stamp_to_ns(read_stamp(data))
        self.recording.images.append(stamp_ns)
        self.first_target.on_image(stamp_ns)

    def _on_targets(self, message: msg.Targets) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.recording.results[stamp_ns] = results_from_message(message)
        self.recording.latency_ms.setdefault(stamp_ns, (time.time_ns() - stamp_ns) / 1e6)
        if message.targets:
            self.first_target.confirm()

    def _on_init_result(self, message: msg.InitResult) -> None:
        self.recording.init = message
