"""Finds other nodes of the same name, whose answers would be taken for this node's."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile

#: Seconds for which what another node said about itself is believed.
_FRESH_S = 5.0

#: A node that says nothing counts only after this many seconds: one that has crashed stays in the
#: graph for a while.
_SILENT_S = 30.0

#: Keys of a status in ``/diagnostics``.
HOST, PROCESS = "host", "process"


class Namesakes:
    """Looks for them in the graph, and for their hosts in ``/diagnostics``.

    Args:
        status: name of the status in which each node says where it runs.
    """

    def __init__(self, node: Node, status: str) -> None:
        self._node = node
        self._status = status
        self._own = (socket.gethostname(), str(os.getpid()))
        self._since_s: float | None = None
        self._heard: dict[tuple[str, str], float] = {}
        self._subscription: Any = None

    @property
    def own_place(self) -> dict[str, str]:
        """Where this node runs, for its own status."""
        return dict(zip((HOST, PROCESS), self._own, strict=True))

    def look(self) -> str:
        """A line about another node of this name; empty if there is none. Call it regularly."""
        own_name = (self._node.get_name(), self._node.get_namespace())
        now = time.monotonic()
        if self._node.get_node_names_and_namespaces().count(own_name) < 2:
            self.close()
            return ""
        if self._subscription is None:
            self._since_s = now
            self._subscription = self._node.create_subscription(
                DiagnosticArray, "/diagnostics", self._take, QoSProfile(depth=10)
            )
        self._heard = {place: at for place, at in self._heard.items() if now - at <= _FRESH_S}
        name = self._node.get_fully_qualified_name()
        if self._heard:
            places = " and ".join(f"{host} (process {pid})" for host, pid in sorted(self._heard))
        elif self._since_s is not None and now - self._since_s > _SILENT_S:
            places = "a host that is not known"
        else:
            return ""
        return (
            f"another node called {name} runs on {places}; both answer requests: end or rename one"
        )

    def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._since_s = None
        self._heard.clear()

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._status:
                values = {value.key: value.value for value in status.values}
                place = (values.get(HOST, ""), values.get(PROCESS, ""))
                if place != self._own and all(place):
                    self._heard[place] = time.monotonic()
