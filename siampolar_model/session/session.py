"""A tracker on a stream of images: the newest image wins, late inits catch up on the history.

One worker owns tracker and engine and does one small piece of work at a time: it carries out a
command, or finds targets on the newest image or, for targets that started in the past, on one image
of the history. Everything else (:meth:`Session.add_image`, :meth:`Session.init`, ...) only queues
work and returns at once. Without a thread, :meth:`Session.step` does the same pieces of work in the
same order, which makes replays and tests exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..results import Target
from ..tracking.settings import TrackerSettings
from .executor import Executor
from .history import StampedImage, format_stamp
from .notices import Notices
from .requests import InitCallback, InitRequest, Reply, TargetIds
from .schedule import Counters as Counters
from .schedule import Schedule
from .settings import SessionSettings
from .target_list import TrackerLike
from .targets import Targets as Targets
from .worker import Worker


class Session:
    """Schedules images and requests onto one tracker.

    Every method may be called from any thread.

    Args:
        tracker: without targets; only the worker touches it from now on.
        on_result: called by the worker for every processed image, also without targets.
        on_failure: called by the worker, once, with the exception that ended it. Before that all
            targets were reported lost through ``on_result``.
        on_notice: called with a one-line warning for the operator. Warnings of a kind that every
            image may cause are repeated at most every 10 s.
        clock: seconds, for the waiting time of inits and between notices.
        target_ids: those of an earlier session, so that no id is used again; None starts from 1.

    Raises:
        ValueError: the tracker has targets already.

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
        self._on_failure = on_failure
        self._notices = Notices(on_notice, clock)
        self._schedule = Schedule(
            settings or SessionSettings(),
            tracker.settings,
            target_ids or TargetIds(),
            clock,
            tracker.spec.takes_mask,
        )
        self._executor = Executor(tracker, self._schedule, self._notices, on_result)
        self._worker = Worker(self.step, self._schedule.seconds_to_deadline)

    @property
    def ids(self) -> tuple[int, ...]:
        """Targets followed or about to be, sorted."""
        return self._schedule.ids

    @property
    def targets(self) -> tuple[Target, ...]:
        """The last result of every target that is still followed, sorted by id."""
        return self._schedule.targets

    @property
    def counters(self) -> Counters:
        """How many images were received, processed, skipped and lost."""
        return self._schedule.counters

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since, also if it has failed."""
        return self._worker.running

    @property
    def failure(self) -> Exception | None:
        """The exception that ended the session, if one did."""
        return self._schedule.failure

    def add_image(self, image: StampedImage) -> None:
        """Queue a new image; an older one that is still waiting is skipped."""
        newest, entry, replies = self._schedule.add_image(image)
        self._worker.wake()
        if newest is not None and image.stamp_ns < newest.stamp_ns:
            kept = entry.newest_ns == image.stamp_ns
            result = "the history starts again" if kept else "the image is not kept for late inits"
            self._notices.send_now_and_then(
                result,
                f"image stamps went back from {format_stamp(newest.stamp_ns)} to "
                f"{format_stamp(image.stamp_ns)}; {result}",
            )
        _send(replies)

    def init(self, request: InitRequest, callback: InitCallback) -> None:
        """Check a request, assign its id and queue it.

        ``callback`` is called exactly once with the result: before this method returns, unless the
        request has to wait for its image (for ``hold_init_s`` at the latest), its image is
        compressed and not decoded yet, or it names a point. The worker then decodes the image,
        looks at the point and starts the target, or refuses the request if the image is damaged or
        nothing stands out.
        """
        replies = self._schedule.ask(request, callback)
        self._worker.wake()
        _send(replies)

    def remove(self, id: int) -> bool:
        """Stop following a target; False if there was none with this id."""
        return bool(self._remove([id]))

    def reset(self) -> int:
        """Stop following all targets; how many there were."""
        return self._remove(None)

    def set_tracker_settings(self, settings: TrackerSettings) -> None:
        """Swap the tracker's settings as a whole, between two pieces of work."""
        self._schedule.change_tracker_settings(settings)
        self._worker.wake()

    def set_settings(self, settings: SessionSettings) -> None:
        """Swap the session's own settings; images kept so far stay if they still fit."""
        self._schedule.change_settings(settings)

    def count_lost(self, images: int) -> None:
        """Add images that the middleware reports as sent but never received."""
        self._schedule.count_lost(images)

    def start(self) -> None:
        """Work in a thread of its own from now on.

        Raises:
            RuntimeError: it runs already, or it has failed.
        """
        if self._worker.running:
            raise RuntimeError("the session already runs")
        if self.failure is not None:
            raise RuntimeError(f"the session ended with: {self.failure}")
        self._worker.start()

    def stop(self) -> None:
        """End the thread after its present piece of work. Targets are kept, images are not."""
        self._worker.stop()
        _send(self._schedule.clear())

    def close(self) -> None:
        """Stop for good and release the tracker at once, even if the session is still referred to.

        Commands and the failure's traceback refer to the tracker as well, so they are forgotten.
        """
        self.stop()
        self._schedule.close()
        del self._executor

    def step(self) -> bool:
        """Do one piece of work in the calling thread; False if there is nothing to do."""
        work, replies = self._schedule.next()
        _send(replies)
        if work is None:
            return bool(replies)
        try:
            self._executor.do(work)
        except Exception as error:
            self._fail(error)
        return True

    def drain(self) -> None:
        """Work until nothing is left to do."""
        while self.step():
            pass

    def _fail(self, error: Exception) -> None:
        _send(self._schedule.fail(error))
        try:
            self._executor.report_all_lost()
        except Exception as second:
            self._notices.send(f"the lost targets could not be reported: {second}")
        self._on_failure(error)

    def _remove(self, ids: Iterable[int] | None) -> int:
        count = self._schedule.remove(ids)
        self._worker.wake()
        return count


def _send(replies: Iterable[Reply]) -> None:
    for reply in replies:
        reply.callback(reply.result)
