"""Targets of several objects: a rider with his horse, a surfer with his kite.

Who points at one draws a box about all of it, while sets of photographs have one mask an object.
"""

from __future__ import annotations

import cv2
import numpy as np

from siampolar_model.geometry.crops import context_side

from .augment.compose import put_behind, with_surroundings
from .augment.view import look_up
from .instances import Instance
from .readers.decode import labelled

# In units of the side of the target's template window:
#: objects so near are taken to touch,
_TOUCH = 0.02
#: the window of a companion, the gap it leaves (below 0: how far it stands behind the target),
_SIZE, _GAP = (0.35, 0.9), (-0.15, 0.25)
#: and what is kept of its own background.
_REACH, _RAMP = 0.015, 0.05

#: Least share of a companion that is in sight; else the target stays alone.
_MIN_VISIBLE = 0.6


def with_neighbour(rng: np.random.Generator, target: Instance) -> Instance:
    """The target and one of the objects that touch it, as one; alone where none does."""
    source = target.source
    if source.labels is None or len(source.objects) < 2:
        return target
    reach_px = max(round(_TOUCH * _window_side(target)), 1)
    about = cv2.dilate(target.mask, np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8))
    near = [v for v in np.unique(source.labels[about > 0]) if v not in (0, target.value)]
    if not near:
        return target
    neighbour = source.labels == near[int(rng.integers(len(near)))]
    return _joined(target, source.image, neighbour)


def with_companion(rng: np.random.Generator, target: Instance, other: Instance) -> Instance:
    """The target and an object of another photograph put next to it or behind it, as one.

    It counts as of the target's photograph alone: the companion may come up again as something
    else in the same pair, as seldom as there are many photographs.
    """
    image, side = target.source.image, _window_side(target)
    zoom = rng.uniform(*_SIZE) * side / _window_side(other)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    middle, other_middle = np.array(target.box.center_xy), np.array(other.box.center_xy)
    touching = ((target.hull_xy - middle) @ direction).max()
    touching += zoom * ((other_middle - other.hull_xy) @ direction).max()
    at_xy = middle + direction * (touching + rng.uniform(*_GAP) * side)
    rows, columns = image.shape[:2]
    grid = np.empty((rows, columns, 2), np.float32)
    grid[..., 0] = (np.arange(columns) + 0.5 - at_xy[0]) / zoom + other_middle[0]
    grid[..., 1] = ((np.arange(rows) + 0.5 - at_xy[1]) / zoom + other_middle[1])[:, None]
    view = look_up(other.source.image, other.mask, grid)
    companion = (view.alpha >= 0.5) & (target.mask == 0)
    if np.count_nonzero(companion) < _MIN_VISIBLE * zoom**2 * cv2.countNonZero(other.mask):
        return target
    shown = with_surroundings(view.alpha, _REACH * side, _RAMP * side) * view.covered
    return _joined(target, put_behind(image, target.mask // 255, view.image, shown), companion)


def _window_side(instance: Instance) -> float:
    return context_side(instance.box.width, instance.box.height)


def _joined(target: Instance, image: np.ndarray, part: np.ndarray) -> Instance:
    """The target on ``image`` with a part, bool (H, W), as its own."""
    old = target.source
    assert old.labels is not None  # an instance has a mask
    labels = np.where(part, np.uint16(target.value), old.labels)
    source = labelled(old.name, old.sequence, image, labels, categories=old.categories)
    joined = Instance.of(source, target.value)
    assert joined is not None  # larger than the target
    return joined
