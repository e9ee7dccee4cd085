"""What a replay writes: a bag, lines of JSON, a video, each only if it is asked for."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import cv2

from ..errors import ReplayError
from ..io.bags import BagReader, ResultBag
from ..io.jsonl import json_line
from ..io.messages import stamp_to_ns
from ..io.video import DEFAULT_FPS, VideoWriter
from ..rendering.draw import draw
from ..session.requests import InitResult
from ..session.session import Targets
from .replay import Event

# The frame rate of the video is one over the median of this many intervals between stamps.
_INTERVALS = 30


class ReplayOutputs:
    """Writes the results of a replay; the files are complete after leaving ``with``.

    The bag holds every message that the node would publish. Lines and video hold every image
    once, with the last report of it.

    Args:
        reader: the recording, for the kind of storage and the rate of the video.
        topic: its image topic.
        on_notice: called with one line for the operator.
    """

    def __init__(
        self,
        reader: BagReader,
        topic: str,
        on_notice: Callable[[str], None],
        *,
        bag: Path | None = None,
        jsonl: Path | None = None,
        video: Path | None = None,
    ) -> None:
        self._on_notice = on_notice
        self._last: tuple[int, Targets] | None = None
        self._bag: ResultBag | None = None
        self._lines: _Lines | None = None
        self._video: _Drawing | None = None
        with ExitStack() as files:
            if bag is not None:
                self._bag = files.enter_context(ResultBag(bag, reader.storage))
            if jsonl is not None:
                self._lines = files.enter_context(_Lines(jsonl))
            if video is not None:
                writer = files.enter_context(VideoWriter(video, _rate(reader, topic)))
                self._video = _Drawing(writer)
            self._files = files.pop_all()

    def take(self, index: int, time_ns: int, events: Iterable[Event]) -> None:
        """Write the events that a message has led to.

        Args:
            index: of the last image within its topic, from 0.
            time_ns: when the message was recorded.

        Raises:
            BagError, ReplayError, VideoError: it cannot be written.
        """
        for event in events:
            if isinstance(event, Targets):
                if self._bag is not None:
                    self._bag.result(time_ns, event)
                if event.update and self._last is not None:
                    index = self._last[0]  # later images may have been unreadable
                else:
                    self._write_last()
                self._last = index, event
            elif isinstance(event, InitResult):
                if self._bag is not None:
                    self._bag.answer(time_ns, event)
                if not event.success:
                    self._on_notice(f"init refused: {event.message}")
            else:
                self._on_notice(event.text)

    def __enter__(self) -> ReplayOutputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._files.__exit__(kind, error, trace)
            return
        with self._files:
            self._write_last()

    def _write_last(self) -> None:
        if self._last is not None:
            index, result = self._last
            if self._lines is not None:
                self._lines.write(json_line(index, result.image.stamp_ns, result.targets))
            if self._video is not None:
                self._video.write(result)


class _Lines:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._named():
            self._file = path.open("w", encoding="utf-8")

    def write(self, line: str) -> None:
        with self._named():
            self._file.write(line)

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        with self._named():
            self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # it does not name the file if the disk is full
            raise ReplayError(f"{self._path}: cannot be written ({error.strerror})") from None


class _Drawing:
    """Draws targets on their images, scaled to the size of the first if the stream changes it."""

    def __init__(self, writer: VideoWriter) -> None:
        self._writer = writer
        self._size_wh: tuple[int, int] | None = None

    def write(self, result: Targets) -> None:
        picture = draw(result.image.frame.to_bgr(), result.targets)
        height, width = picture.shape[:2]
        self._size_wh = self._size_wh or (width, height)
        if self._size_wh != (width, height):
            picture = cv2.resize(picture, self._size_wh, interpolation=cv2.INTER_AREA)
        self._writer.write(picture)


def _rate(reader: BagReader, topic: str) -> float:
    """Images per second at the beginning of a topic."""
    first = itertools.islice(reader.messages(topic), _INTERVALS + 1)
    stamps = [stamp_to_ns(message.content.header.stamp) for message in first]
    intervals = [b - a for a, b in itertools.pairwise(stamps) if b > a]
    if not intervals:
        return DEFAULT_FPS
    return min(max(1e9 / statistics.median(intervals), 1.0), 1000.0)
