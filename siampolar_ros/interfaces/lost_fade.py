"""Which targets the overlay shows: lost ones only for a while; does not know ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from siampolar_model.results import Target, TargetState

#: Seconds that a lost target stays on the overlay.
_SHOWN_S = 2.0


class LostFade:
    """Leaves out targets that were lost a while ago: their last place lies over live things.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lost_at: dict[int, float] = {}

    def shown(self, targets: Sequence[Target]) -> list[Target]:
        """The targets of one image that the overlay shows."""
        now = self._clock()
        lost = [target.id for target in targets if target.state == TargetState.LOST]
        self._lost_at = {id: self._lost_at.get(id, now) for id in lost}
        return [t for t in targets if now - self._lost_at.get(t.id, now) <= _SHOWN_S]
