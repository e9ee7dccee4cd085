"""One image that says for every pixel which target it belongs to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..geometry import polar
from ..results import Target, TargetState

#: Ids above it come round: an image of 16 bits is what every viewer and cv_bridge can read.
_MAX_LABEL = 65535


def label_of(target_id: int) -> int:
    """The pixel value of a target: its id; above 65535, ``1 + (id - 1) % 65535``."""
    return 1 + (target_id - 1) % _MAX_LABEL


def label_image(results: Iterable[Target], width: int, height: int) -> np.ndarray:
    """Outlines filled with their target's label, uint16 (height, width); 0 is background.

    Where outlines overlap, the higher id lies on top. Lost targets are left out: where they were
    last believed says nothing about this image.
    """
    labels = np.zeros((height, width), np.uint16)
    for result in sorted(results, key=lambda result: result.id):
        if result.state != TargetState.LOST:
            polar.fill_into(labels, result.polygon_xy, label_of(result.id))
    return labels
