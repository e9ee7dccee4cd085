"""Brings a failed node back, waiting longer after every failure in a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node

from .timers import steady_timer

#: Seconds before the first, second, ... attempt; the last one is used for all later ones.
DELAYS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

#: A failure more than this many seconds after the last attempt counts as the first again.
_HEALTHY_S = 60.0


class Recovery:
    """Calls ``attempt`` after a delay, and again until it returns True.

    All methods belong to the executor's thread.
    """

    def __init__(
        self, node: Node, attempt: Callable[[], bool], delays_s: Sequence[float] = DELAYS_S
    ) -> None:
        self._node = node
        self._attempt = attempt
        self._delays_s = delays_s
        self._failures = 0
        self._attempted_s = -_HEALTHY_S
        self._timer: Any = None

    @property
    def pending(self) -> bool:
        """Whether an attempt is planned."""
        return self._timer is not None

    def failed(self) -> None:
        """Plan the next attempt."""
        if time.monotonic() - self._attempted_s > _HEALTHY_S + self._delays_s[-1]:
            self._failures = 0
        delay_s = self._delays_s[min(self._failures, len(self._delays_s) - 1)]
        self._failures += 1
        self.cancel()
        self._timer = steady_timer(self._node, delay_s, self._try)
        self._node.get_logger().info(f"retrying in {delay_s:g} s (auto_recover)")

    def cancel(self) -> None:
        """Drop the planned attempt: somebody else takes over."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _try(self) -> None:
        self.cancel()
        self._attempted_s = time.monotonic()
        if not self._attempt():
            self.failed()
