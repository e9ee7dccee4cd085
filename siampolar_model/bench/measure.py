"""One case: an engine, so many targets, images of one size, with or without the peer.

All images are decoded beforehand, both trackers are warm, and runs alternate, so that a busy
machine slows both alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..engines.base import Engine
from ..errors import BenchError
from ..geometry.box import Box
from ..tracking.settings import TrackerSettings
from .peer import Peer
from .stages import STAGES, StageTimer

#: Frames tracked before anything is timed.
WARM_UP_FRAMES = 10

#: Runs of the tracker, and of the peer, in turn.
RUNS = 5


def measure(
    load: Callable[[], Engine],
    images: Sequence[np.ndarray],
    box: Box,
    *,
    num_threads: int,
    settings: TrackerSettings | None = None,
    targets: int = 1,
    peer: Path | None = None,
    on_run: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Time targets through a video, as JSON.

    Args:
        load: makes the engine, with ``num_threads`` threads.
        images: uint8 (H, W, 3) BGR, at least two.
        box: every target in the first image.
        num_threads: threads that OpenCV may use meanwhile.
        settings: of the tracker; None: the defaults.
        peer: folder of a TrackerNano that follows one target.
        on_run: called after every timed run.

    Returns:
        ``tracker``: ``fps`` (one over the median seconds per frame), ``ms`` per stage and in
        total, ``cpu_ms`` per frame, and ``memory_mb`` that engine and tracker added to this
        process; with a peer ``peers.trackernano_v2`` with its ``fps``, ``ms``, ``cpu_ms``, the
        ``runs`` and ``fps_ratio``, ours over the peer's, the median of the runs.

    Raises:
        BenchError: fewer than two images, or a peer that this OpenCV or folder does not offer.
        BoxError: a box that no target can start from.
        EngineError: see ``load``.
    """
    if len(images) < 2:
        raise BenchError(f"{len(images)} frames; a benchmark needs at least 2")
    before_mb = _resident_mb()
    engine = load()
    timer = StageTimer(engine, settings)
    with _opencv_threads(num_threads):
        timer.run(images[: WARM_UP_FRAMES + 1], box, targets)
        memory_mb = _resident_mb() - before_mb
        other = None if peer is None else Peer(peer)
        if other is not None:
            other.run(images[: WARM_UP_FRAMES + 1], box)
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(timer.run(images, box, targets))
            if other is not None:
                theirs.append(other.run(images, box))
            on_run()
    stages = {
        name: np.concatenate([run.seconds[name] for run in ours]) for name in ("total", *STAGES)
    }
    result: dict[str, Any] = {
        "engine": engine.name,
        "precision": engine.precision,
        "choice": engine.choice,
        "model": engine.spec.name,
        "threads": num_threads,
        "targets": targets,
        "frames": len(images),
        "image_size": [int(images[0].shape[1]), int(images[0].shape[0])],
        "box_xywh": list(box.as_xywh()),
        "tracker": {
            "fps": _fps(stages["total"]),
            "ms": {name: percentiles_ms(seconds) for name, seconds in stages.items()},
            "cpu_ms": float(np.median([run.cpu_s for run in ours])) * 1e3,
            "memory_mb": memory_mb,
        },
    }
    if theirs:
        runs = [
            {"tracker_fps": _fps(one.seconds["total"]), "peer_fps": _fps(two.seconds["total"])}
            for one, two in zip(ours, theirs, strict=True)
        ]
        peer_s = np.concatenate([run.seconds["total"] for run in theirs])
        result["peers"] = {
            "trackernano_v2": {
                "fps": _fps(peer_s),
                "ms": {"total": percentiles_ms(peer_s)},
                "cpu_ms": float(np.median([run.cpu_s for run in theirs])) * 1e3,
                "fps_ratio": float(
                    np.median([run["tracker_fps"] / run["peer_fps"] for run in runs])
                ),
                "runs": runs,
            }
        }
    return result


def percentiles_ms(seconds: np.ndarray) -> dict[str, float]:
    """Median, 95th and 99th percentile in milliseconds."""
    return {f"p{p}": float(np.percentile(seconds, p)) * 1e3 for p in (50, 95, 99)}


def _fps(seconds: np.ndarray) -> float:
    return 1 / float(np.median(seconds))


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
