"""Values that cross a boundary: boxes, states and per-frame results.

Continuous pixel coordinates: pixel (row i, column j) covers [j, j+1) x [i, i+1), so a box
is half-open and its width is simply ``x2 - x1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .geometry.box import Box


class TargetState(IntEnum):
    """What the tracker believes about a target; values equal the constants in Target.msg."""

    TRACKING = 1
    UNCERTAIN = 2
    LOST = 3


@dataclass(frozen=True)
class StateChange:
    """A target begins, changes its state, or ends.

    Attributes:
        id: the target.
        before: None: it is new.
        after: None: it is gone.
        reason: why it is gone, unless on request.
    """

    id: int
    before: TargetState | None
    after: TargetState | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Target:
    """One target on one image.

    Attributes:
        id: stable positive identifier given by ``Tracker.start``.
        state: tracking, uncertain or lost; a lost target's geometry is the last one believed.
        score: raw classification score of the best candidate, [0, 1].
        quality: predicted IoU of the polygon with the object, [0, 1].
        box: box of the target in image pixels.
        center_xy: origin of the rays in image pixels.
        rays_px: float32 (N,), length of ray k at angle ``2*pi*k/N`` from +x, clockwise.
        polygon_xy: float32 (M, 2), the outline clipped to the image; M is 0 if nothing is inside.
    """

    id: int
    state: TargetState
    score: float
    quality: float
    box: Box
    center_xy: tuple[float, float]
    rays_px: np.ndarray
    polygon_xy: np.ndarray
