"""Feeds recorded messages to the session that the node uses, with the same results every time.

Unlike a camera, a replay waits for the tracker. No image is skipped, and a late init has caught up
before the next image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BoxError, FrameError, ReplayError
from ..geometry.box import Box
from ..io.bags import INIT_TARGET, BagMessage, image_of
from ..io.messages import request_from_message
from ..session.requests import InitRequest, InitResult
from ..session.session import Session, Targets
from ..session.settings import SessionSettings
from ..session.target_list import TrackerLike

# Users give times in milliseconds: 0.167 s means the image at 0.166667 s.
_TYPED_NS = 1_000_000


@dataclass(frozen=True)
class TimedBox:
    """A target to start.

    Attributes:
        box: in image pixels.
        at_s: seconds from the stamp of the first image to that of the image it was drawn on.
    """

    box: Box
    at_s: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.at_s) and self.at_s >= 0):
            raise ReplayError(f"--at {self.at_s:g} must be a number of seconds, 0 or more")


@dataclass(frozen=True)
class Notice:
    """One line for the operator, as the node logs it."""

    text: str


Event = Targets | InitResult | Notice


class Replay:
    """One session over one recording.

    Args:
        tracker: without targets.
        boxes: targets to start; a refused one ends the replay.

    Attributes:
        images: number of images fed so far.
        refused: how many of them could not be read.
    """

    def __init__(
        self,
        tracker: TrackerLike,
        boxes: Sequence[TimedBox] = (),
        settings: SessionSettings | None = None,
    ) -> None:
        self.images = self.refused = 0
        self._events: list[Event] = []
        self._failure: Exception | None = None
        self._now_s = 0.0
        self._boxes = sorted(boxes, key=lambda one: one.at_s)
        self._first_ns: int | None = None
        self._session = Session(
            tracker,
            settings,
            on_result=self._events.append,
            on_failure=self._fail,
            on_notice=lambda text: self._events.append(Notice(text)),
            # Requests wait for their image in the time of the recording.
            clock=lambda: self._now_s,
        )

    def feed(self, message: BagMessage) -> list[Event]:
        """Take the next message, an image or an InitTarget, and do all work that it causes.

        Returns:
            What the node would have published or logged, in order.

        Raises:
            ReplayError: a box was refused, or the tracker failed.
        """
        self._now_s = message.time_ns / 1e9
        if message.type == INIT_TARGET:
            self._init(message.content)
        else:
            self._add_image(message)
        return self._work()

    def _init(self, message: Any) -> None:
        try:
            request = request_from_message(message)
        except BoxError as error:
            self._events.append(InitResult(False, int(message.id), str(error)))
        else:
            self._session.init(request, self._events.append)

    def finish(self) -> list[Event]:
        """Refuse requests that still wait after the last message.

        Raises:
            ReplayError: the recording ended before the time of a box.
        """
        if self._boxes:
            raise ReplayError(f"--at {self._boxes[0].at_s:g}: the recording is shorter than that")
        self._now_s = math.inf
        return self._work()

    def _add_image(self, message: BagMessage) -> None:
        self.images += 1
        try:
            image = image_of(message)
        except FrameError as error:
            self.refused += 1
            self._events.append(Notice(f"image refused: {error}"))
            return
        self._session.add_image(image)
        self._session.drain()
        if self._first_ns is None:
            self._first_ns = image.stamp_ns
        while self._boxes:
            one = self._boxes[0]
            stamp_ns = self._first_ns + round(one.at_s * 1e9)
            if image.stamp_ns < stamp_ns - _TYPED_NS:
                break
            del self._boxes[0]
            request = InitRequest(one.box, min(stamp_ns, image.stamp_ns))
            self._session.init(request, self._on_box_result)

    def _work(self) -> list[Event]:
        self._session.drain()
        if self._failure is not None:
            raise ReplayError(f"the tracker failed: {self._failure}") from self._failure
        done = self._events[:]
        self._events.clear()
        return done

    def _on_box_result(self, result: InitResult) -> None:
        if not result.success:
            raise ReplayError(f"--box: {result.message}")
        self._events.append(result)

    def _fail(self, error: Exception) -> None:
        self._failure = error
