"""How much of the processor time that this process asks for it gets; does not know ROS."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: The share is taken over this many seconds.
_WINDOW_S = 5.0

#: Nanoseconds that the process ran, and that it waited for a processor although it could have run.
Used = tuple[int, int]


def read_used(tasks: Path = Path("/proc/self/task")) -> Used:
    """Summed over all threads, as Linux counts them; (0, 0) on other systems."""
    ran_ns = waited_ns = 0
    for task in tasks.glob("*/schedstat"):
        with suppress(OSError, ValueError):  # the thread has just ended
            ran, waited, _ = map(int, task.read_text().split())
            ran_ns, waited_ns = ran_ns + ran, waited_ns + waited
    return ran_ns, waited_ns


class ProcessorShare:
    """Tells a busy processor from a slow engine.

    Args:
        clock: seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], Used] = read_used,
    ) -> None:
        self._clock = clock
        self._used = used
        self._samples: deque[tuple[float, Used]] = deque()

    def look(self) -> float | None:
        """The share over the last seconds, [0, 1]; None if it is not known. Call it regularly."""
        now = self._clock()
        self._samples.append((now, self._used()))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_S:
            self._samples.popleft()
        (ran_before, waited_before), (ran, waited) = self._samples[0][1], self._samples[-1][1]
        # Threads that ended since take their counts with them.
        ran_ns, waited_ns = max(ran - ran_before, 0), max(waited - waited_before, 0)
        return ran_ns / (ran_ns + waited_ns) if ran_ns else None
