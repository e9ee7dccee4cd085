"""Whether a network runs on all its threads or on few, whichever is faster at the moment."""

from __future__ import annotations

from collections import deque
from statistics import median

#: How many of the last calls the present number of threads is measured by, and calls of a trial.
_USUAL, _TRIAL = 15, 3

#: Calls before a trial: the first one after a start or a change, doubled after each trial that
#: changes nothing, up to the second number.
_SOON, _LATEST = 16, 512

#: The other number of threads is taken if its median time is below the first share of the present
#: one's; a trial comes at once if calls take longer than the second multiple of what they took.
_FASTER, _SLOWER = 0.95, 1.25


class ThreadChoice:
    """Chooses between all threads and few by the times that calls took.

    While the cores are idle, all threads are faster. Where another process has one of the cores,
    they wait for each other in every layer, and few threads on the other cores are faster. Both
    give the same numbers.

    The other number of threads is tried for three calls: soon after the start, as soon as calls
    take longer than before, and otherwise after 32, 64 and so on up to 512 calls, so that trials
    delay less than one call in a hundred.

    Attributes:
        few: whether the next call should run on few threads.
    """

    def __init__(self) -> None:
        self.few = False
        self._times: deque[float] = deque(maxlen=_USUAL)
        self._trial: list[float] | None = None
        self._settled = float("inf")
        self._left = self._wait = _SOON

    def took(self, seconds: float) -> None:
        """Record how long a call took as :attr:`few` asked for, and decide on the next one."""
        if self._trial is None:
            self._times.append(seconds)
            self._left -= 1
            if self._left % _SOON == 0 and median(self._times) > _SLOWER * self._settled:
                self._left = 0
            if self._left <= 0:
                self._trial, self.few = [], not self.few
            return
        self._trial.append(seconds)
        if len(self._trial) < _TRIAL:
            return
        before, now = median(self._times), median(self._trial)
        if now < _FASTER * before:
            self._times, self._settled, self._wait = deque(self._trial, _USUAL), now, _SOON
        else:
            self.few, self._settled = not self.few, before
            self._wait = min(2 * self._wait, _LATEST)
        self._trial, self._left = None, self._wait
