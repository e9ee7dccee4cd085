"""Times ``Tracker.update`` and its parts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engines.base import Candidates, Engine
from ..geometry.box import Box
from ..images.frame import BufferFrame, Frame
from ..tracking.settings import TrackerSettings
from ..tracking.tracker import Tracker


@dataclass(frozen=True, eq=False)
class Timings:
    """One pass through a video.

    Attributes:
        total: float64 (frames,), seconds for each frame.
        cpu_s: processor seconds of all threads of this process, per frame.
    """

    total: np.ndarray
    cpu_s: float


@dataclass(frozen=True, eq=False)
class StageTimings(Timings):
    """The same with the parts of ``Tracker.update``, each float64 (frames,) in seconds.

    Attributes:
        crop: cutting the search crops.
        infer: the network.
        decode: from its candidates to results and states.
        state: the rest (windows, priors, checks).
    """

    crop: np.ndarray
    infer: np.ndarray
    decode: np.ndarray
    state: np.ndarray


class StageTimer:
    """A tracker around an engine, with clocks between its parts."""

    def __init__(self, engine: Engine, settings: TrackerSettings | None = None) -> None:
        self._clock = _Clock()
        self._tracker = Tracker(_TimedEngine(engine, self._clock), settings)

    def run(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> StageTimings:
        """Follow one target per box of the first image through uint8 (H, W, 3) images."""
        clock, tracker = self._clock, self._tracker
        frames = [_TimedFrame.of(image, clock) for image in images]
        tracker.reset()
        for box in boxes:
            tracker.start(frames[0], box)
        rows = []
        cpu_s = time.process_time()
        for frame in frames[1:]:
            clock.begin()
            start = time.perf_counter()
            tracker.update(frame)
            end = time.perf_counter()
            decode_s = end - clock.searched
            state_s = end - start - clock.crop_s - clock.infer_s - decode_s
            rows.append((end - start, clock.crop_s, clock.infer_s, decode_s, state_s))
        cpu_s = time.process_time() - cpu_s
        total, crop, infer, decode, state = np.array(rows).T
        return StageTimings(total, cpu_s / len(rows), crop, infer, decode, state)


class _Clock:
    """Where the time of one ``update`` call went."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.crop_s = self.infer_s = 0.0
        #: When the last search ended.
        self.searched = 0.0


class _TimedEngine(Engine):
    """Passes everything on and measures how long searches take."""

    def __init__(self, engine: Engine, clock: _Clock) -> None:
        self.name, self.spec, self.precision = engine.name, engine.spec, engine.precision
        self.cheap_batches = engine.cheap_batches
        self._engine, self._clock = engine, clock

    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        # As the tracker does: an engine of a network that takes no mask need not know of one.
        given = () if mask is None else (mask,)
        self._engine.encode(slot, crop, box_xyxy, *given)

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        start = time.perf_counter()
        found = self._engine.search(slots, crops, prior)
        self._clock.searched = time.perf_counter()
        self._clock.infer_s += self._clock.searched - start
        return found

    def release(self, slot: int) -> None:
        self._engine.release(slot)


@dataclass(frozen=True, eq=False)
class _TimedFrame(BufferFrame):
    """Measures how long cutting takes."""

    clock: _Clock

    @classmethod
    def of(cls, image_bgr: np.ndarray, clock: _Clock) -> _TimedFrame:
        frame = Frame.from_bgr(image_bgr)
        return cls(frame.width, frame.height, frame.encoding, frame.planes, clock)

    def cut(self, *args: Any, **kwargs: Any) -> np.ndarray:
        start = time.perf_counter()
        crop = super().cut(*args, **kwargs)
        self.clock.crop_s += time.perf_counter() - start
        return crop
