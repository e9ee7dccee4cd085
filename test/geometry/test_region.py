"""Everything that a target can be started with, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from siampolar_model.errors import BoxError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.region import (
    Mask,
    Outline,
    Point,
    as_region,
    bounds_of,
    validate_region,
)

TRIANGLE = [(10, 20), (50, 20), (30, 60)]


def mask(width: int = 100, height: int = 80) -> np.ndarray:
    pixels = np.zeros((height, width), np.uint8)
    pixels[20:60, 10:50] = 3
    return pixels


def test_plain_values_are_taken_for_what_they_look_like() -> None:
    assert as_region((5, 6)) == Point(5.0, 6.0)
    assert as_region(np.array([5, 6])) == Point(5.0, 6.0)
    assert as_region([5, 6, 20, 10]) == Box(5, 6, 25, 16)
    outline = as_region(TRIANGLE)
    assert isinstance(outline, Outline) and outline.points_xy.dtype == np.float32
    assert isinstance(as_region(np.array(TRIANGLE)), Outline)
    assert isinstance(as_region(mask()), Mask)
    for one in (Box(1, 2, 3, 4), Point(1, 2), outline, Mask(mask())):
        assert as_region(one) is one


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), "here", None, [[1, 2], [3]], [1, 10**400]])
def test_other_values_are_refused_with_what_a_box_is(value: Any) -> None:
    with pytest.raises(BoxError, match="is not four numbers x,y,w,h in pixels"):
        as_region(value)


def test_bounds_are_the_smallest_box_around() -> None:
    assert bounds_of(Box(1, 2, 3, 4)) == Box(1, 2, 3, 4)
    assert bounds_of(as_region(TRIANGLE)) == Box(10, 20, 50, 60)
    assert bounds_of(Mask(mask())) == bounds_of(Mask(mask() != 0)) == Box(10, 20, 50, 60)
    assert bounds_of(Point(7, 8)).area == 0


def test_what_fits_the_image_is_taken() -> None:
    assert validate_region(Box(-10, 0, 40, 40), 100, 80, 8) == Box(0, 0, 40, 40)
    for region in (Point(0, 0), Point(99.9, 79.9), as_region(TRIANGLE), Mask(mask())):
        assert validate_region(region, 100, 80, 8) is region


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Point(100, 5), "point x=100 y=5 lies outside the 100x80 image"),
        (Point(5, math.nan), "point x=5 y=nan lies outside the 100x80 image"),
        (Outline(np.zeros((2, 2), np.float32)), "an outline of 2 points; it needs at least 3"),
        (as_region([(1, 1), (4, 1), (4, math.inf)]), "is not finite"),
        (as_region([(1, 1), (4, 1), (4, 4)]), "both sides must be at least 8 px"),
        (as_region([(200, 1), (240, 1), (240, 40)]), "wholly outside the 100x80 image"),
        (Mask(mask(50, 80)), "a mask of 50x80 pixels; the image is 100x80"),
        (Mask(np.zeros((80, 100), np.uint8)), "a mask without any pixel of the object"),
        (Mask(np.zeros((0, 0), np.uint8)), "a mask without any pixel of the object"),
        (Box(1, 1, 1, 40), "has no area"),
    ],
)
def test_what_does_not_is_refused_in_words(region: Any, words: str) -> None:
    with pytest.raises(BoxError, match=words):
        validate_region(region, 100, 80, 8)
