"""What keeps targets from having positions: one line in the log, and a status."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from siampolar_model.results import TargetState

from ..health.stream_health import Level, Verdict
from .estimator import Estimate, Source

#: Seconds between two problems in the log.
_AGAIN_S = 10.0

#: Without outlines for this many seconds the tracker counts as silent.
_SILENT_S = 2.0


class Problems:
    """Judges the results of each image. Does not know ROS.

    Args:
        topic: where outlines come from.
        warn, inform: log one line.
        clock: seconds.
    """

    def __init__(
        self,
        topic: str,
        warn: Callable[[str], None],
        inform: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topic = topic
        self._warn = warn
        self._inform = inform
        self._clock = clock
        self._warned_s = -math.inf
        self._warned = False
        self._last_s: float | None = None
        self._verdict = Verdict(Level.OK, "no target yet")

    def note(self, problem: str, estimates: Sequence[Estimate]) -> None:
        """The results of one image.

        Args:
            problem: what concerns all targets, such as missing depth; empty if nothing does.
        """
        self._last_s = self._clock()
        # A target that is not tracked is for the tracker to report.
        tracked = [one for one in estimates if one.target.state == TargetState.TRACKING]
        hindered = [one for one in tracked if one.reason]
        if not problem and hindered:
            problem = f"target {hindered[0].target.id}: {hindered[0].reason}"
        if hindered and all(one.source == Source.KNOWN_HEIGHT for one in hindered):
            problem += "; distances follow from known_height"
        placed = sum(one.source != Source.NONE for one in estimates)
        if problem:
            self._verdict = Verdict(Level.WARN, problem)
            if self._last_s - self._warned_s >= _AGAIN_S:
                self._warned_s, self._warned = self._last_s, True
                self._warn(problem)
            return
        self._verdict = Verdict(Level.OK, f"{placed} of {len(estimates)} targets have a position")
        if placed and self._warned:
            self._warned = False
            self._inform(self._verdict.reason)

    def judge(self) -> Verdict:
        """The last image's verdict, or that there are no images."""
        if self._last_s is None:
            return Verdict(Level.WARN, f"no message on {self.topic} yet")
        silent_s = self._clock() - self._last_s
        if silent_s > _SILENT_S:
            return Verdict(Level.WARN, f"no message on {self.topic} for {silent_s:.1f} s")
        return self._verdict
