"""Targets that started on an image of the past, and the images that they have yet to see."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .history import Entry, History

#: Time constant of catching up: a late target's lag shrinks by a factor of e in this many seconds.
_CATCH_UP_S = 1.0


class CatchUp:
    """Which image of the history is next, and for which targets.

    Late targets see every image if the engine is fast enough for them to catch up. If not, they see
    only every second image, or third, ..., just as a slow engine skips live images.

    Not thread-safe: the schedule locks.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._seen: dict[int, int] = {}  # late target -> sequence of the last image it has seen
        self._stride = 1
        self._live_sequence = 0

    @property
    def ids(self) -> frozenset[int]:
        """Targets that have yet to catch up."""
        return frozenset(self._seen)

    def add(self, id: int, entry: Entry) -> None:
        """A target starts on this image, which is also the first one that it sees."""
        self._seen[id] = entry.sequence - 1

    def discard(self, id: int) -> None:
        self._seen.pop(id, None)

    def pace(self, live: Entry, steps: int) -> None:
        """Choose the stride of late targets.

        Args:
            live: the image of the stream that is worked on next.
            steps: pieces of work done for late targets since the last live image.
        """
        arrived = live.sequence - self._live_sequence
        self._live_sequence = live.sequence
        oldest = next(self._history.after(min(self._seen.values())), None) if self._seen else None
        if oldest is None:
            self._stride = 1
        elif steps:
            behind_s = (live.image.stamp_ns - oldest.image.stamp_ns) / 1e9
            self._stride = max(1, math.ceil(arrived * (1 + behind_s / _CATCH_UP_S) / steps))

    def next(self, live: Entry | None) -> tuple[Entry, list[int]] | None:
        """The oldest image up to the live one that a late target sees next, and all that see it."""
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
        """Targets have seen an image."""
        for id in ids:
            self._seen[id] = entry.sequence

    def take_caught_up(self, live: Entry | None) -> list[int]:
        """Targets that have seen all images up to the live one; they are no longer late."""
        done = [id for id in self._seen if self._next_of(id, live) is None]
        for id in done:
            del self._seen[id]
        return done

    def _next_of(self, id: int, live: Entry | None) -> Entry | None:
        if live is None:
            return None
        ahead = [e for e in self._history.after(self._seen[id]) if e.sequence <= live.sequence]
        return ahead[min(self._stride, len(ahead)) - 1] if ahead else None
