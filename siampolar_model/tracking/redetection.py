"""The search of the whole frame for a lost target: its windows, and how many an image may cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..geometry.crops import CropWindow, context_side

#: Sizes at which a target is searched for, as multiples of its last size.
SCALES = (1.0, 1.5, 1 / 1.5)

#: Spacing of neighbouring windows, as a fraction of their side. Only the middle half of a window
#: is trusted.
_SPACING = 0.5


@dataclass(frozen=True)
class _Grid:
    """Windows of one size, row by row."""

    scale: float
    side: float
    columns: int
    rows: int


@dataclass(frozen=True)
class RedetectionWindows:
    """Overlapping windows that cover an image, for a target whose size is roughly known.

    Already the first few windows spread over the whole frame and all scales. Windows are computed
    when they are asked for, because a small target in a large image has 100,000 of them.
    """

    image_size: tuple[int, int]
    grids: tuple[_Grid, ...]
    stride: int

    @classmethod
    def covering(
        cls, image_size: tuple[int, int], width: float, height: float, search_factor: float
    ) -> RedetectionWindows:
        """Windows for a target that last measured ``width`` x ``height`` image pixels."""
        grids = []
        for scale in SCALES:
            side = max(search_factor * scale * context_side(width, height), 1.0)
            columns, rows = (max(1, math.ceil(n / (side * _SPACING))) for n in image_size)
            grids.append(_Grid(scale, side, columns, rows))
        count = sum(grid.columns * grid.rows for grid in grids)
        # Steps of the golden section leave no large gap anywhere. A stride that has no common
        # divisor with the count reaches every window.
        stride = max(1, round(count * 0.618))
        while math.gcd(stride, count) > 1:
            stride += 1
        return cls(image_size, tuple(grids), stride)

    def __len__(self) -> int:
        return sum(grid.columns * grid.rows for grid in self.grids)

    def window(self, number: int, size: int) -> tuple[CropWindow, float]:
        """One window, ``size`` crop pixels per side, and the multiple of the target's last size.

        Args:
            number: 0 or more; after the last window the first one follows again.
        """
        index = number * self.stride % len(self)
        for grid in self.grids:
            if index < grid.columns * grid.rows:
                break
            index -= grid.columns * grid.rows
        row, column = divmod(index, grid.columns)
        width, height = self.image_size
        x, y = (column + 0.5) * width / grid.columns, (row + 0.5) * height / grid.rows
        return CropWindow(x, y, grid.side, size), grid.scale


def extra_crops(crops_due: Mapping[int, float], limit: int) -> dict[int, int]:
    """How many crops each lost target gets in addition to the one that it always has.

    Args:
        crops_due: crops that each target should have now. The target with the most comes first.
        limit: additional crops for all targets together.
    """
    extra = {}
    for id in sorted(crops_due, key=lambda id: (-crops_due[id], id)):
        extra[id] = max(0, min(math.ceil(crops_due[id]) - 1, limit))
        limit -= extra[id]
    return extra
