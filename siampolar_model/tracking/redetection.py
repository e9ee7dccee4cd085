"""Where in the whole frame to look for a lost target, and how much of it an image may cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..geometry.crops import CropWindow, context_side

#: Sizes looked for, as multiples of the last one.
SCALES = (1.0, 1.5, 1 / 1.5)

#: A window answers for its middle: windows stand so many of their sides apart.
_PITCH = 0.5


@dataclass(frozen=True)
class _Grid:
    """Windows of one size, row by row."""

    scale: float
    side: float
    columns: int
    rows: int


@dataclass(frozen=True)
class Sweep:
    """Overlapping windows that cover an image for a target of about one size.

    The windows stand in an order that spreads over the frame and the scales from the first few
    on. Nothing is stored for each of them: a small target in a large image makes 100,000.
    """

    image_size: tuple[int, int]
    grids: tuple[_Grid, ...]
    stride: int

    @classmethod
    def over(
        cls, image_size: tuple[int, int], width: float, height: float, search_factor: float
    ) -> Sweep:
        """Windows for a target that last measured ``width`` x ``height`` image pixels."""
        grids = []
        for scale in SCALES:
            side = max(search_factor * scale * context_side(width, height), 1.0)
            columns, rows = (max(1, math.ceil(n / (side * _PITCH))) for n in image_size)
            grids.append(_Grid(scale, side, columns, rows))
        count = sum(grid.columns * grid.rows for grid in grids)
        # Steps of the golden section leave no large gap anywhere; coprime, they miss no window.
        stride = max(1, round(count * 0.618))
        while math.gcd(stride, count) > 1:
            stride += 1
        return cls(image_size, tuple(grids), stride)

    def __len__(self) -> int:
        return sum(grid.columns * grid.rows for grid in self.grids)

    def window(self, turn: int, size: int) -> tuple[CropWindow, float]:
        """The window of a turn, ``size`` crop pixels a side, and its scale; turns go round."""
        index = turn * self.stride % len(self)
        for grid in self.grids:
            if index < grid.columns * grid.rows:
                break
            index -= grid.columns * grid.rows
        row, column = divmod(index, grid.columns)
        width, height = self.image_size
        x, y = (column + 0.5) * width / grid.columns, (row + 0.5) * height / grid.rows
        return CropWindow(x, y, grid.side, size), grid.scale


def share(owed: Mapping[int, float], most: int) -> dict[int, int]:
    """Looks beside the one that every lost target has anyway.

    Args:
        owed: looks that each target should have now; the one that waits longest comes first.
        most: for all of them together.
    """
    extra = {}
    for id in sorted(owed, key=lambda id: (-owed[id], id)):
        extra[id] = max(0, min(math.ceil(owed[id]) - 1, most))
        most -= extra[id]
    return extra


class RedetectionBudget:
    """Whole-frame crops an image may cost, so that a lost target does not slow down the others.

    While every image of the stream is worked off they cost nobody anything. An image that had to
    be skipped halves them, and many that were not allow one more. No clock is read, so a replay,
    which skips nothing, gives the same results every time.
    """

    #: Images in a row without a skipped one that allow one crop more.
    PATIENCE = 30

    def __init__(self) -> None:
        self._allowed: float = math.inf
        self._without = 0

    def crops(self, wanted: int) -> int:
        """How many of ``wanted`` crops may be spent on the next image."""
        return int(min(wanted, self._allowed))

    def count(self, skipped: int, wanted: int) -> None:
        """Learn how many images were skipped before the one that is worked on next."""
        if skipped:
            self._allowed, self._without = self.crops(wanted) // 2, 0
            return
        self._without += 1
        if self._without >= self.PATIENCE:
            self._allowed, self._without = min(wanted, self._allowed) + 1, 0
