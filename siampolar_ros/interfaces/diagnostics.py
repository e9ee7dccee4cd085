"""``/diagnostics``: how images and tracker are doing, every second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ..health.processor import ProcessorShare
from ..health.stream_health import Level, Verdict
from ..health.tracker_health import Snapshot, TrackerHealth
from ..runtime.timers import steady_timer
from .image_input import ImageInput
from .namesakes import Namesakes

_PERIOD_S = 1.0

# diagnostic_msgs has a byte field for it.
_LEVELS = {Level.OK: DiagnosticStatus.OK, Level.WARN: DiagnosticStatus.WARN,
           Level.ERROR: DiagnosticStatus.ERROR}  # fmt: skip


class Diagnostics:
    """Publishes two statuses, ``NODE: images`` and ``NODE: tracker``, while somebody listens.

    A problem of the images, or another node of this name, is also logged, once when it begins and
    once when it is over.
    diagnostic_updater is not used because the wheels that tests run on do not include it.

    Args:
        images: the node's image input; None while it takes no images.
        snapshot: the node's state now.
        health: the node reports every result to it.
    """

    def __init__(
        self,
        node: Node,
        images: Callable[[], ImageInput | None],
        snapshot: Callable[[], Snapshot],
        health: TrackerHealth,
    ) -> None:
        self._node = node
        self._images = images
        self._snapshot = snapshot
        self._health = health
        self._reported = Level.OK
        self._warned = ""
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._processor = ProcessorShare()
        self._namesakes = Namesakes(node, f"{self._name}: tracker")
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10)
        )
        self._timer = steady_timer(node, _PERIOD_S, self._tick)

    def close(self) -> None:
        self._namesakes.close()
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _tick(self) -> None:
        statuses = [self._judge_images(), self._judge_tracker()]
        if self._publisher.get_subscription_count() > 0:
            message = DiagnosticArray(status=statuses)
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(message)

    def _judge_images(self) -> DiagnosticStatus:
        images = self._images()
        if images is None:
            self._reported = Level.OK
            return self._status("images", Verdict(Level.OK, "no images are taken"), {})
        verdict = images.health.judge()
        if verdict.level != self._reported:
            self._reported = verdict.level
            # rclpy allows one severity for each line of code.
            if verdict.level == Level.OK:
                self._node.get_logger().info(f"images: {verdict.reason}")
            else:
                self._node.get_logger().warning(f"images: {verdict.reason}")
        counts, seconds = images.health.recent()
        figures = {
            "topic": images.topic,
            "transport": images.transport,
            "reliability": images.reliability.name.lower(),
            "received, Hz": f"{counts.received / max(seconds, 1e-3):.1f}",
        }
        for name, value in vars(images.health.counts).items():
            # They are taken as best effort, so there may be fewer of them than of images.
            figures["camera_info received" if name == "announced" else name] = str(value)
        return self._status("images", verdict, figures)

    def _judge_tracker(self) -> DiagnosticStatus:
        warning = self._namesakes.look()
        if bool(warning) != bool(self._warned):
            # rclpy allows one severity for each line of code.
            if warning:
                self._node.get_logger().warning(warning)
            else:
                self._node.get_logger().info("no other node has this name any more")
        self._warned = warning
        snapshot = replace(
            self._snapshot(), processor_share=self._processor.look(), warning=warning
        )
        verdict, figures = self._health.judge(snapshot)
        return self._status("tracker", verdict, {**figures, **self._namesakes.own_place})

    def _status(self, name: str, verdict: Verdict, figures: Mapping[str, str]) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=f"{self._name}: {name}",
            level=_LEVELS[verdict.level],
            message=verdict.reason,
            hardware_id=self._name,
            values=[KeyValue(key=key, value=value) for key, value in figures.items()],
        )
