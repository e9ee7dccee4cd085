"""``/diagnostics``: how images and tracker are doing, every second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from ..health.processor import ProcessorShare
from ..health.stream_health import Level, Verdict
from ..health.tracker_health import Snapshot, TrackerHealth
from ..runtime.timers import steady_timer
from .image_input import ImageInput
from .namesakes import Namesakes
from .status_publisher import PERIOD_S, StatusPublisher


class Diagnostics:
    """Publishes two statuses, ``NODE: images`` and ``NODE: tracker``, while somebody listens.

    A problem of the images, or another node of this name, is also logged, once when it begins and
    once when it is over.

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
        self._processor = ProcessorShare()
        self._publisher = StatusPublisher(node)
        self._namesakes = Namesakes(node, f"{self._publisher.name}: tracker")
        self._timer = steady_timer(node, PERIOD_S, self._tick)

    def close(self) -> None:
        self._namesakes.close()
        self._node.destroy_timer(self._timer)
        self._publisher.close()

    def _tick(self) -> None:
        self._publisher.publish([self._judge_images(), self._judge_tracker()])

    def _judge_images(self) -> DiagnosticStatus:
        images = self._images()
        if images is None:
            self._reported = Level.OK
            return self._publisher.status("images", Verdict(Level.OK, "no images are taken"), {})
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
        return self._publisher.status("images", verdict, figures)

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
        return self._publisher.status("tracker", verdict, {**figures, **self._namesakes.own_place})
