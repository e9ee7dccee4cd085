"""Does the work of a session on its tracker, and reports the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from types import MappingProxyType

from ..errors import FrameError
from ..results import Target
from ..tracking.elapsed import seconds_between
from .history import Entry, format_stamp
from .notices import Notices
from .redetection_limit import RedetectionLimit
from .requests import Reply
from .schedule import Schedule
from .target_list import TargetList, TrackerLike
from .targets import Targets
from .work import ChangeSettings, RemoveTargets, StartTarget, TrackLate, TrackLive, Work


class Executor:
    """Owns the tracker while a session works; only the worker calls it.

    Args:
        on_result: called with the targets of every live image, also if there are none.
    """

    def __init__(
        self,
        tracker: TrackerLike,
        schedule: Schedule,
        notices: Notices,
        on_result: Callable[[Targets], None],
    ) -> None:
        self._tracker = tracker
        self._schedule = schedule
        self._notices = notices
        self._on_result = on_result
        self._target_list = TargetList(tracker)
        self._live_results: tuple[Target, ...] = ()
        self._redetection_limit = RedetectionLimit()

    def do(self, work: Work) -> None:
        """Do one piece of work; whatever the tracker raises ends the session."""
        match work:
            case StartTarget():
                self._start(work)
            case RemoveTargets():
                self._remove(work)
            case ChangeSettings():
                self._tracker.settings = work.settings
            case TrackLive():
                self._track_live(work)
            case TrackLate():
                self._track_late(work)

    def report_all_lost(self) -> None:
        """Report all targets as lost on the live image, if there is one."""
        live = self._schedule.live
        if live is not None:
            self._report(live, self._target_list.lose_all(live.image), update=True)

    def _start(self, work: StartTarget) -> None:
        try:
            self._target_list.start(work.id, work.entry.image, work.region)
        except ValueError as error:  # the image is damaged, or the tracker refuses the target
            if work.id not in self._target_list.ids:
                self._schedule.ended([work.id])
            if work.pending is None:
                self._notices.send(f"target {work.id} could not be started: {error}")
            else:
                _send(work.pending.refused(str(error)))
            return
        except Exception as error:
            if work.pending is not None:
                _send(work.pending.refused(f"the tracker has failed: {error}"))
            raise
        self._schedule.started(work.id, work.entry, self._target_list.results)
        if work.pending is not None:
            warning = self._target_list.start_warning(work.id, work.entry.image)
            _send(work.pending.started(warning))

    def _remove(self, work: RemoveTargets) -> None:
        """Report it at once, because no other image may come."""
        for id in work.ids:
            self._target_list.drop(id)
        self._schedule.removed(work.ids)
        left = tuple(r for r in self._live_results if r.id in self._target_list.ids)
        live = self._schedule.live
        if live is not None and len(left) < len(self._live_results):
            self._report(live, left, update=True)

    def _track_live(self, work: TrackLive) -> None:
        entry, began_s = work.entry, perf_counter()
        if self._target_list.ids and not self._can_be_read(entry):
            return
        decoded_s = perf_counter()
        before = self._schedule.live
        self._warn_of_size(entry, before)
        # Between the newest stamps by then: stamps that go back and on again would add up to more
        # time than has passed.
        before_ns = None if before is None else before.newest_ns
        elapsed_s = seconds_between(before_ns, entry.newest_ns)
        wanted = self._tracker.settings.redetect_crops
        self._redetection_limit.count(work.skipped, wanted)
        late = self._schedule.begin_live(entry)
        results = self._target_list.track(
            entry.image,
            [id for id in self._target_list.ids if id not in late],
            elapsed_s=elapsed_s,
            redetect_crops=self._redetection_limit.crops(wanted),
        )
        tracked_s = perf_counter()
        dropped = self._target_list.time_out(results, elapsed_s, self._schedule.lost_timeout_s)
        self._schedule.ended(dropped)
        kept = tuple(r for r in results if r.id not in dropped)
        self._report(
            entry,
            kept,
            dropped=dropped,
            decode_s=decoded_s - began_s,
            track_s=tracked_s - decoded_s,
        )

    def _track_late(self, work: TrackLate) -> None:
        results: tuple[Target, ...] = ()
        if self._can_be_read(work.entry):
            # One crop per target, because a live image may be waiting.
            image = work.entry.image
            elapsed_s = seconds_between(self._target_list.last_stamp_ns(work.ids), image.stamp_ns)
            results = self._target_list.track(
                image, work.ids, elapsed_s=elapsed_s, redetect_crops=0
            )
        if self._schedule.tracked_late(work.entry, work.ids):
            # The live image was reported without these targets and is reported again with them.
            merged = {result.id: result for result in (*self._live_results, *results)}
            self._report(work.entry, tuple(merged[id] for id in sorted(merged)), update=True)

    def _can_be_read(self, entry: Entry) -> bool:
        """Whether the image has pixels: a compressed one is decoded now and may be damaged."""
        try:
            entry.image.frame.decode()
        except FrameError as error:
            stamp = format_stamp(entry.image.stamp_ns)
            self._notices.send_now_and_then("skipped", f"image of {stamp} skipped: {error}")
            return False
        return True

    def _report(
        self,
        live: Entry,
        results: tuple[Target, ...],
        *,
        update: bool = False,
        dropped: Mapping[int, str] = MappingProxyType({}),
        decode_s: float = 0.0,
        track_s: float = 0.0,
    ) -> None:
        """Report the targets on the live image.

        Args:
            dropped: reasons why targets were dropped on this image, by id.
            decode_s, track_s: see :class:`Targets`.
        """
        self._live_results = results
        changes = self._target_list.changes(results, dropped)
        self._schedule.set_targets(self._target_list.results)
        self._on_result(Targets(live.image, results, update, changes, decode_s, track_s))

    def _warn_of_size(self, entry: Entry, before: Entry | None) -> None:
        size = entry.image.size
        if before is None or size == before.image.size:
            return
        message = "image size changed from {}x{} to {}x{}".format(*before.image.size, *size)
        others = self._target_list.of_other_sizes(size)
        if others:
            message += (
                "; lost until images of their size return or they are started again: "
                f"target {others}"
            )
        self._notices.send_now_and_then("size", message)


def _send(reply: Reply) -> None:
    reply.callback(reply.result)
