"""Requests for targets: each is checked against the history and gets exactly one result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BoxError, StampError, TargetLimitError
from ..geometry.box import Box, validate_init_box
from ..tracking.settings import TrackerSettings
from ..tracking.start_rules import check_start
from .history import Entry, History, StampedImage, format_stamp


@dataclass(frozen=True)
class InitRequest:
    """Start following what is in a box.

    Attributes:
        box: in pixels of the image it was drawn on.
        stamp_ns: stamp of that image in nanoseconds; 0 takes the newest image.
        id: the target to start again, or the id of a new one; 0 gives a new target a free id.
        image_size: width and height of the image that the box was drawn on; None if unknown.
    """

    box: Box
    stamp_ns: int = 0
    id: int = 0
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class InitResult:
    """What became of an :class:`InitRequest`.

    Attributes:
        success: whether the target will be followed.
        id: the target's id on success, else the id of the request.
        message: the reason of a refusal; on success empty, or a remark such as that a target with
            this id was started again.
        image: the image that the target starts on; None if none was found.
    """

    success: bool
    id: int
    message: str = ""
    image: StampedImage | None = None


InitCallback = Callable[[InitResult], None]


@dataclass(frozen=True, eq=False)
class Reply:
    """A result, and whom to call with it outside of the lock."""

    callback: InitCallback
    result: InitResult


@dataclass(frozen=True, eq=False)
class _Held:
    """A request that waits for its image until ``deadline`` (seconds of the session's clock)."""

    request: InitRequest
    callback: InitCallback
    deadline: float


class TargetIds:
    """Gives out ids, each only once, and none that a request has named before."""

    def __init__(self) -> None:
        self._next = 1
        self._named: set[int] = set()  # ids of requests that are not below _next

    def use(self, id: int) -> int:
        """The id of a request that names it; for 0 an id that was never used."""
        if id >= self._next:
            self._named.add(id)
        if id:
            return id
        while self._next in self._named:
            self._named.remove(self._next)
            self._next += 1
        self._next += 1
        return self._next - 1


class Admission:
    """Decides on requests.

    Not thread-safe: the schedule locks.

    Args:
        start: called for every target admitted, with its id, image and clipped box.
        target_ids: gives new targets their ids.
        clock: seconds.
        hold_s: seconds that a request may wait for its image.

    Attributes:
        ids: targets followed or about to be.
    """

    def __init__(
        self,
        history: History,
        start: Callable[[int, Entry, Box], None],
        target_ids: TargetIds,
        clock: Callable[[], float],
        *,
        hold_s: float,
        tracker_settings: TrackerSettings,
    ) -> None:
        self._history = history
        self._start = start
        self._target_ids = target_ids
        self._clock = clock
        self.hold_s = hold_s
        self.tracker_settings = tracker_settings
        self.ids: set[int] = set()
        self._held: list[_Held] = []

    def ask(self, request: InitRequest, callback: InitCallback) -> list[Reply]:
        """Decide now, or hold the request until its image comes or ``hold_s`` are over."""
        result = self._decide(request)
        if result is not None:
            return [Reply(callback, result)]
        self._held.append(_Held(request, callback, self._clock() + self.hold_s))
        return []

    def retry(self) -> list[Reply]:
        """Decide on the requests that wait, after a new image."""
        held, self._held = self._held, []
        replies = []
        for one in held:
            result = self._decide(one.request)
            if result is None:
                self._held.append(one)
            else:
                replies.append(Reply(one.callback, result))
        return replies

    def take_expired(self) -> list[Reply]:
        """Refuse the requests that have waited too long."""
        if not self._held:
            return []
        now = self._clock()
        expired = [one for one in self._held if now >= one.deadline]
        self._held = [one for one in self._held if now < one.deadline]
        return [
            Reply(one.callback, self._refuse(one.request, self._why_late(one))) for one in expired
        ]

    def refuse_all(self, message: str) -> list[Reply]:
        """Refuse all requests that wait."""
        held, self._held = self._held, []
        return [Reply(one.callback, self._refuse(one.request, message)) for one in held]

    def seconds_to_deadline(self) -> float | None:
        """Until a request that waits has to be refused; None if none waits."""
        if not self._held:
            return None
        return max(0.0, min(one.deadline for one in self._held) - self._clock())

    def _decide(self, request: InitRequest) -> InitResult | None:
        """The result; None if the request must wait for its image."""
        if request.id < 0:
            return self._refuse(request, f"target id {request.id} must be 0 (a new one) or more")
        try:
            if self._history.newest is None:
                # A box that fits into no image is refused without waiting for one.
                box = request.box
                if not (math.isfinite(box.area) and box.width > 0 and box.height > 0):
                    validate_init_box(box, 1, 1, 0)
                return None
            # A small request overtakes a large image, which may therefore still be on its way.
            if 0 < self._history.ahead_ns(request.stamp_ns) <= self.hold_s * 1e9:
                return None
            entry = self._history.find(request.stamp_ns)
        except (StampError, BoxError) as error:
            return self._refuse(request, str(error))
        image = entry.image
        if request.image_size is not None and request.image_size != image.size:
            drawn = "{}x{}".format(*request.image_size)
            actual = "{}x{}".format(*image.size)
            return self._refuse(
                request, f"the box was drawn on {drawn} but the image is {actual}", image
            )
        try:
            box = check_start(request.box, image.size, request.id, self.ids, self.tracker_settings)
        except (BoxError, TargetLimitError) as error:
            return self._refuse(request, str(error), image)
        known = request.id in self.ids
        id = self._target_ids.use(request.id)
        self.ids.add(id)
        self._start(id, entry, box)
        message = f"target {id} was followed already and is started again" if known else ""
        return InitResult(True, id, message, image)

    def _why_late(self, held: _Held) -> str:
        waited = f"waited {self.hold_s:g} s"
        newest = self._history.newest
        if newest is None:
            return f"no image has arrived ({waited})"
        return (
            f"stamp {format_stamp(held.request.stamp_ns)} lies in the future of the newest image, "
            f"{format_stamp(newest.stamp_ns)} ({waited})"
        )

    @staticmethod
    def _refuse(
        request: InitRequest, message: str, image: StampedImage | None = None
    ) -> InitResult:
        return InitResult(False, request.id, message, image)
