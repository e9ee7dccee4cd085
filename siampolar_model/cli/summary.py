"""What ``siampolar track`` says at its end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import counted
from ..results import Target, TargetState

#: Spans named for each target; more are only counted.
_MOST_SPANS = 8


class Summary:
    """Counts frames, and keeps the spans on which each target was lost."""

    def __init__(self) -> None:
        self.frames = 0
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._before: int | None = None  # index of the frame before

    def take(self, index: int, targets: Iterable[Target]) -> None:
        """Add the results of the frame with this index."""
        for target in targets:
            spans = self._spans.setdefault(target.id, [])
            if target.state != TargetState.LOST:
                continue
            if spans and spans[-1][1] == self._before:
                spans[-1] = spans[-1][0], index
            else:
                spans.append((index, index))
        self.frames += 1
        self._before = index

    def lines(self, seconds: float, written: Iterable[Path]) -> list[str]:
        """The text, one line for the frames, one per target and one per file.

        Args:
            seconds: how long the frames took, reading and writing included.
        """
        rate = f" ({self.frames / seconds:.1f} per second)" if seconds > 0 else ""
        lines = [f"{counted(self.frames, 'frame')} in {seconds:.1f} s{rate}"]
        for id, spans in sorted(self._spans.items()):
            named = [f"{a}-{b}" if a != b else f"{a}" for a, b in spans[:_MOST_SPANS]]
            if len(spans) > _MOST_SPANS:
                named.append(f"and {len(spans) - _MOST_SPANS} more times")
            lost = f"lost on frames {', '.join(named)}" if named else "never lost"
            lines.append(f"target {id}: {lost}")
        return lines + [f"wrote {path}" for path in written]
