"""How fast the tracker alone is, by stage, and beside OpenCV's TrackerNano on the same frames.

All images are decoded beforehand, both trackers are warm, and runs alternate, so that a busy
machine slows both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .engines.base import Candidates, Engine
from .frames import Frame
from .results import Box
from .tracker import Tracker
from .versions import machine, versions

#: Parts of ``Tracker.track``: cutting the search crop; the network; from its candidates to
#: results and states; the rest (windows, priors, checks).
STAGES = ("crop", "infer", "decode", "state")

#: Frames tracked before anything is timed.
WARM_UP_FRAMES = 10

#: Runs of the tracker, and of the peer, in turn.
RUNS = 5

#: Files of a peer folder, as OpenCV's sample for TrackerNano names them.
PEER_FILES = ("nanotrack_backbone.onnx", "nanotrack_head.onnx")


class BenchError(ValueError):
    """A benchmark that cannot be run; the message says what is missing."""


def bench(
    engine: Engine,
    images: Sequence[np.ndarray],
    box: Box,
    *,
    num_threads: int,
    peer: Path | None = None,
    on_run: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Time one target through a video, as JSON.

    Args:
        engine: loaded with ``num_threads`` threads.
        images: uint8 (H, W, 3) BGR, at least two.
        box: the target in the first image.
        num_threads: threads that OpenCV may use during the benchmark.
        peer: folder with :data:`PEER_FILES`.
        on_run: called after every timed run.

    Returns:
        ``tracker``: ``fps`` (one over the median seconds per frame) and ``ms`` per stage and in
        total; with a peer ``peers.trackernano_v2`` with its ``fps``, ``ms``, the ``runs`` and
        ``fps_ratio``, ours over the peer's, the median of the runs.

    Raises:
        BenchError: fewer than two images, or a peer that this OpenCV or folder does not offer.
        BoxError: a box that no target can start from.
    """
    if len(images) < 2:
        raise BenchError(f"{len(images)} frames; a benchmark needs at least 2")
    clock = _StageClock()
    tracker = Tracker(_TimedEngine(engine, clock))
    frames = [
        _TimedFrame(frame.width, frame.height, frame.encoding, frame.planes, clock)
        for frame in map(Frame.from_bgr, images)
    ]
    with _opencv_threads(num_threads):
        run_peer = None if peer is None else _peer_runner(peer, images, box)
        _run_tracker(tracker, clock, frames[: WARM_UP_FRAMES + 1], box)
        if run_peer is not None:
            run_peer(WARM_UP_FRAMES + 1)
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(_run_tracker(tracker, clock, frames, box))
            if run_peer is not None:
                theirs.append(run_peer(len(images)))
            on_run()
    stages = {
        name: np.concatenate([run[name] for run in ours]) for name in ("total", *STAGES)
    }  # fmt: skip
    result: dict[str, Any] = {
        "engine": engine.name,
        "model": engine.spec.name,
        "threads": num_threads,
        "frames": len(images),
        "image_size": [int(images[0].shape[1]), int(images[0].shape[0])],
        "box_xywh": list(box.as_xywh()),
        "tracker": {
            "fps": _fps(stages["total"]),
            "ms": {name: _percentiles_ms(seconds) for name, seconds in stages.items()},
        },
        "versions": versions(),
        "machine": machine(),
    }
    if theirs:
        runs = [
            {"tracker_fps": _fps(one["total"]), "peer_fps": _fps(other)}
            for one, other in zip(ours, theirs, strict=True)
        ]
        peer_s = np.concatenate(theirs)
        result["peers"] = {
            "trackernano_v2": {
                "fps": _fps(peer_s),
                "ms": {"total": _percentiles_ms(peer_s)},
                "fps_ratio": float(
                    np.median([run["tracker_fps"] / run["peer_fps"] for run in runs])
                ),
                "runs": runs,
            }
        }
    return result


class _StageClock:
    """Collects when the parts of one ``track`` call began and ended."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.crop_s = 0.0
        self.search: tuple[float, float] = (0.0, 0.0)


class _TimedEngine(Engine):
    """Passes everything on and notes when a search begins and ends."""

    def __init__(self, engine: Engine, clock: _StageClock) -> None:
        self.name, self.spec = engine.name, engine.spec
        self._engine, self._clock = engine, clock

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        self._engine.encode(slot, crop, box_xyxy)

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        start = time.perf_counter()
        found = self._engine.search(slots, crops, prior)
        self._clock.search = (start, time.perf_counter())
        return found

    def release(self, slot: int) -> None:
        self._engine.release(slot)


@dataclass(frozen=True, eq=False)
class _TimedFrame(Frame):
    """Notes how long cutting takes."""

    clock: _StageClock

    def cut(self, *args: Any, **kwargs: Any) -> np.ndarray:
        start = time.perf_counter()
        crop = super().cut(*args, **kwargs)
        self.clock.crop_s += time.perf_counter() - start
        return crop


def _run_tracker(
    tracker: Tracker, clock: _StageClock, frames: Sequence[Frame], box: Box
) -> dict[str, np.ndarray]:
    """Seconds per frame, in total and by stage, of one pass from a fresh init."""
    tracker.reset()
    tracker.init(frames[0], box)
    rows = []
    for frame in frames[1:]:
        clock.begin()
        start = time.perf_counter()
        tracker.track(frame)
        end = time.perf_counter()
        search_start, search_end = clock.search
        state_s = search_start - start - clock.crop_s
        rows.append(
            (end - start, clock.crop_s, search_end - search_start, end - search_end, state_s)
        )
    return dict(zip(("total", *STAGES), np.array(rows).T, strict=True))


def _peer_runner(
    folder: Path, images: Sequence[np.ndarray], box: Box
) -> Callable[[int], np.ndarray]:
    """A function that runs TrackerNano over the first images: seconds per frame."""
    # By name: OpenCV before 4.7 has no such attribute, and type stubs of later ones differ.
    create = getattr(cv2, "TrackerNano_create", None)
    make_parameters = getattr(cv2, "TrackerNano_Params", None)
    if create is None or make_parameters is None:
        raise BenchError(
            f"the peer needs cv2.TrackerNano, OpenCV 4.7 or later; this is {cv2.__version__}"
        )
    files = [folder / name for name in PEER_FILES]
    for path in files:
        if not path.is_file():
            raise BenchError(f"{path}: no such file; the peer needs {' and '.join(PEER_FILES)}")
    parameters = make_parameters()
    parameters.backbone, parameters.neckhead = map(str, files)
    box_xywh = tuple(round(value) for value in box.as_xywh())

    with _one_line_errors(folder), _quiet_opencv():
        tracker = create(parameters)

    def run(count: int) -> np.ndarray:
        seconds = []
        with _one_line_errors(folder):
            tracker.init(images[0], box_xywh)
            for image in images[1:count]:
                start = time.perf_counter()
                tracker.update(image)
                seconds.append(time.perf_counter() - start)
        return np.array(seconds)

    return run


@contextmanager
def _one_line_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except cv2.error as error:
        reason = str(error).strip().splitlines()[0]
        raise BenchError(f"{folder}: TrackerNano cannot run ({reason})") from None


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV 5 from warning that its new graph engine has only one target."""
    logging = getattr(cv2.utils, "logging", None)
    if logging is None:
        yield
        return
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)


@contextmanager
def _opencv_threads(count: int) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _fps(seconds: np.ndarray) -> float:
    return 1 / float(np.median(seconds))


def _percentiles_ms(seconds: np.ndarray) -> dict[str, float]:
    return {f"p{p}": float(np.percentile(seconds, p)) * 1e3 for p in (50, 95, 99)}
