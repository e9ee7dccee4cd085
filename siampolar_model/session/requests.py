"""Requests for targets: each is checked against the history and gets exactly one result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import BoxError, StampError, TargetLimitError
from ..geometry.region import Mask, Outline, Point, Region, bounds_of, validate_region
from ..tracking.settings import TrackerSettings
from ..tracking.start_rules import check_start
from .history import Entry, History, StampedImage, format_stamp


@dataclass(frozen=True)
class InitRequest:
    """Start following an object.

    Attributes:
        region: what it was pointed at with, in pixels of the image that it was drawn on.
        stamp_ns: stamp of that image in nanoseconds; 0 takes the newest image.
        id: the target to start again, or the id of a new one; 0 gives a new target a free id.
        image_size: width and height of that image; None if unknown.
        wait: answer only once the target has started, so that the answer can warn of a region that
            gives little to hold on to.
    """

    region: Region
    stamp_ns: int = 0
    id: int = 0
    image_size: tuple[int, int] | None = None
    wait: bool = False


@dataclass(frozen=True, eq=False)
class InitResult:
    """What became of an :class:`InitRequest`.

    Attributes:
        success: whether the target will be followed.
        id: the target's id on success, else the id of the request.
        message: the reason of a refusal; on success empty, or a remark such as that a target with
            this id was started again, or that only the box of an outline was used.
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
class Pending:
    """A request that was admitted, but whose image has yet to be decoded, or looked at.

    Attributes:
        admitted: to be sent once the target has started.
        request_id: the id that a refusal names.
    """

    admitted: Reply
    request_id: int

    def started(self, warning: str) -> Reply:
        """To be sent once the target has started, with what there is to warn of, if anything."""
        result = self.admitted.result
        message = "; ".join(text for text in (result.message, warning) if text)
        return Reply(self.admitted.callback, replace(result, message=message))

    def refused(self, message: str) -> Reply:
        """To be sent if the target cannot start."""
        result = InitResult(False, self.request_id, message, self.admitted.result.image)
        return Reply(self.admitted.callback, result)


@dataclass(frozen=True, eq=False)
class _Held:
    """A request that waits for its image until ``deadline`` (seconds of the session's clock)."""

    request: InitRequest
    callback: InitCallback
    deadline: float


class _Refused(Exception):
    """A request that no target can start from, and the image that it was meant for, if found."""

    def __init__(self, message: str, image: StampedImage | None = None) -> None:
        super().__init__(message)
        self.image = image


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
        start: called for every target admitted, with its id, image, region and, if its image has
            yet to be decoded or looked at, the request; it returns replies to requests replaced.
        target_ids: gives new targets their ids.
        clock: seconds.
        hold_s: seconds that a request may wait for its image.
        takes_mask: whether the model starts on the pixels of an outline or mask.

    Attributes:
        ids: targets followed or about to be.
    """

    def __init__(
        self,
        history: History,
        start: Callable[[int, Entry, Region, Pending | None], list[Reply]],
        target_ids: TargetIds,
        clock: Callable[[], float],
        *,
        hold_s: float,
        tracker_settings: TrackerSettings,
        takes_mask: bool,
    ) -> None:
        self._history = history
        self._start = start
        self._target_ids = target_ids
        self._clock = clock
        self.hold_s = hold_s
        self.tracker_settings = tracker_settings
        self._takes_mask = takes_mask
        self.ids: set[int] = set()
        self._held: list[_Held] = []

    def ask(self, request: InitRequest, callback: InitCallback) -> list[Reply]:
        """Decide now, or hold the request until its image comes or ``hold_s`` are over."""
        replies = self._decide(request, callback)
        if replies is not None:
            return replies
        self._held.append(_Held(request, callback, self._clock() + self.hold_s))
        return []

    def retry(self) -> list[Reply]:
        """Decide on the requests that wait, after a new image."""
        held, self._held = self._held, []
        replies: list[Reply] = []
        for one in held:
            decided = self._decide(one.request, one.callback)
            if decided is None:
                self._held.append(one)
            else:
                replies += decided
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

    def _decide(self, request: InitRequest, callback: InitCallback) -> list[Reply] | None:
        """Replies that can be sent now; None if the request must wait for its image."""
        try:
            entry = self._find(request)
            if entry is None:
                return None
            region = self._check(request, entry.image)
        except _Refused as refused:
            result = InitResult(False, request.id, str(refused), refused.image)
            return [Reply(callback, result)]
        known = request.id in self.ids
        id = self._target_ids.use(request.id)
        self.ids.add(id)
        remarks = [f"target {id} was followed already and is started again"] if known else []
        if isinstance(region, (Outline, Mask)) and not self._takes_mask:
            kind = type(region).__name__.lower()
            remarks.append(f"this model takes no masks: the box around the {kind} is used")
        reply = Reply(callback, InitResult(True, id, "; ".join(remarks), entry.image))
        if entry.image.frame.is_decoded and not (request.wait or isinstance(region, Point)):
            return [*self._start(id, entry, region, None), reply]
        return self._start(id, entry, region, Pending(reply, request.id))

    def _find(self, request: InitRequest) -> Entry | None:
        """The image of a request; None if it has yet to come."""
        if request.id < 0:
            raise _Refused(f"target id {request.id} must be 0 (a new one) or more")
        try:
            if self._history.newest is None:
                # A box that fits into no image is refused without waiting for one.
                box = bounds_of(request.region)
                has_area = math.isfinite(box.area) and box.width > 0 and box.height > 0
                if not has_area and not isinstance(request.region, Point):
                    validate_region(request.region, 1, 1, 0)
                return None
            # A small request overtakes a large image, which may therefore still be on its way.
            if 0 < self._history.ahead_ns(request.stamp_ns) <= self.hold_s * 1e9:
                return None
            return self._history.find(request.stamp_ns)
        except (StampError, BoxError) as error:
            raise _Refused(str(error)) from None

    def _check(self, request: InitRequest, image: StampedImage) -> Region:
        """The region; a box is clipped to its image."""
        if request.image_size is not None and request.image_size != image.size:
            drawn = "{}x{}".format(*request.image_size)
            actual = "{}x{}".format(*image.size)
            raise _Refused(f"the box was drawn on {drawn} but the image is {actual}", image)
        try:
            return check_start(
                request.region, image.size, request.id, self.ids, self.tracker_settings
            )
        except (BoxError, TargetLimitError) as error:
            raise _Refused(str(error), image) from None

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
    def _refuse(request: InitRequest, message: str) -> InitResult:
        return InitResult(False, request.id, message)
