"""One image that gives for every pixel the target it belongs to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..results import Target, TargetState
from .draw import color_of

#: Ids above it start from 1 again: every viewer and cv_bridge can read an image of 16 bits.
_MAX_LABEL = 65535


def label_of(target_id: int) -> int:
    """The pixel value of a target: its id; above 65535, ``1 + (id - 1) % 65535``."""
    return 1 + (target_id - 1) % _MAX_LABEL


def label_image(results: Iterable[Target], height: int, width: int) -> np.ndarray:
    """Every target's mask filled with :func:`label_of` its id, uint16 (height, width).

    0 is background. Where masks overlap, the higher id lies on top. Lost targets are left out,
    because their last mask need not fit this image.
    """
    labels = np.zeros((height, width), np.uint16)
    for result in sorted(results, key=lambda result: result.id):
        if result.state != TargetState.LOST:
            result.fill_into(labels, label_of(result.id))
    return labels


def color_image(labels: np.ndarray, results: Iterable[Target]) -> np.ndarray:
    """A label image in the targets' colours, see :func:`siampolar_model.rendering.draw.color_of`.

    Args:
        labels: uint16 (height, width), what :func:`label_image` returned for these results.

    Returns:
        uint8 (height, width, 3), BGR; black is background.
    """
    colors = np.zeros((*labels.shape, 3), np.uint8)
    for result in results:
        colors[labels == label_of(result.id)] = color_of(result.id)
    return colors
