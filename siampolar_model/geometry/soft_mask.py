"""A small soft mask that lies somewhere in an image: parts, holes and all that rays cannot say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .box import Box

#: The target is where a soft mask, interpolated between its cells, is above this. A place that is
#: inside with probability p raises the expected IoU q if p > q / (1 + q); q is about 0.8.
LEVEL = 0.8 / 1.8


@dataclass(frozen=True, eq=False)
class SoftMask:
    """How much each place of a rectangle of an image is the target.

    Attributes:
        values: float32 (h, w) in [0, 1], one value for each of h x w equal cells of ``box``.
        box: the rectangle, in image pixels; outside of it is no target.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Box, SoftMask
        >>> ring = np.pad(np.zeros((1, 1), np.float32), 1, constant_values=1)
        >>> soft = SoftMask(ring, Box.from_xywh(1, 0, 9, 9))
        >>> mask = soft.mask(9, 12)
        >>> mask.shape, bool(mask[0, 4]), bool(mask[4, 5]), bool(mask[4, 0])
        ((9, 12), True, False, False)
        >>> [len(contour) > 3 for contour in soft.contours(9, 12)]
        [True, True]
    """

    values: np.ndarray
    box: Box

    def moved(self, place: Callable[[Box], Box]) -> SoftMask:
        """The same values in another rectangle; ``place`` maps boxes."""
        return replace(self, box=place(self.box))

    def bounding_box(self) -> Box | None:
        """The box of the target, its sides placed between cells; None if there is no target."""
        columns = _span(self.values.max(0, initial=0.0))
        rows = _span(self.values.max(1, initial=0.0))
        if columns is None or rows is None:
            return None
        across = self.box.width / self.values.shape[1]
        down = self.box.height / self.values.shape[0]
        x1, x2 = (self.box.x1 + at * across for at in columns)
        y1, y2 = (self.box.y1 + at * down for at in rows)
        return Box(x1, y1, x2, y2)

    def mask(self, height: int, width: int) -> np.ndarray:
        """The target, bool (height, width), in an image of that size."""
        labels = np.zeros((height, width), np.uint8)
        self.fill_into(labels, 1)
        return labels.view(bool)

    def fill_into(self, labels: np.ndarray, value: int) -> None:
        """Write ``value`` into an array (H, W) of the image's size where the target is."""
        height, width = labels.shape
        left, top, inside = self._pixels(height, width)
        labels[top : top + inside.shape[0], left : left + inside.shape[1]][inside] = value

    def contours(self, height: int, width: int) -> list[np.ndarray]:
        """Outlines of all parts and holes in an image of that size.

        Returns:
            Each float32 (M, 2) as x, y in image pixels, along the middle of the pixels at the
            edge. By the even-odd rule they enclose the target.
        """
        left, top, inside = self._pixels(height, width)
        if not inside.any():
            return []
        found, _ = cv2.findContours(
            inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
        )
        shift = np.array([left + 0.5, top + 0.5], np.float32)
        return [points[:, 0].astype(np.float32) + shift for points in found]

    def _pixels(self, height: int, width: int) -> tuple[int, int, np.ndarray]:
        """Left and top of the part of an image that the rectangle covers, and the target there."""
        left, top = max(0, math.floor(self.box.x1)), max(0, math.floor(self.box.y1))
        right, bottom = min(width, math.ceil(self.box.x2)), min(height, math.ceil(self.box.y2))
        rows, columns = self.values.shape
        if left >= right or top >= bottom or not rows or not columns:
            return 0, 0, np.zeros((0, 0), bool)
        # From pixel centres of the part to cell centres, both counted from 0.
        across, down = columns / self.box.width, rows / self.box.height
        to_cells = np.array(
            [
                [across, 0, (left + 0.5 - self.box.x1) * across - 0.5],
                [0, down, (top + 0.5 - self.box.y1) * down - 0.5],
            ]
        )
        # Half a cell within its border, a value counts as the border's; beyond it, nothing does.
        part = cv2.warpAffine(
            self.values, to_cells, (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return left, top, part > LEVEL


def _span(profile: np.ndarray) -> tuple[float, float] | None:
    """Where values first and last cross :data:`LEVEL`, in cells from the first cell's edge."""
    above = (profile > LEVEL).tolist()
    if True not in above:
        return None
    first, last = above.index(True), len(above) - 1 - above[::-1].index(True)
    # Half a cell lies between a border and the middle of its cell, where the value holds.
    low = first + 0.5 - _beyond(profile, first, first - 1) if first else 0.0
    high = last + 0.5 + _beyond(profile, last, last + 1) if last + 1 < len(profile) else last + 1.0
    return low, high


def _beyond(profile: np.ndarray, inside: int, outside: int) -> float:
    """How far from the middle of a cell inside, towards the next one, the level is crossed."""
    value, other = float(profile[inside]), float(profile[outside])
    return (value - LEVEL) / (value - other)
