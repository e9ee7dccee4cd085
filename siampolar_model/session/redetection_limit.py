"""How many windows are searched for lost targets where the engine is slower than the stream."""

from __future__ import annotations

import math


class RedetectionLimit:
    """Limits the windows per image, so that a lost target does not slow down the others.

    There is no limit as long as no image of the stream is skipped. A skipped image halves the
    limit; :data:`PATIENCE` images in a row without a skipped one raise it by one. No clock is
    read, so a replay, which skips nothing, gives the same results every time.
    """

    #: Images in a row without a skipped one that allow one window more.
    PATIENCE = 30

    def __init__(self) -> None:
        self._allowed: float = math.inf
        self._without = 0

    def crops(self, wanted: int) -> int:
        """How many of ``wanted`` windows may be searched on the next image."""
        return int(min(wanted, self._allowed))

    def count(self, skipped: int, wanted: int) -> None:
        """Take note of the number of images skipped before the next one that is worked on."""
        if skipped:
            self._allowed, self._without = self.crops(wanted) // 2, 0
            return
        self._without += 1
        if self._without >= self.PATIENCE:
            self._allowed, self._without = min(wanted, self._allowed) + 1, 0
