"""Targets that start in the past, and the images that they have yet to see."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .history import Entry, History

#: Late targets shall be nearer to the stream by a factor of e in so many seconds.
_CATCH_UP_S = 1.0


class CatchUp:
    """Which image of the history is next, and for which targets.

    Late targets see every image if the engine is fast enough for them to catch up; else only every
    second one, or third, ..., as the live images that a slow engine skips.

    Not thread-safe: the session locks.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._seen: dict[int, int] = {}  # target -> sequence of the last image it has seen
        self._stride = 1
        self._live_sequence = 0

    def __contains__(self, id: int) -> bool:
        return id in self._seen

    def add(self, id: int, entry: Entry) -> None:
        """A target starts on this image, which it sees as well."""
        self._seen[id] = entry.sequence - 1

    def discard(self, id: int) -> None:
        self._seen.pop(id, None)

    def pace(self, live: Entry, steps: int) -> None:
        """Take note that a live image comes next, after so many pieces of work for late targets."""
        arrived = live.sequence - self._live_sequence
        self._live_sequence = live.sequence
        oldest = next(self._history.after(min(self._seen.values())), None) if self._seen else None
        if oldest is None:
            self._stride = 1
        elif steps:
            behind_s = (live.image.stamp_ns - oldest.image.stamp_ns) / 1e9
            self._stride = max(1, math.ceil(arrived * (1 + behind_s / _CATCH_UP_S) / steps))

    def next(self, live: Entry | None) -> tuple[Entry, list[int]] | None:
        """The oldest image up to the live one that late targets see next, and which of them."""
        found: tuple[Entry, list[int]] | None = None
        for id in self._seen:
            entry = self._next_of(id, live)
            if entry is None:
                continue
            if found is None or entry.sequence < found[0].sequence:
                found = entry, [id]
            elif entry.sequence == found[0].sequence:
                found[1].append(id)
        return found

    def saw(self, entry: Entry, ids: Iterable[int]) -> None:
        for id in ids:
            self._seen[id] = entry.sequence

    def take_caught_up(self, live: Entry | None) -> list[int]:
        """Targets that have seen all there is to see; from now on they go with the stream."""
        done = [id for id in self._seen if self._next_of(id, live) is None]
        for id in done:
            del self._seen[id]
        return done

    def _next_of(self, id: int, live: Entry | None) -> Entry | None:
        if live is None:
            return None
        ahead = [e for e in self._history.after(self._seen[id]) if e.sequence <= live.sequence]
        return ahead[min(self._stride, len(ahead)) - 1] if ahead else None
