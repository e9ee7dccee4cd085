"""How the tracker is doing, as a level and a reason; does not know ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from siampolar_model.results import Target, TargetState
from siampolar_model.session.session import Counters, Targets

from .stream_health import Level, Verdict

#: Rates and percentiles are taken over this many seconds.
_WINDOW_S = 5.0

#: With fewer images than this in that time, too few results are not reported.
_MANY_IMAGES = 10


@dataclass(frozen=True)
class Snapshot:
    """The node at one moment.

    Attributes:
        state: unconfigured, inactive or active.
        problem: why it is not active although it should be; empty if nothing is wrong.
        engine: what the network runs on; empty while unconfigured.
        counters: the session's.
        targets: the last reported state of each.
    """

    state: str
    problem: str = ""
    engine: str = ""
    counters: Counters = field(default_factory=Counters)
    targets: Sequence[Target] = ()


class TrackerHealth:
    """Times the results and rates the tracker. Results may come from another thread.

    Args:
        clock: seconds, the one that images are stamped with on arrival.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._results: deque[tuple[float, float]] = deque()  # when, and seconds since arrival
        self._began = clock()
        self._counters: deque[tuple[float, Counters]] = deque()

    def result(self, result: Targets) -> None:
        """A result was published."""
        arrived_s = result.image.arrived_s
        if result.update or arrived_s is None:
            return
        with self._lock:
            now = self._clock()
            self._results.append((now, now - arrived_s))
            self._drop_old(now)

    def judge(self, snapshot: Snapshot) -> tuple[Verdict, dict[str, str]]:
        """The worst problem at this moment, and figures by name; to be called every second."""
        with self._lock:
            now = self._clock()
            self._drop_old(now)
            latencies_s = [latency_s for _, latency_s in self._results]
            self._counters.append((now, snapshot.counters))
            while len(self._counters) > 2 and self._counters[1][0] <= now - _WINDOW_S:
                self._counters.popleft()
            then, before = self._counters[0]
        seconds = min(_WINDOW_S, max(now - self._began, 1e-3))
        received = max(0, snapshot.counters.received - before.received)
        processed = max(0, snapshot.counters.processed - before.processed)
        verdict = _judge(snapshot, received, processed, now - then)
        return verdict, _figures(snapshot, latencies_s, len(latencies_s) / seconds)

    def _drop_old(self, now: float) -> None:
        while self._results and self._results[0][0] < now - _WINDOW_S:
            self._results.popleft()


def _judge(snapshot: Snapshot, received: int, processed: int, seconds: float) -> Verdict:
    if snapshot.problem:
        return Verdict(Level.ERROR, snapshot.problem)
    if snapshot.state != "active":
        level = Level.OK if snapshot.state == "inactive" else Level.WARN
        return Verdict(level, f"the node is {snapshot.state}")
    if received >= _MANY_IMAGES and processed + 1 < received / 2:
        return Verdict(
            Level.WARN,
            f"{processed} of {received} images were processed in {seconds:.0f} s: "
            "the engine is too slow for this rate",
        )
    lost = [str(target.id) for target in snapshot.targets if target.state == TargetState.LOST]
    if lost:
        return Verdict(Level.WARN, f"lost: target {', '.join(lost)}")
    count = len(snapshot.targets)
    return Verdict(Level.OK, f"{count} target{'' if count == 1 else 's'}")


def _figures(snapshot: Snapshot, latencies_s: Sequence[float], results_hz: float) -> dict[str, str]:
    states = Counter(target.state for target in snapshot.targets)
    figures = {"state": snapshot.state, "engine": snapshot.engine or "none"}
    figures |= {f"targets {state.name.lower()}": str(states[state]) for state in TargetState}
    figures["results, Hz"] = f"{results_hz:.1f}"
    if latencies_s:
        for percent in (50, 95, 99):
            value_ms = np.percentile(latencies_s, percent) * 1e3
            figures[f"latency from arrival p{percent}, ms"] = f"{value_ms:.1f}"
    for name in ("received", "processed", "skipped", "lost"):
        figures[f"images {name}"] = str(getattr(snapshot.counters, name))
    return figures
