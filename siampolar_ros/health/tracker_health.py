"""How the tracker is doing, as a level and a reason; does not know ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from siampolar_model.results import Target, TargetState
from siampolar_model.session.session import Counters, Targets

from .stream_health import Level, Verdict

#: Rates and percentiles are taken over this many seconds.
_WINDOW_S = 5.0

#: With fewer images than this in that time, too few results are not reported.
_MANY_IMAGES = 10

#: A smaller share of the images than this is too few.
_ENOUGH = 0.75

#: With a smaller share than this of the processor time that it asks for, that is why.
_ENOUGH_PROCESSOR = 0.75


@dataclass(frozen=True)
class Snapshot:
    """The node at one moment.

    Attributes:
        state: unconfigured, inactive or active.
        problem: why it is not active although it should be; empty if nothing is wrong.
        engine: what the network runs on; empty while unconfigured.
        counters: the session's.
        targets: the last reported state of each.
        processor_share: what it gets of the processor time that it asks for; None if unknown.
        warning: what an operator should know although the node works; empty if nothing.
    """

    state: str
    problem: str = ""
    engine: str = ""
    counters: Counters = field(default_factory=Counters)
    targets: Sequence[Target] = ()
    processor_share: float | None = None
    warning: str = ""


@dataclass(frozen=True)
class _Result:
    """When a result was published, how long after the image's arrival, and what took how long."""

    at_s: float
    latency_s: float
    stages_s: Mapping[str, float]


class TrackerHealth:
    """Times the results and rates the tracker. Results may come from another thread.

    Args:
        clock: seconds, the one that images are stamped with on arrival.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._results: deque[_Result] = deque()
        self._began = clock()
        self._counters: deque[tuple[float, Counters]] = deque()

    def result(self, result: Targets, outputs_s: Mapping[str, float] | None = None) -> None:
        """A result was published.

        Args:
            outputs_s: seconds that each of its messages took, by topic.
        """
        arrived_s = result.image.arrived_s
        if result.update or arrived_s is None:
            return
        with self._lock:
            now = self._clock()
            stages_s = {"decoding": result.decode_s, "the engine": result.track_s}
            stages_s |= outputs_s or {}
            self._results.append(_Result(now, now - arrived_s, stages_s))
            self._drop_old(now)

    def judge(self, snapshot: Snapshot) -> tuple[Verdict, dict[str, str]]:
        """The worst problem at this moment, and figures by name; to be called every second."""
        with self._lock:
            now = self._clock()
            self._drop_old(now)
            results = list(self._results)
            self._counters.append((now, snapshot.counters))
            while len(self._counters) > 2 and self._counters[1][0] <= now - _WINDOW_S:
                self._counters.popleft()
            then, before = self._counters[0]
        seconds = min(_WINDOW_S, max(now - self._began, 1e-3))
        received = max(0, snapshot.counters.received - before.received)
        processed = max(0, snapshot.counters.processed - before.processed)
        stages_ms = _mean_ms([result.stages_s for result in results])
        verdict = _judge(snapshot, received, processed, now - then, stages_ms)
        latencies_s = [result.latency_s for result in results]
        return verdict, _figures(snapshot, latencies_s, len(latencies_s) / seconds, stages_ms)

    def _drop_old(self, now: float) -> None:
        while self._results and self._results[0].at_s < now - _WINDOW_S:
            self._results.popleft()


def _mean_ms(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Milliseconds per image of each stage, the longest first."""
    totals: Counter[str] = Counter()
    for stages_s in results:
        totals.update(stages_s)
    return {stage: total * 1e3 / len(results) for stage, total in totals.most_common()}


def _judge(
    snapshot: Snapshot,
    received: int,
    processed: int,
    seconds: float,
    stages_ms: Mapping[str, float],
) -> Verdict:
    if snapshot.problem:
        return Verdict(Level.ERROR, snapshot.problem)
    if snapshot.state != "active":
        level = Level.OK if snapshot.state == "inactive" else Level.WARN
        return Verdict(level, f"the node is {snapshot.state}")
    if snapshot.warning:
        return Verdict(Level.WARN, snapshot.warning)
    if received >= _MANY_IMAGES and processed + 1 < received * _ENOUGH:
        return Verdict(
            Level.WARN,
            f"{processed} of {received} images were processed in {seconds:.0f} s: "
            + _why_too_few(snapshot.processor_share, stages_ms),
        )
    lost = [str(target.id) for target in snapshot.targets if target.state == TargetState.LOST]
    if lost:
        return Verdict(Level.WARN, f"lost: target {', '.join(lost)}")
    count = len(snapshot.targets)
    return Verdict(Level.OK, f"{count} target{'' if count == 1 else 's'}")


def _why_too_few(processor_share: float | None, stages_ms: Mapping[str, float]) -> str:
    """What was measured to be the cause."""
    spent = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in stages_ms.items() if ms >= 0.5)
    per_image = f" (per image: {spent})" if spent else ""
    if processor_share is not None and processor_share < _ENOUGH_PROCESSOR:
        return (
            f"the processor is full, this process gets {processor_share:.0%} of the time that it "
            f"asks for{per_image}"
        )
    longest = next(iter(stages_ms), "the engine")
    cause = f"drawing {longest}" if "overlay" in longest else longest
    return f"{cause} takes too long for this rate{per_image}"


def _figures(
    snapshot: Snapshot,
    latencies_s: Sequence[float],
    results_hz: float,
    stages_ms: Mapping[str, float],
) -> dict[str, str]:
    states = Counter(target.state for target in snapshot.targets)
    figures = {"state": snapshot.state, "engine": snapshot.engine or "none"}
    figures |= {f"targets {state.name.lower()}": str(states[state]) for state in TargetState}
    figures["results, Hz"] = f"{results_hz:.1f}"
    if latencies_s:
        for percent in (50, 95, 99):
            value_ms = np.percentile(latencies_s, percent) * 1e3
            figures[f"latency from arrival p{percent}, ms"] = f"{value_ms:.1f}"
    for stage, ms in stages_ms.items():
        figures[f"{stage} per image, ms"] = f"{ms:.1f}"
    if snapshot.processor_share is not None:
        share = f"{snapshot.processor_share:.0%}"
        figures["processor time given, of that asked for"] = share
    for name in ("received", "processed", "skipped", "lost"):
        figures[f"images {name}"] = str(getattr(snapshot.counters, name))
    return figures
