"""The results of the demo: a video, one line of JSON per frame, and a summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from siampolar_model.io.video import VideoReader, VideoWriter
from siampolar_model.rendering.draw import draw
from siampolar_model.results import Target, TargetState

from .recorder import Recording


@dataclass(frozen=True)
class Summary:
    """One run in numbers.

    Attributes:
        frames: frames of the video.
        received: how many of their images reached this process.
        processed: frames that the tracker reported on.
        tracked: frames on which every target was in the state tracking.
        latency_ms: from stamp to result, median and 95th percentile.
        rate_hz: processed frames per second.
    """

    frames: int
    received: int
    processed: int
    tracked: int
    latency_ms: tuple[float, float]
    rate_hz: float

    def table(self) -> Table:
        p50, p95 = self.latency_ms
        table = Table.grid(padding=(0, 3))
        table.add_row("frames in", f"{self.frames}")
        if self.received < self.frames:
            table.add_row("lost on the way", f"{self.frames - self.received}")
        table.add_row("tracked", f"{self.tracked} ({self.tracked / self.frames:.0%})")
        table.add_row("dropped", f"{self.frames - self.processed}")
        table.add_row("latency p50 / p95", f"{p50:.1f} / {p95:.1f} ms")
        table.add_row("rate", f"{self.rate_hz:.1f} frames per second")
        return table


def frames_by_stamp(stamps_ns: list[int], rate: float) -> dict[int, int]:
    """Which frame of the video an image is: index by stamp, for stamps in order of arrival.

    The video stood still on its first frame; from the second on stamps are 1 / rate apart (see
    video_publisher_node.py), so that a lost image leaves a gap in the indices.
    """
    frames = {stamps_ns[0]: 0} if stamps_ns else {}
    for stamp_ns in stamps_ns[1:]:
        frames[stamp_ns] = 1 + round((stamp_ns - stamps_ns[1]) * rate / 1e9)
    return frames


def json_line(
    index: int, stamp_ns: int | None, latency_ms: float | None, results: list[Target] | None
) -> str:
    """One frame: as ``siampolar track --jsonl`` writes it, and its state and latency."""
    fields: dict[str, Any] = {"frame": index, "stamp_ns": stamp_ns, "state": state_of(results)}
    fields["latency_ms"] = None if latency_ms is None else round(latency_ms, 2)
    fields["targets"] = [result.to_dict() for result in results or []]
    return json.dumps(fields) + "\n"


def state_of(results: list[Target] | None) -> str:
    """One word for a frame: the worst state of its targets, ``none`` or ``dropped``."""
    if results is None:
        return "dropped"
    if not results:
        return "none"
    return TargetState(max(result.state for result in results)).name.lower()


def write_report(
    folder: Path,
    reader: VideoReader,
    recording: Recording,
    rate: float,
    advance: Callable[[], None],
) -> Summary:
    """Write ``tracked.mp4`` and ``targets.jsonl`` into ``folder``.

    A dropped frame shows the outline of the last frame before it, with a note.
    """
    stamps = {index: ns for ns, index in frames_by_stamp(recording.images, rate).items()}
    shown: list[Target] = []
    frames = processed = tracked = 0
    with (
        VideoWriter(folder / "tracked.mp4", rate) as video,
        (folder / "targets.jsonl").open("w", encoding="utf-8") as lines,
    ):
        for count, frame in enumerate(reader):
            stamp_ns = stamps.get(count)
            results = None if stamp_ns is None else recording.results.get(stamp_ns)
            latency_ms = None if stamp_ns is None else recording.latency_ms.get(stamp_ns)
            lines.write(json_line(frame.index, stamp_ns, latency_ms, results))
            shown = shown if results is None else results
            image = draw(frame.image, shown)
            if results is None:
                _write_corner(image, "dropped: outline of an earlier frame")
            video.write(image)
            frames += 1
            processed += results is not None
            tracked += state_of(results) == "tracking"
            advance()
    return Summary(
        frames=frames,
        received=len(set(recording.images)),
        processed=processed,
        tracked=tracked,
        latency_ms=_percentiles(list(recording.latency_ms.values())),
        rate_hz=_rate(sorted(recording.results)),
    )


def _percentiles(values: list[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    p50, p95 = np.percentile(values, [50, 95])
    return float(p50), float(p95)


def _rate(stamps_ns: list[int]) -> float:
    """Results per second, without the first, on which the video stood still."""
    if len(stamps_ns) < 3:
        return 0.0
    return (len(stamps_ns) - 2) / ((stamps_ns[-1] - stamps_ns[1]) / 1e9)


def _write_corner(image: np.ndarray, text: str) -> None:
    scale = max(0.4, image.shape[1] / 1600)
    at = (8, image.shape[0] - 10)
    for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)
