"""One connected browser: what waits to be sent to it, and how much is on its way."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import Any

from aiohttp.web import WebSocketResponse

#: Pictures that were sent and not reported as drawn.
MAX_ON_THEIR_WAY = 2

#: While this many answers wait for a browser, nothing more is read from it.
_MAX_ANSWERS = 50


class Browser:
    """Belongs to the server's event loop.

    Of pictures and of each kind of text only the newest waits, so a browser that stops reading
    costs a bounded amount of memory and no time.
    """

    def __init__(self, socket: WebSocketResponse) -> None:
        self._socket = socket
        self._picture: tuple[int, bytes] | None = None
        self._texts: dict[str, dict[str, Any]] = {}
        self._answers: deque[dict[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False
        self._on_their_way: deque[tuple[int, float]] = deque()
        self._shown_s: float | None = None
        #: The camera that it shows; empty: none yet.
        self.camera = ""
        #: Whether it wants pictures, and not only states and figures.
        self.pictures = False

    @property
    def has_room(self) -> bool:
        """Whether a picture may be sent to it."""
        waiting = len(self._on_their_way) + (self._picture is not None)
        return self.pictures and waiting < MAX_ON_THEIR_WAY

    @property
    def delay_ms(self) -> float | None:
        """From sending the last picture until it was reported as drawn."""
        return None if self._shown_s is None else round(1e3 * self._shown_s, 1)

    def put_picture(self, stamp_ns: int, data: bytes) -> None:
        self._picture = stamp_ns, data
        self._wake.set()

    def put_text(self, text: dict[str, Any]) -> None:
        """Send this text, unless a newer one of its type comes first."""
        self._texts[text["type"]] = text
        self._wake.set()

    def put_answer(self, text: dict[str, Any]) -> None:
        """Send this text after those before it."""
        self._answers.append(text)
        self._wake.set()

    async def wait_for_room(self) -> None:
        """Wait while many answers are unsent."""
        while len(self._answers) >= _MAX_ANSWERS and not self._ended:
            self._drained.clear()
            await self._drained.wait()

    def shown(self, stamp_ns: int) -> None:
        """It has drawn the picture of this stamp, or left out the ones before it."""
        stamps = [stamp for stamp, _ in self._on_their_way]
        if stamp_ns in stamps:
            for _ in range(stamps.index(stamp_ns) + 1):
                _, sent_s = self._on_their_way.popleft()
            self._shown_s = time.monotonic() - sent_s

    async def send(self) -> None:
        """Send what waits, until cancelled or the connection ends."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_all()
        finally:
            self._ended = True
            self._drained.set()

    async def _send_all(self) -> None:
        while self._answers:
            await self._socket.send_str(json.dumps(self._answers.popleft()))
            self._drained.set()
        while self._texts:
            _, text = self._texts.popitem()
            await self._socket.send_str(json.dumps(text))
        if self._picture is not None:
            (stamp_ns, data), self._picture = self._picture, None
            self._on_their_way.append((stamp_ns, time.monotonic()))
            await self._socket.send_bytes(data)
