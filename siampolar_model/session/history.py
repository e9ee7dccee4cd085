"""The last images of a stream, from which an init takes the image that its box was drawn on."""

from __future__ import annotations

import itertools
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import StampError
from ..images.frame import Frame

#: The frame period is the median of this many intervals between images.
_PERIOD_INTERVALS = 30

#: After this many out-of-order images in a row, assume the clock was set back and start a new
#: history.
_CLOCK_SET_BACK = 10


@dataclass(frozen=True, eq=False)
class StampedImage:
    """One image as it came in.

    Attributes:
        stamp_ns: when it was taken, in nanoseconds.
        frame: its pixels, in a buffer that no longer changes.
        header: anything that the owner wants back with the results; the node puts the ROS header.
        arrived_s: when it came in, in seconds of the monotonic clock; None if unknown.
    """

    stamp_ns: int
    frame: Frame
    header: Any = None
    arrived_s: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frame.width, self.frame.height

    @property
    def nbytes(self) -> int:
        return self.frame.nbytes


@dataclass(frozen=True, eq=False)
class Entry:
    """An image and its place in the order of arrival.

    Attributes:
        sequence: how many images arrived before it; it grows even where stamps go back.
        newest_ns: the newest stamp of the stream when it arrived. If that is not its own stamp, the
            image is out of order and is not in the history.
    """

    sequence: int
    image: StampedImage
    newest_ns: int


def format_stamp(stamp_ns: int) -> str:
    """``12.345678901 s``, without floats, which cannot hold the nanoseconds of today's date."""
    sign = "-" if stamp_ns < 0 else ""
    seconds, nanoseconds = divmod(abs(stamp_ns), 1_000_000_000)
    return f"{sign}{seconds}.{nanoseconds:09d} s"


class History:
    """Images in order of arrival and of stamp, bounded in time and in bytes.

    The newest image is always kept, however large. Not thread-safe: the schedule locks.
    """

    def __init__(self, max_ns: int, max_bytes: int) -> None:
        self._max_ns = max_ns
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._stamps: list[int] = []
        self._bytes = 0
        self._arrived = 0
        self._out_of_order = 0  # images out of order in a row

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of the images kept."""
        return self._bytes

    @property
    def newest(self) -> StampedImage | None:
        return self._entries[-1].image if self._entries else None

    def add(self, image: StampedImage) -> Entry:
        """Append an image and drop those that no longer fit.

        An image with the newest stamp again takes that image's place, because the images of a
        camera without stamps all have the same. An older image is out of order and is not kept. If
        it is older than all others, or one of many out of order in a row, the clock was set back or
        a recording began again: stamps before and after that cannot be compared, and the history
        starts again with this image.
        """
        sequence = self._arrived
        self._arrived += 1
        if self._stamps and image.stamp_ns < self._stamps[-1]:
            self._out_of_order += 1
            if image.stamp_ns > self._stamps[0] and self._out_of_order < _CLOCK_SET_BACK:
                return Entry(sequence, image, self._stamps[-1])
            self.clear()
        elif self._stamps and image.stamp_ns == self._stamps[-1]:
            self._stamps.pop()
            self._bytes -= self._entries.pop().image.nbytes
        self._out_of_order = 0
        entry = Entry(sequence, image, image.stamp_ns)
        self._entries.append(entry)
        self._stamps.append(image.stamp_ns)
        self._bytes += image.nbytes
        self._drop_old()
        return entry

    def set_bounds(self, max_ns: int, max_bytes: int) -> None:
        self._max_ns, self._max_bytes = max_ns, max_bytes
        self._drop_old()

    def _drop_old(self) -> None:
        drop = 0
        while drop < len(self._entries) - 1 and (
            self._bytes > self._max_bytes or self._stamps[-1] - self._stamps[drop] > self._max_ns
        ):
            self._bytes -= self._entries[drop].image.nbytes
            drop += 1
        if drop:
            del self._entries[:drop], self._stamps[:drop]

    def clear(self) -> None:
        self._entries.clear()
        self._stamps.clear()
        self._bytes = 0

    def after(self, sequence: int) -> Iterator[Entry]:
        """Images that arrived after ``sequence``, oldest first."""
        start = bisect_right(self._entries, sequence, key=lambda entry: entry.sequence)
        return iter(self._entries[start:])

    @property
    def half_period_ns(self) -> int:
        """Half the usual time between images; 0 while there are fewer than two."""
        last = self._stamps[-_PERIOD_INTERVALS - 1 :]
        intervals = [b - a for a, b in itertools.pairwise(last)]
        return int(statistics.median(intervals)) // 2 if intervals else 0

    def ahead_ns(self, stamp_ns: int) -> int:
        """How far a stamp lies beyond half a period after the newest image; 0 if it does not."""
        if stamp_ns == 0 or not self._stamps:
            return 0
        return max(0, stamp_ns - self._stamps[-1] - self.half_period_ns)

    def find(self, stamp_ns: int) -> Entry:
        """The image of a stamp, or else the nearest one within half a frame period.

        Args:
            stamp_ns: nanoseconds; 0 takes the newest image.

        Raises:
            StampError: there is no image yet, or the stamp is older than the history, in the
                future, or in a gap between images.
        """
        if not self._entries:
            raise StampError("no image has arrived yet")
        if stamp_ns == 0:
            return self._entries[-1]
        after = bisect_left(self._stamps, stamp_ns)
        near = [i for i in (after - 1, after) if 0 <= i < len(self._stamps)]
        best = min(near, key=lambda i: abs(self._stamps[i] - stamp_ns))
        tolerance = self.half_period_ns
        if abs(self._stamps[best] - stamp_ns) <= tolerance:
            return self._entries[best]
        asked = f"stamp {format_stamp(stamp_ns)}"
        oldest, newest = format_stamp(self._stamps[0]), format_stamp(self._stamps[-1])
        if stamp_ns < self._stamps[0]:
            raise StampError(f"{asked} is older than the oldest image kept, {oldest}")
        if stamp_ns > self._stamps[-1]:
            raise StampError(f"{asked} lies in the future of the newest image, {newest}")
        raise StampError(
            f"{asked} is {abs(self._stamps[best] - stamp_ns) / 1e6:.1f} ms from the nearest image, "
            f"{format_stamp(self._stamps[best])}; it must be within half a frame period, "
            f"{tolerance / 1e6:.1f} ms"
        )
