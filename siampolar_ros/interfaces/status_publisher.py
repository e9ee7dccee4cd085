"""Statuses on ``/diagnostics``, under the name of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ..health.stream_health import Level, Verdict

#: Seconds between two statuses.
PERIOD_S = 1.0

# diagnostic_msgs has a byte field for it.
_LEVELS = {Level.OK: DiagnosticStatus.OK, Level.WARN: DiagnosticStatus.WARN,
           Level.ERROR: DiagnosticStatus.ERROR}  # fmt: skip


class StatusPublisher:
    """Publishes while somebody listens.

    diagnostic_updater is not used because the wheels that tests run on do not include it.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        #: Of the node, with its namespace and without the first slash.
        self.name = node.get_fully_qualified_name().lstrip("/")
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10)
        )

    def status(self, part: str, verdict: Verdict, figures: Mapping[str, str]) -> DiagnosticStatus:
        """The status ``NODE: part``."""
        return DiagnosticStatus(
            name=f"{self.name}: {part}",
            level=_LEVELS[verdict.level],
            message=verdict.reason,
            hardware_id=self.name,
            values=[KeyValue(key=key, value=value) for key, value in figures.items()],
        )

    def publish(self, statuses: Sequence[DiagnosticStatus]) -> None:
        if self._publisher.get_subscription_count() > 0:
            message = DiagnosticArray(status=statuses)
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(message)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
