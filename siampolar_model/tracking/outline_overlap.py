"""Whether two targets are the same region of the image."""

from __future__ import annotations

import numpy as np

from ..geometry import polar
from ..results import Target

#: Two targets with masks that overlap by more than this IoU are not both tracked.
ONE_REGION = 0.7

#: Side in pixels of the picture that both outlines are drawn in.
_DRAWN_PX = 64


def same_region(a: Target, b: Target) -> bool:
    """Whether the outlines of two targets overlap by more than :data:`ONE_REGION`."""
    if len(a.polygon_xy) < 3 or len(b.polygon_xy) < 3:
        return False
    low_a, high_a = a.polygon_xy.min(0), a.polygon_xy.max(0)
    low_b, high_b = b.polygon_xy.min(0), b.polygon_xy.max(0)
    shared = np.minimum(high_a, high_b) - np.maximum(low_a, low_b)
    if (shared <= 0).any():
        return False
    low = np.minimum(low_a, low_b)
    size = np.maximum(high_a, high_b) - low
    scale = _DRAWN_PX / max(float(size.max()), 1.0)
    masks = [
        polar.fill((target.polygon_xy - low) * np.float32(scale), _DRAWN_PX, _DRAWN_PX) > 0
        for target in (a, b)
    ]
    union = int((masks[0] | masks[1]).sum())
    return union > 0 and int((masks[0] & masks[1]).sum()) > ONE_REGION * union
