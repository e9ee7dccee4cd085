"""Warnings for the operator."""

from __future__ import annotations

import math
from collections.abc import Callable

#: Seconds before a warning of the same kind is repeated.
PAUSE_S = 10.0


class Notices:
    """Passes on one-line warnings, and those that every image may cause only now and then.

    Args:
        send: called with the line.
        clock: seconds.
    """

    def __init__(self, send: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.send = send
        self._clock = clock
        self._sent_s: dict[str, float] = {}  # kind -> when the last one was sent

    def send_now_and_then(self, kind: str, text: str) -> None:
        """Send a warning, unless one of this kind was sent less than :data:`PAUSE_S` ago."""
        now = self._clock()
        if now - self._sent_s.get(kind, -math.inf) >= PAUSE_S:
            self._sent_s[kind] = now
            self.send(text)
