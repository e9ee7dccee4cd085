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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ..errors import FrameError
from ..geometry.box import Box
from ..results import StateChange, Target
from ..tracking.redetection import RedetectionBudget
from .catch_up import CatchUp
from .history import Entry, History, StampedImage, format_stamp
from .requests import Admission, InitCallback, InitRequest, InitResult, Outcome, TargetIds
from .settings import SessionSettings
from .target_list import TargetList, TrackerLike


@dataclass(frozen=True, eq=False)
class Targets:
    """All targets on one image, sorted by id.

    Attributes:
        image: the image worked on.
        targets: one per target that has caught up with the stream.
        update: the image may have been reported before: a target that started on it, or before
            it, has joined since, targets were removed, or the tracker failed and all are lost.
        changes: what is different from the result before.
    """

    image: StampedImage
    targets: tuple[Target, ...]
    update: bool = False
    changes: tuple[StateChange, ...] = ()


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


#: Stamps that say less or more about the time between two images are not believed: cameras
#: without stamps, clocks that jump.
_LONGEST_GAP_S = 5.0
_USUAL_GAP_S = 1 / 30

#: Seconds before the like of a notice about images is said again.
_NOTICE_PAUSE_S = 10.0


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
        on_notice: called with one line that the operator should read; what a stream gives cause to
            say with every image is said now and then.
        clock: seconds, for the waiting time of held inits and between notices.
        target_ids: those of an earlier session, so that no id is given again; None: from 1 on.

    Example:
        >>> import numpy as np
        >>> import siampolar_model as sp
        >>> def show(result: sp.Targets) -> None:
        ...     print([(target.id, target.state.name) for target in result.targets])
        >>> def answer(result: sp.InitResult) -> None:
        ...     print(f"target {result.id}" if result.success else result.message)
        >>> image = np.full((240, 320, 3), 90, np.uint8)
        >>> image[80:140, 100:180] = (0, 80, 220)
        >>> tracker = sp.Tracker.from_pretrained("siampolar_lite0", engine="onnxruntime")
        >>> session = sp.Session(tracker, on_result=show, on_failure=print)
        >>> session.add_image(sp.StampedImage(1_000_000_000, sp.Frame.from_bgr(image)))
        >>> session.drain()  # or session.start(), which works in a thread of its own
        []
        >>> session.init(sp.InitRequest(sp.Box.from_xywh(100, 80, 80, 60)), answer)
        target 1
        >>> session.drain()
        [(1, 'TRACKING')]
    """

    def __init__(
        self,
        tracker: TrackerLike,
        settings: SessionSettings | None = None,
        *,
        on_result: Callable[[Targets], None],
        on_failure: Callable[[Exception], None],
        on_notice: Callable[[str], None] = lambda message: None,
        clock: Callable[[], float] = time.monotonic,
        target_ids: TargetIds | None = None,
    ) -> None:
        if tracker.ids:
            raise ValueError(f"the tracker already follows {tracker.ids}; start with an empty one")
        self._tracker = tracker
        self._settings = settings or SessionSettings()
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_notice = on_notice
        self._clock = clock
        self._noticed_s: dict[str, float] = {}
        self._thread: threading.Thread | None = None

        # Shared between callers and worker, under the lock.
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._woken = False
        self._stopping = False
        self._failure: Exception | None = None
        self._history = History(*_bounds(self._settings))
        self._catch_up = CatchUp(self._history)
        self._waiting: Entry | None = None
        self._commands: deque[partial[None]] = deque()
        self._admission = Admission(
            self._history,
            self._queue_start,
            target_ids or TargetIds(),
            clock,
            hold_s=self._settings.hold_init_s,
            max_targets=int(tracker.settings.max_targets),
            min_box_px=float(tracker.settings.min_box_px),
        )
        self._counters = Counters()
        self._listed: tuple[Target, ...] = ()

        # The worker's own.
        self._target_list = TargetList(tracker)
        self._live: Entry | None = None
        self._live_results: tuple[Target, ...] = ()
        self._since_live = 0
        self._skipped_before_live = 0
        self._budget = RedetectionBudget()

    # ---- what callers use, from any thread -------------------------------------------------

    @property
    def ids(self) -> tuple[int, ...]:
        """Targets followed or about to be, sorted."""
        with self._lock:
            return tuple(sorted(self._admission.ids))

    @property
    def targets(self) -> tuple[Target, ...]:
        """What was last said of every target that still is followed, sorted by id."""
        with self._lock:
            return tuple(r for r in self._listed if r.id in self._admission.ids)

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
        with self._lock:
            newest = self._history.newest
            entry = self._history.add(image)
            self._skip_waiting()
            self._waiting = entry
            self._counters = replace(self._counters, received=self._counters.received + 1)
            outcomes = self._admission.retry() if self._failure is None else []
            self._notify()
        if newest is not None and image.stamp_ns < newest.stamp_ns:
            kept = entry.newest_ns == image.stamp_ns
            result = "the history starts anew" if kept else "the image is not kept for late inits"
            self._notice(
                result,
                f"image stamps went back from {format_stamp(newest.stamp_ns)} to "
                f"{format_stamp(image.stamp_ns)}; {result}",
            )
        _tell(outcomes)

    def init(self, request: InitRequest, answer: InitCallback) -> None:
        """Validate a request, assign its id and queue it.

        ``answer`` is called exactly once: before this returns, unless the request waits for its
        image, which takes ``hold_init_s`` at most.
        """
        with self._lock:
            if self._failure is None:
                outcomes = self._admission.ask(request, answer)
            else:
                message = f"the tracker has failed: {self._failure}"
                outcomes = [(answer, InitResult(False, request.id, message))]
            self._notify()
        _tell(outcomes)

    def remove(self, id: int) -> bool:
        """Stop following a target; whether it was known."""
        return bool(self._remove([id]))

    def reset(self) -> int:
        """Stop following all targets; how many there were."""
        return len(self._remove(self.ids))

    def set_tracker_settings(self, settings: Any) -> None:
        """Swap the tracker's settings as a whole, between two pieces of work."""
        with self._lock:
            self._admission.max_targets = int(settings.max_targets)
            self._admission.min_box_px = float(settings.min_box_px)
            self._commands.append(partial(setattr, self._tracker, "settings", settings))
            self._notify()

    def set_settings(self, settings: SessionSettings) -> None:
        """Swap the session's own settings; images kept so far stay if they still fit."""
        with self._lock:
            self._settings = settings
            self._admission.hold_s = settings.hold_init_s
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
            outcomes = self._admission.refuse_all("the tracker was deactivated")
            self._history.clear()
            self._skip_waiting()
            self._live, self._live_results = None, ()
        _tell(outcomes)

    def close(self) -> None:
        """Stop for good and let go of the tracker at once, whoever still holds the session.

        Commands and the failure's traceback refer to the tracker as well, and to the session.
        """
        self.stop()
        with self._lock:
            self._commands.clear()
            self._failure = None
        del self._tracker, self._target_list

    # ---- the worker ------------------------------------------------------------------------

    def step(self) -> bool:
        """Do one piece of work in the calling thread; False if there is nothing to do."""
        with self._lock:
            expired = self._admission.take_expired()
            work = None if self._failure else self._next_work()
        _tell(expired)
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
                    self._wake.wait(self._admission.seconds_to_deadline())
                self._woken = False

    def _next_work(self) -> Callable[[], None] | None:
        """Commands first, then late images, but at most k of either before a waiting live one."""
        urgent = self._waiting is not None and self._since_live >= self._settings.catch_up_frames
        if self._commands and not (urgent and self._commands[0].func == self._start):
            self._since_live += self._commands[0].func == self._start
            return self._commands.popleft()
        late = None if urgent else self._catch_up.next(self._live)
        if late is not None:
            self._since_live += 1
            return partial(self._track_late, *late)
        if self._waiting is None:
            return None
        entry, self._waiting = self._waiting, None
        self._counters = replace(self._counters, processed=self._counters.processed + 1)
        skipped = self._counters.skipped - self._skipped_before_live
        self._skipped_before_live = self._counters.skipped
        self._catch_up.pace(entry, self._since_live)
        self._since_live = 0
        return partial(self._track_live, entry, skipped)

    def _start(self, id: int, entry: Entry, box: Box) -> None:
        try:
            self._target_list.start(id, entry.image, box)
        except ValueError as error:  # what was admitted was refused after all
            if id not in self._target_list.ids:
                with self._lock:
                    self._admission.ids.discard(id)
            self._on_notice(f"target {id} could not be started: {error}")
            return
        with self._lock:
            # The init image itself is tracked as well, live or here, so that the outline is known
            # on it and so that the order of arrival of image and request makes no difference.
            self._catch_up.add(id, entry)
            self._catch_up.take_caught_up(self._live)
            self._listed = self._target_list.results

    def _forget(self, ids: Iterable[int]) -> None:
        """On request; said at once, also when no image comes any more."""
        for id in ids:
            self._target_list.drop(id)
            with self._lock:
                self._catch_up.discard(id)
        left = tuple(r for r in self._live_results if r.id in self._target_list.ids)
        if self._live is not None and len(left) < len(self._live_results):
            self._report(left, update=True)

    def _track_live(self, entry: Entry, skipped: int) -> None:
        if self._target_list.ids and not self._can_be_read(entry):
            return
        self._warn_of_size(entry)
        wanted = int(self._tracker.settings.redetect_crops)
        self._budget.count(skipped, wanted)
        elapsed_s = self._seconds_since_live(entry)
        with self._lock:
            self._catch_up.take_caught_up(self._live)
        self._live = entry
        results = self._target_list.track(
            entry.image,
            [id for id in self._target_list.ids if id not in self._catch_up],
            elapsed_s=elapsed_s,
            redetect_crops=self._budget.crops(wanted),
        )
        dropped = self._target_list.time_out(results, elapsed_s, self._settings.lost_timeout_s)
        with self._lock:
            # Not one that somebody asked to start again just now.
            starting = {
                command.args[0] for command in self._commands if command.func == self._start
            }
            self._admission.ids.difference_update(set(dropped) - starting)
        self._report(tuple(r for r in results if r.id not in dropped), dropped=dropped)

    def _track_late(self, entry: Entry, ids: list[int]) -> None:
        # One crop a target: a live image may be waiting.
        if self._can_be_read(entry):
            results = self._target_list.track(entry.image, ids, redetect_crops=0)
        else:
            results = ()
        with self._lock:
            self._catch_up.saw(entry, ids)
            joined = self._catch_up.take_caught_up(self._live)
        if joined and self._live is not None and entry.sequence == self._live.sequence:
            # The image was reported without these targets: say it again with them.
            merged = {result.id: result for result in (*self._live_results, *results)}
            self._report(tuple(merged[id] for id in sorted(merged)), update=True)

    def _can_be_read(self, entry: Entry) -> bool:
        """Whether the image has pixels: compressed ones are decoded here, and may be damaged."""
        try:
            _ = entry.image.frame.planes
        except FrameError as error:
            stamp = format_stamp(entry.image.stamp_ns)
            self._notice("skipped", f"image of {stamp} skipped: {error}")
            return False
        return True

    def _seconds_since_live(self, entry: Entry) -> float:
        """By the newest stamps: steps back and on again would add up to more than has passed."""
        if self._live is None or entry.newest_ns <= self._live.newest_ns:
            return _USUAL_GAP_S
        return min((entry.newest_ns - self._live.newest_ns) / 1e9, _LONGEST_GAP_S)

    def _report(
        self,
        results: tuple[Target, ...],
        *,
        update: bool = False,
        dropped: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Say the results of the live image."""
        assert self._live is not None
        self._live_results = results
        changes = self._target_list.changes(results, dropped)
        with self._lock:
            self._listed = self._target_list.results
        self._on_result(Targets(self._live.image, results, update, changes))

    def _warn_of_size(self, entry: Entry) -> None:
        size = entry.image.size
        if self._live is None or size == self._live.image.size:
            return
        message = "image size changed from {}x{} to {}x{}".format(*self._live.image.size, *size)
        others = self._target_list.of_other_sizes(size)
        if others:
            message += (
                "; reported lost until images of their size return or they are started again: "
                f"target {others}"
            )
        self._notice("size", message)

    def _notice(self, kind: str, text: str) -> None:
        now = self._clock()
        if now - self._noticed_s.get(kind, -math.inf) >= _NOTICE_PAUSE_S:
            self._noticed_s[kind] = now
            self._on_notice(text)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failure = error
            self._skip_waiting()
            outcomes = self._admission.refuse_all(f"the tracker has failed: {error}")
        _tell(outcomes)
        if self._live is not None:
            try:
                self._report(self._target_list.lose_all(self._live.image), update=True)
            except Exception as second:
                self._on_notice(f"the lost targets could not be reported: {second}")
        self._on_failure(error)

    # ---- under the lock --------------------------------------------------------------------

    def _queue_start(self, id: int, entry: Entry, box: Box) -> None:
        """Only the last request for an id counts: a flood of them must not pile up."""
        others = [c for c in self._commands if not (c.func == self._start and c.args[0] == id)]
        self._commands = deque([*others, partial(self._start, id, entry, box)])

    def _remove(self, ids: Iterable[int]) -> list[int]:
        with self._lock:
            known = [id for id in ids if id in self._admission.ids]
            self._admission.ids.difference_update(known)
            if known:
                self._commands.append(partial(self._forget, known))
                self._notify()
        return known

    def _skip_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            self._counters = replace(self._counters, skipped=self._counters.skipped + 1)

    def _notify(self) -> None:
        self._woken = True
        self._wake.notify()


def _tell(outcomes: Iterable[Outcome]) -> None:
    """Answer requests, outside of the lock."""
    for answer, outcome in outcomes:
        answer(outcome)
