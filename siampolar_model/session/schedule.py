"""What a session does next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from ..geometry.region import Region
from ..results import Target
from ..tracking.settings import TrackerSettings
from .catch_up import CatchUp
from .history import Entry, History, StampedImage
from .requests import Admission, InitCallback, InitRequest, InitResult, Pending, Reply, TargetIds
from .settings import SessionSettings
from .work import ChangeSettings, Command, RemoveTargets, StartTarget, TrackLate, TrackLive, Work


@dataclass(frozen=True)
class Counters:
    """Images since the session began: received = processed + skipped (+ those not done yet).

    Attributes:
        received: handed to :meth:`siampolar_model.session.session.Session.add_image`.
        processed: worked on live; an image that late targets catch up on is not counted again.
        skipped: never worked on live, because a newer one came or the session stopped.
        lost: reported by the middleware as sent but never received (not part of received).
    """

    received: int = 0
    processed: int = 0
    skipped: int = 0
    lost: int = 0


def _bounds(settings: SessionSettings) -> tuple[int, int]:
    """Nanoseconds and bytes that the history may hold."""
    return int(settings.history_s * 1e9), int(settings.history_mb * 1e6)


class Schedule:
    """All that callers and the worker share, under one lock, and the rules of what comes next.

    Commands come first, then images of the history for late targets, then the waiting live image.
    A live image waits for ``catch_up_frames`` starts and late images at most. If a newer
    one comes before that, it is skipped.

    Every method is atomic and calls nobody back. The replies that some return are to be sent by
    the caller.
    """

    def __init__(
        self,
        settings: SessionSettings,
        tracker_settings: TrackerSettings,
        target_ids: TargetIds,
        clock: Callable[[], float],
        takes_mask: bool = False,
    ) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        self._history = History(*_bounds(settings))
        self._catch_up = CatchUp(self._history)
        self._admission = Admission(
            self._history,
            self._queue_start,
            target_ids,
            clock,
            hold_s=settings.hold_init_s,
            tracker_settings=tracker_settings,
            takes_mask=takes_mask,
        )
        self._commands: list[Command] = []
        self._waiting: Entry | None = None
        self._live: Entry | None = None
        self._since_live = 0  # starts and late images since the last live one
        self._skipped_before_live = 0
        self._counters = Counters()
        self._targets: tuple[Target, ...] = ()
        self._failure: Exception | None = None

    # ---- for callers -----------------------------------------------------------------------

    @property
    def ids(self) -> tuple[int, ...]:
        """Targets followed or about to be, sorted."""
        with self._lock:
            return tuple(sorted(self._admission.ids))

    @property
    def targets(self) -> tuple[Target, ...]:
        """The last result of every target that is still followed, sorted by id."""
        with self._lock:
            return tuple(r for r in self._targets if r.id in self._admission.ids)

    @property
    def counters(self) -> Counters:
        with self._lock:
            return self._counters

    @property
    def failure(self) -> Exception | None:
        with self._lock:
            return self._failure

    def add_image(self, image: StampedImage) -> tuple[StampedImage | None, Entry, list[Reply]]:
        """Let an image wait in place of an older one.

        Returns:
            The newest image before, the new one's entry, and replies to requests that it decides.
        """
        with self._lock:
            newest = self._history.newest
            entry = self._history.add(image)
            self._skip_waiting()
            self._waiting = entry
            self._counters = replace(self._counters, received=self._counters.received + 1)
            return newest, entry, [] if self._failure else self._admission.retry()

    def ask(self, request: InitRequest, callback: InitCallback) -> list[Reply]:
        """Decide on a request, or let it wait for its image."""
        with self._lock:
            if self._failure is None:
                return self._admission.ask(request, callback)
            message = f"the tracker has failed: {self._failure}"
            return [Reply(callback, InitResult(False, request.id, message))]

    def remove(self, ids: Iterable[int] | None) -> int:
        """Queue the removal of targets, or of all for None; how many of them there are."""
        with self._lock:
            known = self._admission.ids.intersection(self._admission.ids if ids is None else ids)
            self._admission.ids -= known
            if known:
                self._commands.append(RemoveTargets(tuple(sorted(known))))
            return len(known)

    def change_tracker_settings(self, settings: TrackerSettings) -> None:
        """Apply other settings to requests now, and queue them for the tracker."""
        with self._lock:
            self._admission.tracker_settings = settings
            self._commands.append(ChangeSettings(settings))

    def change_settings(self, settings: SessionSettings) -> None:
        """Swap the session's own settings; images kept so far stay if they still fit."""
        with self._lock:
            self._settings = settings
            self._admission.hold_s = settings.hold_init_s
            self._history.set_bounds(*_bounds(settings))

    def count_lost(self, images: int) -> None:
        with self._lock:
            self._counters = replace(self._counters, lost=self._counters.lost + images)

    def clear(self) -> list[Reply]:
        """Forget images and refuse requests that wait for one; targets and commands stay."""
        with self._lock:
            self._history.clear()
            self._skip_waiting()
            self._live = None
            return self._refuse_pending("the tracker was deactivated")

    def close(self) -> None:
        """Forget commands, and the failure, whose traceback refers to the tracker."""
        with self._lock:
            self._commands.clear()
            self._failure = None

    # ---- for the worker --------------------------------------------------------------------

    @property
    def live(self) -> Entry | None:
        """The live image worked on last."""
        with self._lock:
            return self._live

    @property
    def lost_timeout_s(self) -> float:
        with self._lock:
            return self._settings.lost_timeout_s

    def seconds_to_deadline(self) -> float | None:
        """Until a request has waited long enough for its image; None if none waits."""
        with self._lock:
            return self._admission.seconds_to_deadline()

    def next(self) -> tuple[Work | None, list[Reply]]:
        """The next piece of work, and refusals of requests that have waited too long."""
        with self._lock:
            replies = self._admission.take_expired()
            return (None if self._failure else self._next_work()), replies

    def started(self, id: int, entry: Entry, results: tuple[Target, ...]) -> None:
        """A target was started on an image; ``results`` are those of all targets.

        The target is then found on that image as well, live or late, so that its outline there is
        known, and so that it does not matter whether the request or the image came first.
        """
        with self._lock:
            self._catch_up.add(id, entry)
            self._catch_up.take_caught_up(self._live)
            self._targets = results

    def ended(self, ids: Collection[int]) -> None:
        """Targets are gone: refused after all, or dropped. Those with a start queued stay known."""
        with self._lock:
            starting = {c.id for c in self._commands if isinstance(c, StartTarget)}
            self._admission.ids -= set(ids) - starting

    def removed(self, ids: Collection[int]) -> None:
        """Targets were removed on request."""
        with self._lock:
            for id in ids:
                self._catch_up.discard(id)

    def begin_live(self, entry: Entry) -> frozenset[int]:
        """An image is the live one from now on; ids of targets that have yet to catch up."""
        with self._lock:
            self._catch_up.take_caught_up(self._live)
            self._live = entry
            return self._catch_up.ids

    def tracked_late(self, entry: Entry, ids: Collection[int]) -> bool:
        """Late targets have seen an image; whether some of them join the live image by that."""
        with self._lock:
            self._catch_up.saw(entry, ids)
            joined = self._catch_up.take_caught_up(self._live)
            is_live = self._live is not None and entry.sequence == self._live.sequence
            return is_live and bool(joined)

    def set_targets(self, results: tuple[Target, ...]) -> None:
        """The last results of all targets."""
        with self._lock:
            self._targets = results

    def fail(self, error: Exception) -> list[Reply]:
        """End all work, and refuse the requests that wait."""
        with self._lock:
            self._failure = error
            self._skip_waiting()
            return self._refuse_pending(f"the tracker has failed: {error}")

    # ---- under the lock --------------------------------------------------------------------

    def _next_work(self) -> Work | None:
        urgent = self._waiting is not None and self._since_live >= self._settings.catch_up_frames
        if self._commands:
            is_start = isinstance(self._commands[0], StartTarget)
            if not (urgent and is_start):
                self._since_live += is_start
                return self._commands.pop(0)
        late = None if urgent else self._catch_up.next(self._live)
        if late is not None:
            self._since_live += 1
            entry, ids = late
            return TrackLate(entry, tuple(ids))
        if self._waiting is None:
            return None
        entry, self._waiting = self._waiting, None
        self._counters = replace(self._counters, processed=self._counters.processed + 1)
        skipped = self._counters.skipped - self._skipped_before_live
        self._skipped_before_live = self._counters.skipped
        self._catch_up.pace(entry, self._since_live)
        self._since_live = 0
        return TrackLive(entry, skipped)

    def _queue_start(
        self, id: int, entry: Entry, region: Region, pending: Pending | None
    ) -> list[Reply]:
        """Queue a start in place of one for the same id, so that a flood of them cannot pile up."""
        replies = self._drop_starts(
            lambda start: start.id == id, f"a later request for target {id} took its place"
        )
        self._commands.append(StartTarget(id, entry, region, pending))
        return replies

    def _drop_starts(self, which: Callable[[StartTarget], bool], message: str) -> list[Reply]:
        """Forget queued starts; refusals of those whose requests were not answered yet."""
        dropped = [c for c in self._commands if isinstance(c, StartTarget) and which(c)]
        self._commands = [c for c in self._commands if c not in dropped]
        return [c.pending.refused(message) for c in dropped if c.pending is not None]

    def _refuse_pending(self, message: str) -> list[Reply]:
        """Refuse all requests that were not answered yet."""
        before = {c.id for c in self._commands if isinstance(c, StartTarget)}
        replies = self._drop_starts(lambda start: start.pending is not None, message)
        left = {c.id for c in self._commands if isinstance(c, StartTarget)}
        self._admission.ids -= before - left - {target.id for target in self._targets}
        return [*self._admission.refuse_all(message), *replies]

    def _skip_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            self._counters = replace(self._counters, skipped=self._counters.skipped + 1)
