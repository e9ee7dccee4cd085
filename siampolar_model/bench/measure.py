"""One case: an engine, a number of targets, images of one size, with or without the peer.

All images are decoded beforehand, both trackers are warm, and their runs alternate, so that other
work on the machine slows both in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from ..engines.base import Engine
from ..errors import BenchError
from ..evaluation.timing import Percentiles, median_rate
from ..geometry.box import Box
from ..tracking.settings import TrackerSettings
from .clip import side_by_side
from .peer import Peer
from .results import CaseResult, PeerResult, PeerRun, PeerTimes, StageTimes, TrackerResult
from .stages import StageTimer, Timings

#: Frames tracked before anything is timed.
WARM_UP_FRAMES = 10

#: Runs of the tracker, and of the peer, in turn.
RUNS = 5

#: The peer's key in :attr:`CaseResult.peers`.
PEER_NAME = "trackernano_v2"


def measure(
    load: Callable[[], Engine],
    images: Sequence[np.ndarray],
    box: Box,
    *,
    num_threads: int | None,
    settings: TrackerSettings | None = None,
    targets: int = 1,
    peer: Path | None = None,
    on_run: Callable[[], None] = lambda: None,
) -> CaseResult:
    """Time targets through a video.

    Args:
        load: makes the engine, for ``num_threads`` threads.
        images: uint8 (H, W, 3) BGR, at least two.
        box: the target in the first image.
        targets: more than one are each in a copy of the images, next to each other.
        num_threads: threads that OpenCV may use during the measurement; None: one per core.
        settings: of the tracker; None: the defaults.
        peer: folder of a TrackerNano that follows one target.
        on_run: called after every timed run.

    Raises:
        BenchError: fewer than two images, or a peer that this OpenCV or folder does not offer.
        BoxError: a box that no target can start from.
        EngineError: see ``load``.
    """
    if len(images) < 2:
        raise BenchError(f"{len(images)} frames; a benchmark needs at least 2")
    peer_images, boxes = images, [box]
    if targets > 1:
        images, boxes = side_by_side(images, box, targets)
    before_mb = _resident_mb()
    engine = load()
    timer = StageTimer(engine, settings)
    with _opencv_threads(num_threads or len(os.sched_getaffinity(0))):
        timer.run(images[: WARM_UP_FRAMES + 1], boxes)
        memory_mb = _resident_mb() - before_mb
        other = None if peer is None else Peer(peer)
        if other is not None:
            other.run(peer_images[: WARM_UP_FRAMES + 1], box)
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(timer.run(images, boxes))
            if other is not None:
                theirs.append(other.run(peer_images, box))
            on_run()
    total = np.concatenate([run.total for run in ours])
    stages = StageTimes(
        total=Percentiles.of_seconds(total),
        crop=Percentiles.of_seconds(np.concatenate([run.crop for run in ours])),
        infer=Percentiles.of_seconds(np.concatenate([run.infer for run in ours])),
        decode=Percentiles.of_seconds(np.concatenate([run.decode for run in ours])),
        state=Percentiles.of_seconds(np.concatenate([run.state for run in ours])),
    )
    return CaseResult(
        engine=engine.name,
        precision=engine.precision,
        choice=engine.choice,
        model=engine.spec.name,
        threads=num_threads,
        targets=targets,
        frames=len(images),
        image_size=(int(images[0].shape[1]), int(images[0].shape[0])),
        box_xywh=box.as_xywh(),
        tracker=TrackerResult(median_rate(total), stages, _cpu_ms(ours), memory_mb),
        peers={} if other is None else {PEER_NAME: _peer_result(ours, theirs)},
    )


def _peer_result(ours: Sequence[Timings], theirs: Sequence[Timings]) -> PeerResult:
    runs = tuple(
        PeerRun(tracker_fps=median_rate(one.total), peer_fps=median_rate(two.total))
        for one, two in zip(ours, theirs, strict=True)
    )
    total = np.concatenate([run.total for run in theirs])
    return PeerResult(
        fps=median_rate(total),
        ms=PeerTimes(Percentiles.of_seconds(total)),
        cpu_ms=_cpu_ms(theirs),
        fps_ratio=float(np.median([run.tracker_fps / run.peer_fps for run in runs])),
        runs=runs,
    )


def _cpu_ms(runs: Sequence[Timings]) -> float:
    return float(np.median([run.cpu_s for run in runs])) * 1e3


def _resident_mb() -> float:
    """Memory of this process, megabytes (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _opencv_threads(count: int) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
