"""How images meet the tracker: the newest image wins, late inits catch up on the history.

One worker owns tracker and engine and does one small piece of work at a time: a command, the
newest image, or one image of the history for targets that started in the past. Everything else
(:meth:`Session.add_image`, :meth:`Session.init`, ...) only takes notes under a lock and returns
at once. Without a thread, :meth:`Session.step` does the same pieces in the same order, which
makes replays and tests exact.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from . import polar
from .frames import Frame
from .history import Entry, History, StampedImage, StampError, format_stamp
from .ranges import check_ranges
from .results import Box, BoxError, TrackResult, TrackState, validate_init_box


class TrackerLike(Protocol):
    """What a session needs of :class:`siampolar_model.tracker.Tracker`."""

    settings: Any

    @property
    def ids(self) -> tuple[int, ...]: ...
    def init(self, frame: Frame, box: Box, *, id: int | None = None) -> int: ...
    def track(self, frame: Frame, ids: Collection[int] | None = None) -> list[TrackResult]: ...
    def remove(self, id: int) -> bool: ...


#: Allowed range of every session setting, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "history_s": (0.0, 60.0),
    "history_mb": (0.0, 16384.0),
    "catch_up_frames": (1, 100),
    "hold_init_s": (0.0, 60.0),
}


@dataclass(frozen=True)
class SessionSettings:
    """Bounds of a session. Ranges stand in :data:`SETTING_RANGES`.

    Attributes:
        history_s: seconds of images kept for inits that arrive late.
        history_mb: and at most so many megabytes (10**6 bytes) of them.
        catch_up_frames: history images worked off for late inits before a waiting live image.
        hold_init_s: seconds an init waits for its image before it is refused.
    """

    history_s: float = 5.0
    history_mb: float = 256.0
    catch_up_frames: int = 2
    hold_init_s: float = 2.0

    def __post_init__(self) -> None:
        check_ranges(self, SETTING_RANGES)


@dataclass(frozen=True)
class InitRequest:
    """Start following what is in a box.

    Attributes:
        box: in pixels of the image it was drawn on.
        stamp_ns: that image's stamp; 0: the newest image.
        id: 0: a new target; else the target to start again, or the id to give to a new one.
        image_size: width and height the box was drawn on; None: unknown.
    """

    box: Box
    stamp_ns: int = 0
    id: int = 0
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class InitAnswer:
    """What became of an :class:`InitRequest`.

    Attributes:
        success: whether the target will be followed.
        id: the target's id on success, else the id asked for.
        message: why not; empty on success.
        image: the image the target starts on; None if none was found.
    """

    success: bool
    id: int
    message: str = ""
    image: StampedImage | None = None


@dataclass(frozen=True, eq=False)
class SessionResult:
    """All targets on one image, sorted by id.

    Attributes:
        image: the image worked on.
        results: one per target that has caught up with the stream.
        update: the image may have been reported before: a target that started on it, or before
            it, has joined since, or the tracker failed and every target is lost.
    """

    image: StampedImage
    results: tuple[TrackResult, ...]
    update: bool = False


@dataclass(frozen=True)
class Counters:
    """Images since the session began: received = processed + skipped (+ those not done yet).

    Attributes:
        received: handed to :meth:`Session.add_image`.
        processed: worked on live; catching up is not counted again.
        skipped: never worked on live, because a newer one came or the session stopped.
        lost: reported by the middleware as sent but never received (not part of received).
    """

    received: int = 0
    processed: int = 0
    skipped: int = 0
    lost: int = 0


@dataclass(frozen=True, eq=False)
class _Held:
    """An init that waits for its image until ``deadline`` (seconds of the session's clock)."""

    request: InitRequest
    answer: Callable[[InitAnswer], None]
    deadline: float


def _bounds(settings: SessionSettings) -> tuple[int, int]:
    """Nanoseconds and bytes that the history may hold."""
    return int(settings.history_s * 1e9), int(settings.history_mb * 1e6)


class Session:
    """Schedules images and requests onto one tracker.

    Args:
        tracker: only the worker touches it while the session runs.
        on_result: called by the worker for every processed image, also without targets.
        on_failure: called by the worker, once, with the exception that ended it. Before that all
            targets were reported lost through ``on_result``.
        on_notice: called with one line that the operator should read.
        clock: seconds, for the waiting time of held inits.
    """

    def __init__(
        self,
        tracker: TrackerLike,
        settings: SessionSettings | None = None,
        *,
        on_result: Callable[[SessionResult], None],
        on_failure: Callable[[Exception], None],
        on_notice: Callable[[str], None] = lambda message: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if tracker.ids:
            raise ValueError(f"the tracker already follows {tracker.ids}; start with an empty one")
        self._tracker = tracker
        self._settings = settings or SessionSettings()
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_notice = on_notice
        self._clock = clock
        self._thread: threading.Thread | None = None

        # Shared between callers and worker, under the lock.
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._woken = False
        self._stopping = False
        self._failure: Exception | None = None
        self._history = History(*_bounds(self._settings))
        self._waiting: Entry | None = None
        self._held: list[_Held] = []
        self._commands: deque[Callable[[], None]] = deque()
        self._ids: set[int] = set()
        self._used_ids: set[int] = set()  # never given again by itself
        self._next_id = 1
        self._max_targets = int(tracker.settings.max_targets)
        self._min_box_px = float(tracker.settings.min_box_px)
        self._counters = Counters()

        # The worker's own.
        self._behind: dict[int, int] = {}  # target -> sequence of the last image it has seen
        self._last: dict[int, TrackResult] = {}  # target -> what was last believed of it
        self._sizes: dict[int, tuple[int, int]] = {}  # target -> image size it started on
        self._live: Entry | None = None
        self._live_results: tuple[TrackResult, ...] = ()
        self._since_live = 0

    # ---- what callers use, from any thread -------------------------------------------------

    @property
    def ids(self) -> tuple[int, ...]:
        """Targets followed or about to be, sorted."""
        with self._lock:
            return tuple(sorted(self._ids))

    @property
    def counters(self) -> Counters:
        with self._lock:
            return self._counters

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since, also if it has failed."""
        return self._thread is not None

    @property
    def failure(self) -> Exception | None:
        """What ended the session, if something did."""
        return self._failure

    def add_image(self, image: StampedImage) -> None:
        """Take note of a new image; an older one still waiting is skipped."""
        notice = ""
        with self._lock:
            newest = self._history.newest
            if newest is not None and image.stamp_ns < newest.stamp_ns:
                notice = (
                    f"image stamps went back from {format_stamp(newest.stamp_ns)} to "
                    f"{format_stamp(image.stamp_ns)}; the history starts anew"
                )
            entry = self._history.add(image)
            skipped = self._counters.skipped + (self._waiting is not None)
            self._waiting = entry
            self._counters = replace(
                self._counters, received=self._counters.received + 1, skipped=skipped
            )
            answers = self._retry_held()
            self._notify()
        if notice:
            self._on_notice(notice)
        for answer, outcome in answers:
            answer(outcome)

    def init(self, request: InitRequest, answer: Callable[[InitAnswer], None]) -> None:
        """Validate a request, assign its id and queue it.

        ``answer`` is called exactly once: before this returns, unless the request waits for its
        image, which takes ``hold_init_s`` at most.
        """
        with self._lock:
            outcome = self._admit(request)
            if outcome is None:
                deadline = self._clock() + self._settings.hold_init_s
                self._held.append(_Held(request, answer, deadline))
            self._notify()
        if outcome is not None:
            answer(outcome)

    def remove(self, id: int) -> bool:
        """Stop following a target; whether it was known."""
        with self._lock:
            known = id in self._ids
            self._ids.discard(id)
            if known:
                self._commands.append(partial(self._forget, id))
                self._notify()
        return known

    def reset(self) -> None:
        """Stop following all targets."""
        for id in self.ids:
            self.remove(id)

    def set_tracker_settings(self, settings: Any) -> None:
        """Swap the tracker's settings as a whole, between two pieces of work."""
        with self._lock:
            self._max_targets = int(settings.max_targets)
            self._min_box_px = float(settings.min_box_px)
            self._commands.append(partial(setattr, self._tracker, "settings", settings))
            self._notify()

    def set_settings(self, settings: SessionSettings) -> None:
        """Swap the session's own settings; images kept so far stay if they still fit."""
        with self._lock:
            self._settings = settings
            self._history.set_bounds(*_bounds(settings))

    def count_lost(self, images: int) -> None:
        """Add images that the middleware reports as sent but never received."""
        with self._lock:
            self._counters = replace(self._counters, lost=self._counters.lost + images)

    def start(self) -> None:
        """Work in a thread of its own from now on."""
        if self._thread is not None:
            raise RuntimeError("the session already runs")
        if self._failure is not None:
            raise RuntimeError(f"the session ended with: {self._failure}")
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="siampolar-session", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its present piece of work. Targets are kept, images are not."""
        with self._lock:
            self._stopping = True
            self._notify()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._lock:
            held, self._held = self._held, []
            self._history.clear()
            if self._waiting is not None:
                self._waiting = None
                self._counters = replace(self._counters, skipped=self._counters.skipped + 1)
        for waiting in held:
            waiting.answer(self._refuse(waiting.request, "the tracker was deactivated"))

    # ---- the worker ------------------------------------------------------------------------

    def step(self) -> bool:
        """Do one piece of work in the calling thread; False if there is nothing to do."""
        with self._lock:
            expired = self._take_expired()
            work = None if self._failure else self._next_work()
        for held in expired:
            held.answer(self._expired_answer(held.request))
        if work is None:
            return bool(expired)
        try:
            work()
        except Exception as error:
            self._fail(error)
        return True

    def drain(self) -> None:
        """Work until nothing is left to do."""
        while self.step():
            pass

    def _run(self) -> None:
        while not self._stopping:
            if self.step():
                continue
            with self._lock:
                if not self._woken and not self._stopping:
                    self._wake.wait(self._seconds_to_deadline())
                self._woken = False

    def _next_work(self) -> Callable[[], None] | None:
        """Commands first; then the waiting image, after at most k history images."""
        if self._commands:
            return self._commands.popleft()
        late = self._next_late()
        if self._waiting is not None and (
            late is None or self._since_live >= self._settings.catch_up_frames
        ):
            entry, self._waiting = self._waiting, None
            self._counters = replace(self._counters, processed=self._counters.processed + 1)
            self._since_live = 0
            return partial(self._track_live, entry)
        if late is not None:
            self._since_live += 1
            return partial(self._catch_up, *late)
        return None

    def _next_late(self) -> tuple[Entry, list[int]] | None:
        """The oldest history image that a late target has yet to see, and all that need it."""
        if self._live is None:
            return None
        found: tuple[Entry, list[int]] | None = None
        for id, seen in self._behind.items():
            entry = next(self._history.after(seen), None)
            if entry is None or entry.sequence > self._live.sequence:
                continue
            if found is None or entry.sequence < found[0].sequence:
                found = entry, [id]
            elif entry.sequence == found[0].sequence:
                found[1].append(id)
        return found

    def _start(self, id: int, entry: Entry, box: Box) -> None:
        try:
            self._tracker.init(entry.image.frame, box, id=id)
        except ValueError as error:  # what was admitted was refused after all
            if id not in self._tracker.ids:  # an existing target goes on as before
                with self._lock:
                    self._ids.discard(id)
            self._on_notice(f"target {id} could not be started: {error}")
            return
        nothing = np.zeros((0, 2), np.float32)
        self._last[id] = TrackResult(
            id, TrackState.LOST, 0.0, 0.0, box, box.center_xy, nothing[:, 0], nothing
        )
        self._sizes[id] = entry.image.size
        # The init image itself is tracked as well, live or here, so that the outline is known
        # on it and so that the order of arrival of image and request makes no difference.
        self._behind[id] = entry.sequence - 1
        self._join()

    def _forget(self, id: int) -> None:
        self._tracker.remove(id)
        for table in (self._behind, self._last, self._sizes):
            table.pop(id, None)

    def _track_live(self, entry: Entry) -> None:
        self._warn_of_size(entry)
        self._join()
        self._live = entry
        present = [id for id in self._last if id not in self._behind]
        results = self._track(entry.image, present)
        self._live_results = results
        self._on_result(SessionResult(entry.image, results))

    def _catch_up(self, entry: Entry, ids: list[int]) -> None:
        results = self._track(entry.image, ids)
        for id in ids:
            self._behind[id] = entry.sequence
        joined = self._join()
        if self._live is None or entry.sequence != self._live.sequence or not joined:
            return
        # The image was reported without these targets: say it again with them.
        merged = {result.id: result for result in (*self._live_results, *results)}
        self._live_results = tuple(merged[id] for id in sorted(merged) if id in self._last)
        self._on_result(SessionResult(entry.image, self._live_results, update=True))

    def _join(self) -> list[int]:
        """Let targets that have seen all there is to see go on with the stream."""
        live = -1 if self._live is None else self._live.sequence
        with self._lock:
            caught_up = []
            for id, seen in self._behind.items():
                entry = next(self._history.after(seen), None)
                if entry is None or entry.sequence > live:
                    caught_up.append(id)
        for id in caught_up:
            del self._behind[id]
        return caught_up

    def _track(self, image: StampedImage, ids: list[int]) -> tuple[TrackResult, ...]:
        """Track the targets that belong to images of this size, report the others lost."""
        fitting = [id for id in ids if self._sizes[id] == image.size]
        results = {r.id: r for r in self._tracker.track(image.frame, fitting)} if fitting else {}
        self._last.update(results)
        for id in ids:
            if id not in results:
                results[id] = self._lost(id, image)
        return tuple(results[id] for id in sorted(results))

    def _lost(self, id: int, image: StampedImage) -> TrackResult:
        last = self._last[id]
        outline = polar.clip_polygon(last.polygon_xy, *image.size)
        return replace(last, state=TrackState.LOST, score=0.0, quality=0.0, polygon_xy=outline)

    def _warn_of_size(self, entry: Entry) -> None:
        size = entry.image.size
        if self._live is None or size == self._live.image.size:
            return
        others = [id for id in sorted(self._sizes) if self._sizes[id] != size]
        message = "image size changed from {}x{} to {}x{}".format(*self._live.image.size, *size)
        if others:
            kept = ", ".join("{} ({}x{})".format(id, *self._sizes[id]) for id in others)
            message += (
                f"; reported lost until images of their size return or they are started again: "
                f"target {kept}"
            )
        self._on_notice(message)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failure = error
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                self._counters = replace(self._counters, skipped=self._counters.skipped + 1)
        if self._live is not None:
            image = self._live.image
            lost = tuple(self._lost(id, image) for id in sorted(self._last))
            try:
                self._on_result(SessionResult(image, lost, update=True))
            except Exception as second:
                self._on_notice(f"the lost targets could not be reported: {second}")
        self._on_failure(error)

    # ---- requests, under the lock ----------------------------------------------------------

    def _admit(self, request: InitRequest) -> InitAnswer | None:
        """The answer to a request; None: it must wait for its image."""
        if self._failure is not None:
            return self._refuse(request, f"the tracker has failed: {self._failure}")
        if request.id < 0:
            return self._refuse(request, f"target id {request.id} must be 0 (a new one) or more")
        ahead_ns = self._history.ahead_ns(request.stamp_ns)
        try:
            if self._history.newest is None:
                # A box that no image could hold need not wait for one.
                box = request.box
                if not (math.isfinite(box.area) and box.width > 0 and box.height > 0):
                    validate_init_box(box, 1, 1, 0)
                return None
            # A small request overtakes a large image, so a stamp may be a little early.
            if 0 < ahead_ns <= self._settings.hold_init_s * 1e9:
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
            box = validate_init_box(request.box, *image.size, self._min_box_px)
        except BoxError as error:
            return self._refuse(request, str(error), image)
        if request.id not in self._ids and len(self._ids) >= self._max_targets:
            return self._refuse(
                request,
                f"{len(self._ids)} targets are followed already; at most {self._max_targets} "
                "are allowed",
                image,
            )
        id = request.id or self._unused_id()
        self._ids.add(id)
        self._used_ids.add(id)
        self._commands.append(partial(self._start, id, entry, box))
        return InitAnswer(True, id, image=image)

    def _unused_id(self) -> int:
        while self._next_id in self._used_ids:
            self._next_id += 1
        return self._next_id

    def _refuse(
        self, request: InitRequest, message: str, image: StampedImage | None = None
    ) -> InitAnswer:
        return InitAnswer(False, request.id, message, image)

    def _retry_held(self) -> list[tuple[Callable[[InitAnswer], None], InitAnswer]]:
        answers = []
        still = []
        for held in self._held:
            outcome = self._admit(held.request)
            if outcome is None:
                still.append(held)
            else:
                answers.append((held.answer, outcome))
        self._held = still
        return answers

    def _take_expired(self) -> list[_Held]:
        if not self._held:
            return []
        now = self._clock()
        expired = [held for held in self._held if now >= held.deadline]
        self._held = [held for held in self._held if now < held.deadline]
        return expired

    def _expired_answer(self, request: InitRequest) -> InitAnswer:
        waited = f"waited {self._settings.hold_init_s:g} s"
        with self._lock:
            newest = self._history.newest
        if newest is None:
            return self._refuse(request, f"no image has arrived ({waited})")
        return self._refuse(
            request,
            f"stamp {format_stamp(request.stamp_ns)} lies in the future of the newest image, "
            f"{format_stamp(newest.stamp_ns)} ({waited})",
        )

    def _seconds_to_deadline(self) -> float | None:
        if not self._held:
            return None
        return max(0.0, min(held.deadline for held in self._held) - self._clock())

    def _notify(self) -> None:
        self._woken = True
        self._wake.notify()
