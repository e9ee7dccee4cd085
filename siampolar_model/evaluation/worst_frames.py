"""A contact sheet of the frames with the lowest scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

#: Frames of the sheet, those of one sequence, and how far apart the latter are at least.
_MOST, _MOST_OF_SEQUENCE, _APART = 20, 3, 10

# Stretches of _APART frames of which the worst one is kept while a sequence runs: enough to choose
# frames that are far apart.
_STRETCHES = 4 * _MOST_OF_SEQUENCE

_COLUMNS, _WIDTH, _CAPTION_PX, _GAP_PX = 4, 320, 22, 6


@dataclass(frozen=True, eq=False)
class _Frame:
    sequence: str
    index: int
    score: float
    picture: np.ndarray


class WorstFrames:
    """Keeps the worst frames of every sequence, small, while an evaluation runs."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, _Frame]] = {}  # by sequence and stretch

    def take(
        self, sequence: str, index: int, score: float, drawn: Callable[[], np.ndarray]
    ) -> None:
        """Add a frame.

        Args:
            score: 0 to 1.
            drawn: gives the frame with what is to be seen on it, uint8 (H, W, 3) BGR; called only
                if it is kept.
        """
        kept = self._kept.setdefault(sequence, {})
        stretch = index // _APART
        if stretch in kept:
            if score >= kept[stretch].score:
                return
        elif len(kept) == _STRETCHES:
            best = max(kept, key=lambda one: kept[one].score)
            if score >= kept[best].score:
                return
            del kept[best]
        picture = drawn()
        height = max(1, round(picture.shape[0] * _WIDTH / picture.shape[1]))
        small = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
        kept[stretch] = _Frame(sequence, index, score, small)

    def chosen(self) -> list[_Frame]:
        """What is on the sheet, the worst frame first."""
        everything = []
        for kept in self._kept.values():
            apart: list[_Frame] = []
            for one in sorted(kept.values(), key=lambda one: one.score):
                if all(abs(one.index - other.index) >= _APART for other in apart):
                    apart.append(one)
            everything += apart[:_MOST_OF_SEQUENCE]
        return sorted(everything, key=lambda one: one.score)[:_MOST]

    def write(self, path: Path) -> None:
        """Write the sheet as JPEG or PNG, by the suffix; the worst frame comes first.

        Raises:
            OSError: it cannot be written.
        """
        chosen = self.chosen()
        rows = [chosen[at : at + _COLUMNS] for at in range(0, len(chosen), _COLUMNS)]
        sheet = np.vstack([_row(row) for row in rows] or [np.zeros((_CAPTION_PX, 1, 3), np.uint8)])
        path.write_bytes(cv2.imencode(path.suffix, sheet)[1].tobytes())


def _row(frames: list[_Frame]) -> np.ndarray:
    height = max(one.picture.shape[0] for one in frames) + _CAPTION_PX + _GAP_PX
    row = np.zeros((height, _COLUMNS * (_WIDTH + _GAP_PX), 3), np.uint8)
    for place, one in enumerate(frames):
        x = place * (_WIDTH + _GAP_PX)
        row[_CAPTION_PX : _CAPTION_PX + one.picture.shape[0], x : x + _WIDTH] = one.picture
        text = f"{one.sequence[:24]}  frame {one.index}  {one.score:.2f}"
        cv2.putText(
            row, text, (x + 4, _CAPTION_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
            (255, 255, 255), 1, cv2.LINE_AA,
        )  # fmt: skip
    return row
