"""Which depth belongs to which outlines, by their stamps; does not know ROS."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Depth images kept, and outlines that wait for theirs.
_KEPT, _WAITING = 15, 30

#: Depth this much older than outlines that were decided on, in nanoseconds, is not kept: the
#: outlines of the same image may come again, but not those of an older one.
_OLD_NS = 100_000_000

#: A stamp this much older than the newest one, in nanoseconds: the clock was set back.
_SET_BACK_NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Match:
    """Outlines and what was found for them.

    Attributes:
        targets: as given to :meth:`Matcher.add_targets`.
        depth: as given to :meth:`Matcher.add_depth`; None if none belongs to them.
        depth_stamp_ns: 0 without depth.
        reason: why there is no depth; empty if there is.
    """

    targets: Any
    depth: Any
    depth_stamp_ns: int
    reason: str


class Matcher:
    """Gives outlines the depth of the nearest stamp, in the order in which they came.

    An exact stamp is taken at once, the nearest one as soon as a later one has come, so that it
    cannot be bettered any more, or when the wait is over.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._depths: deque[tuple[int, Any]] = deque(maxlen=_KEPT)
        self._waiting: deque[tuple[int, float, Any]] = deque(maxlen=_WAITING)

    def add_depth(self, stamp_ns: int, depth: Any) -> None:
        if self._depths and stamp_ns < self._depths[-1][0] - _SET_BACK_NS:
            self._depths.clear()
        self._depths.append((stamp_ns, depth))

    def add_targets(self, stamp_ns: int, targets: Any) -> None:
        if self._waiting and stamp_ns < self._waiting[-1][0] - _SET_BACK_NS:
            self._waiting.clear()
        self._waiting.append((stamp_ns, self._clock(), targets))

    def ready(self, tolerance_s: float, wait_s: float) -> list[Match]:
        """All outlines, from the first, of which it is decided what belongs to them."""
        found = []
        while self._waiting:
            stamp_ns, since_s, targets = self._waiting[0]
            nearest = min(self._depths, key=lambda one: abs(one[0] - stamp_ns), default=None)
            decided = nearest is not None and (
                nearest[0] == stamp_ns or max(one[0] for one in self._depths) > stamp_ns
            )
            if not decided and self._clock() - since_s < wait_s:
                break
            self._waiting.popleft()
            while (
                self._depths and self._depths[0][0] < stamp_ns - _OLD_NS and len(self._depths) > 1
            ):
                self._depths.popleft()
            reason = _why_not(stamp_ns, nearest and nearest[0], tolerance_s)
            if nearest is None or reason:
                found.append(Match(targets, None, 0, reason))
            else:
                found.append(Match(targets, nearest[1], nearest[0], ""))
        return found


def _why_not(stamp_ns: int, nearest_ns: int | None, tolerance_s: float) -> str:
    if nearest_ns is None:
        return "no depth has come yet"
    apart_s = (nearest_ns - stamp_ns) / 1e9
    if abs(apart_s) <= tolerance_s:
        return ""
    return (
        f"no depth within {1e3 * tolerance_s:g} ms of the image; the nearest is "
        f"{_duration(abs(apart_s))} {'newer' if apart_s > 0 else 'older'}"
    )


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
