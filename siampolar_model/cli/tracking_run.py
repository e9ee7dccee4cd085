"""The work of ``siampolar track``: every frame is tracked, and its results are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..errors import SiampolarError
from ..images.frame import Frame
from ..io.exports.base import Export, Exports, FrameResult
from ..io.live import LiveSource, MotionJpeg
from ..io.video import VideoFrame, VideoReader, VideoWriter
from ..rendering.draw import draw
from ..results import Target
from ..tracking.elapsed import seconds_between
from ..tracking.tracker import Tracker
from .inits import Init
from .interrupts import uninterrupted
from .summary import Summary


class TrackingRun:
    """Tracks one video once.

    Args:
        frames: what to track, from the reader.
        inits: in the order of their frames. One whose frame a camera or stream skipped starts on
            the next one.
        video: takes the frames with outlines drawn; None: no video is wanted.
        exports: formats and where to write them.
        on_notice: called with every notice of the reader, as soon as it is known.

    Attributes:
        summary: of the frames done so far.
        waiting: inits whose frame has not come yet.
        seconds: how long the frames took.
        early: what ended it before the last frame: KeyboardInterrupt or an error of the source.
    """

    def __init__(
        self,
        tracker: Tracker,
        reader: VideoReader | LiveSource | MotionJpeg,
        frames: Iterable[VideoFrame],
        inits: Sequence[Init],
        *,
        video: VideoWriter | None,
        exports: Sequence[tuple[type[Export], Path]],
        on_notice: Callable[[str], None],
    ) -> None:
        self._tracker = tracker
        self._reader, self._frames = reader, frames
        # The frames of a file have a rate, those of a camera come when they come.
        self._timed = not isinstance(reader, VideoReader)
        self._video = video
        self._exports = exports
        self._on_notice = on_notice
        self._notices = 0  # of the reader that were passed on
        self._files: Exports | None = None
        self.summary = Summary()
        self.waiting = list(inits)
        self.seconds = 0.0
        self.early: BaseException | None = None

    def work(self, on_frame: Callable[[], None]) -> None:
        """Track all frames, or as many as there are until something ends it early.

        Files appear at the end, and only if a frame was done.

        Raises:
            KeyboardInterrupt, SiampolarError: it ended before the first frame was done.
            OSError, VideoError: a file that cannot be written.
        """
        begin = time.monotonic()
        with ExitStack() as files:
            try:
                for frame, targets in self._tracked():
                    with uninterrupted():
                        if not self.summary.frames:
                            self._open(files)
                        self._write(frame, targets)
                    on_frame()
            except KeyboardInterrupt as stop:
                if not self.summary.frames:
                    raise
                self.early = stop
            with uninterrupted():
                files.close()
        self.seconds = time.monotonic() - begin

    def _tracked(self) -> Iterator[tuple[VideoFrame, list[Target]]]:
        try:
            self._pass_notices()
            before_ns = None
            for frame in self._frames:
                view = Frame.from_bgr(frame.image)
                self._start(frame.index, view)
                # The image of an init is tracked as well, as in the node, so that the target has
                # an outline there too.
                elapsed_s = seconds_between(before_ns, frame.stamp_ns)
                before_ns = frame.stamp_ns
                targets = self._tracker.update(view, elapsed_s=elapsed_s)
                yield frame, targets
                self._pass_notices()
            self._pass_notices()
        except SiampolarError as error:
            if not self.summary.frames:
                raise
            self.early = error

    def _start(self, index: int, view: Frame) -> None:
        while self.waiting and (self.waiting[0].frame or 0) <= index:
            init = self.waiting.pop(0)
            self._tracker.start(view, init.region, id=init.id)

    def _open(self, files: ExitStack) -> None:
        self._files = files.enter_context(Exports(self._exports))
        if self._video is not None:
            files.enter_context(self._video)

    def _write(self, frame: VideoFrame, targets: list[Target]) -> None:
        height, width = frame.image.shape[:2]
        assert self._files is not None
        self._files.write(
            FrameResult(frame.index, frame.stamp_ns, width, height, targets, frame.image)
        )
        if self._video is not None:
            picture: np.ndarray = draw(frame.image, targets)
            self._video.write(picture, frame.stamp_ns if self._timed else None)
        self.summary.take(frame.index, targets)

    def _pass_notices(self) -> None:
        new = self._reader.notices[self._notices :]
        self._notices += len(new)
        for notice in new:
            self._on_notice(notice)
