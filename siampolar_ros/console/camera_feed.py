"""One camera as the console sees it: pictures with their targets, rates, states over time; no ROS.

Called from the executor's thread and read from the server's: everything is behind one lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from siampolar_model.session.history import StampedImage

#: Images that wait for their targets: in number and in bytes.
_MAX_WAITING, _MAX_WAITING_BYTES = 8, 64_000_000

#: Without targets for this many seconds the tracker counts as silent: images are shown without.
_SILENT_S = 0.5

#: Rates and latencies are counted over this many seconds.
_WINDOW_S = 5.0

#: Length of the strips of states, and of one of their cells, in seconds.
STRIP_S, CELL_S = 60.0, 0.25
_CELLS = round(STRIP_S / CELL_S)
#: A state holds for this many cells, unless another one is reported: results may come slowly.
_HELD_CELLS = 8


@dataclass(frozen=True)
class TargetList:
    """The targets on one image, as a browser gets them.

    Attributes:
        stamp_ns: of the image.
        size: width and height of the image, in pixels.
        targets: dicts of JSON types; each has ``id`` and ``state`` (1 tracking, 2 uncertain,
            3 lost).
    """

    stamp_ns: int
    size: tuple[int, int]
    targets: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class View:
    """An image to show; ``targets`` is None if the tracker did not report any for it."""

    image: StampedImage
    targets: TargetList | None


class CameraFeed:
    """Joins images and targets of the same stamp, whichever comes first; the newest wins.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._on_ready: Callable[[], None] = lambda: None
        self._images: dict[int, StampedImage] = {}
        self._lists: dict[int, TargetList] = {}
        self._ready: View | None = None
        self._taken: View | None = None
        self._list_s = -_SILENT_S
        self._image_times: deque[float] = deque()
        self._latencies: deque[tuple[float, float]] = deque()
        self._strips: dict[int, deque[tuple[int, int]]] = {}
        self._diagnostics: dict[str, dict[str, Any]] = {}

    def listen(self, on_ready: Callable[[], None]) -> None:
        """``on_ready`` is called, from any thread, when there is something new to take."""
        with self._lock:
            self._on_ready = on_ready

    def add_image(self, image: StampedImage) -> None:
        now = self._clock()
        with self._lock:
            self._image_times.append(now)
            self._images[image.stamp_ns] = image
            if image.stamp_ns in self._lists:
                self._join(self._lists[image.stamp_ns])
            elif now - self._list_s > _SILENT_S:
                self._ready = View(image, None)
                self._images.clear()
            self._limit()
            on_ready = self._on_ready if self._ready else None
        if on_ready:
            on_ready()

    def add_targets(self, targets: TargetList, latency_s: float) -> None:
        """Targets came in, ``latency_s`` seconds after the stamp of their image."""
        now = self._clock()
        with self._lock:
            self._list_s = now
            self._latencies.append((now, latency_s))
            self._lists.pop(targets.stamp_ns, None)  # to the end
            self._lists[targets.stamp_ns] = targets
            while len(self._lists) > _MAX_WAITING:
                del self._lists[next(iter(self._lists))]
            self._note_states(targets, now)
            self._join(targets)
            on_ready = self._on_ready if self._ready else None
        if on_ready:
            on_ready()

    def set_diagnostics(self, status: dict[str, Any]) -> None:
        """Keep the last status of each name."""
        with self._lock:
            self._diagnostics[status["name"]] = status

    def forget_images(self) -> None:
        """Nobody looks any more: free what waits."""
        with self._lock:
            self._images.clear()
            self._image_times.clear()
            self._ready = self._taken = None

    def take(self) -> View | None:
        """The newest view that was not taken yet."""
        with self._lock:
            view, self._ready = self._ready, None
            if view is not None:
                self._taken = view
            return view

    def status(self) -> dict[str, Any]:
        """Rates in Hz, latencies in milliseconds, strips and diagnostics, in JSON types.

        A strip has one character per ``CELL_S`` seconds, the oldest first: the worst state in that
        time, or a space.
        """
        now = self._clock()
        with self._lock:
            while self._image_times and now - self._image_times[0] > _WINDOW_S:
                self._image_times.popleft()
            while self._latencies and now - self._latencies[0][0] > _WINDOW_S:
                self._latencies.popleft()
            values = [1e3 * latency for _, latency in self._latencies]
            newest = int(now / CELL_S)
            for id in [i for i, cells in self._strips.items() if newest - cells[-1][0] >= _CELLS]:
                del self._strips[id]
            return {
                "images_hz": _rate(list(self._image_times)),
                "results_hz": _rate([at for at, _ in self._latencies]),
                "latency_ms": np.percentile(values, (50, 95)).round(1).tolist() if values else None,
                "strips": {id: _strip(cells, newest) for id, cells in self._strips.items()},
                "diagnostics": list(self._diagnostics.values()),
                "targets": self._newest_targets(),
            }

    def _newest_targets(self) -> list[dict[str, Any]]:
        """The targets reported last, without outlines."""
        if not self._lists:
            return []
        newest = next(reversed(self._lists.values()))
        return [{**target, "polygon": []} for target in newest.targets]

    def _join(self, targets: TargetList) -> None:
        """Make the view of an image whose targets are known; those before it are not waited for."""
        image = self._images.get(targets.stamp_ns)
        if image is not None:
            for stamp_ns in list(self._images):
                del self._images[stamp_ns]
                if stamp_ns == targets.stamp_ns:
                    break
        else:
            # A target that joined late, or was removed: the same image again.
            for view in (self._ready, self._taken):
                if view is not None and view.image.stamp_ns == targets.stamp_ns:
                    image = view.image
                    break
        if image is not None:
            self._ready = View(image, targets)

    def _limit(self) -> None:
        total = sum(image.nbytes for image in self._images.values())
        while len(self._images) > 1 and (
            len(self._images) > _MAX_WAITING or total > _MAX_WAITING_BYTES
        ):
            total -= self._images.pop(next(iter(self._images))).nbytes

    def _note_states(self, targets: TargetList, now: float) -> None:
        cell = int(now / CELL_S)
        for target in targets.targets:
            cells = self._strips.setdefault(target["id"], deque(maxlen=_CELLS))
            state = target["state"]
            if cells and cells[-1][0] == cell:
                state = max(state, cells.pop()[1])
            cells.append((cell, state))


def _rate(times: list[float]) -> float:
    if len(times) < 2 or times[-1] <= times[0]:
        return 0.0
    return round((len(times) - 1) / (times[-1] - times[0]), 1)


def _strip(cells: deque[tuple[int, int]], newest: int) -> str:
    marks = [" "] * _CELLS
    ends = [cell for cell, _ in cells][1:] + [newest + 1]
    for (cell, state), end in zip(cells, ends, strict=True):
        for at in range(cell, min(end, cell + _HELD_CELLS)):
            if 0 <= newest - at < _CELLS:
                marks[_CELLS - 1 - (newest - at)] = str(state)
    return "".join(marks)
