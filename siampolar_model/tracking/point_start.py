"""Finds the box of the object about a point: the network's own first mask, tried at several sizes.

A click says where an object is but not how large it is. So a target is started with boxes of
several sizes and shapes about the point, and each box that the network finds with one of them on
the same image is tried as well. The box of a whole object finds itself again: score and quality are
high, and the box that was given, the box that is predicted and that of the outline are nearly the
same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ..engines.base import Engine
from ..errors import BoxError
from ..geometry import polar
from ..geometry.box import Box
from ..geometry.crops import search_window, template_window
from ..geometry.region import Point
from ..images.frame import Frame
from .search_crop import Candidate, SearchCrop
from .settings import TrackerSettings

#: Sides of the boxes that are tried, as shares of the image's shorter side, and their shapes, as
#: width over height.
_SIDES, _SHAPES = (0.06, 0.25, 0.6), (1.0, 0.5, 2.0)

#: Below this nothing stands out: consistency times the mean overlap (IoU) with what is found from
#: the other first boxes. On first frames of DAVIS train it refuses 6 % of the clicks on an object
#: that would go well, 43 % of those that would not, and 43 % of those on background.
_LEAST = 0.12

#: The slot of the engine that is used; the ids of targets begin at 1.
_SLOT = 0


@dataclass(frozen=True)
class _Place:
    """A box, the box of the outline that the network finds with it, and how consistent they are.

    Attributes:
        consistency: [0, 1]; 0 if it cannot be what was meant.
    """

    box: Box
    found: Box
    consistency: float

    @property
    def rank(self) -> float:
        # The parts of an object are often as consistent as the whole, so size counts as well.
        return self.consistency * self.box.area**0.25


def box_about(engine: Engine, frame: Frame, point: Point, settings: TrackerSettings) -> Box:
    """The box of what stands out about a point inside the image.

    Raises:
        BoxError: nothing does.
        FloatingPointError: the network gave numbers that are not finite.
    """
    try:
        places = [_place(engine, frame, point, box, settings) for box in _boxes(frame, point)]
    finally:
        engine.release(_SLOT)
    best = max(places, key=lambda place: place.rank)
    others = [place.found.iou(best.found) for place in places if place is not best]
    if best.consistency * sum(others) / len(others) < _LEAST:
        raise BoxError(f"nothing stands out at point {point}; drag a box around the object instead")
    return best.box


def _boxes(frame: Frame, point: Point) -> Iterator[Box]:
    """The boxes that are tried first."""
    for share in _SIDES:
        side = share * min(frame.width, frame.height)
        for shape in _SHAPES:
            width, height = side * math.sqrt(shape), side / math.sqrt(shape)
            yield Box.from_center(point.x, point.y, width, height).clip(frame.width, frame.height)


def _place(
    engine: Engine, frame: Frame, point: Point, first: Box, settings: TrackerSettings
) -> _Place:
    """The box that is found with a first one, and how consistent that is with what it finds."""
    found = _look(engine, frame, first, settings)
    box = found.search_crop.window.box_to_image(found.box).clip(frame.width, frame.height)
    if min(box.width, box.height) < settings.min_box_px:
        return _Place(box, box, 0.0)
    found = _look(engine, frame, box, settings)
    window = found.search_crop.window
    outline = window.points_to_image(polar.polygon(tuple(found.center_xy), found.rays_px))
    outline = polar.clip_polygon(outline.astype(np.float32), frame.width, frame.height)
    if len(outline) < 3:
        return _Place(box, box, 0.0)
    predicted = window.box_to_image(found.box).clip(frame.width, frame.height)
    drawn = Box(*map(float, polar.box_of(outline)))
    consistency = found.score * found.quality * box.iou(predicted) * predicted.iou(drawn)
    return _Place(box, drawn, consistency if _holds(outline, point) else 0.0)


def _look(engine: Engine, frame: Frame, box: Box, settings: TrackerSettings) -> Candidate:
    """Start on a box and look for the target on the same image, as the tracker does."""
    spec, value_range = engine.spec, frame.value_range()
    window = template_window(box, spec.template_size)
    crop = frame.cut(window, value_range=value_range)
    engine.encode(_SLOT, crop, window.box_to_crop(box).as_xyxy())
    width, height = box.width, box.height
    window = search_window(box.center_xy, width, height, spec.search_factor, spec.search_size)
    search_crop = SearchCrop(window, width, height, settings.window_weight, 0.0)
    crops = frame.cut(window, value_range=value_range)[None]
    prior = np.array([search_crop.prior(settings.scale_penalty)], np.float32)
    return Candidate.of(search_crop, engine.search([_SLOT], crops, prior), 0, _SLOT)


def _holds(outline: np.ndarray, point: Point) -> bool:
    """Whether a point lies inside an outline (M, 2)."""
    return cv2.pointPolygonTest(outline, (point.x, point.y), False) >= 0
