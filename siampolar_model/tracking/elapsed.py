"""The time between two images, as far as their stamps are believed."""

from __future__ import annotations

#: Longest time that stamps are believed about, and the time taken where they do not advance: some
#: cameras send no stamps, and some clocks jump.
_LONGEST_S, USUAL_S = 5.0, 1 / 30


def seconds_between(before_ns: int | None, now_ns: int) -> float:
    """Seconds from one image to the next.

    Args:
        before_ns: stamp of the image before; None if there was none.
        now_ns: stamp of the image.
    """
    if before_ns is None or now_ns <= before_ns:
        return USUAL_S
    return min((now_ns - before_ns) / 1e9, _LONGEST_S)
