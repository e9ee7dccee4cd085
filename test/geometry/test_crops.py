"""Crop windows and their inverses; boxes that a target may start from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.errors import BoxError
from siampolar_model.geometry.box import Box, parse_box, validate_init_box
from siampolar_model.geometry.crops import CropWindow, context_side, search_window, template_window

finite = st.floats(-1e4, 1e4)
length = st.floats(2, 5e3)


@settings(max_examples=200)
@given(cx=finite, cy=finite, side=length, size=st.integers(16, 512), x=finite, y=finite)
def test_points_and_boxes_survive_the_round_trip(
    cx: float, cy: float, side: float, size: int, x: float, y: float
) -> None:
    window = CropWindow(cx, cy, side, size)
    point = np.array([x, y])
    np.testing.assert_allclose(
        window.points_to_image(window.points_to_crop(point)), point, atol=1e-6, rtol=1e-9
    )
    box = Box(x, y, x + 10, y + 20)
    back = window.box_to_image(window.box_to_crop(box))
    assert back.as_xywh() == pytest.approx(box.as_xywh(), abs=1e-6)


def test_the_middle_of_the_window_is_the_middle_of_the_crop() -> None:
    window = search_window((100.0, 50.0), 20, 40, 1.7, 255)
    np.testing.assert_allclose(window.points_to_crop(np.array([100.0, 50.0])), [127.5, 127.5])
    assert window.side == pytest.approx(1.7 * context_side(20, 40))


def test_template_context_is_that_of_siamfc() -> None:
    # SiamFC: (w + 2p)(h + 2p) = A^2 with p = (w + h) / 4.
    w, h = 30.0, 50.0
    p = (w + h) / 4
    assert context_side(w, h) == pytest.approx(math.sqrt((w + 2 * p) * (h + 2 * p)))
    inside = template_window(Box.from_xywh(5, 7, w, h), 127).box_to_crop(Box.from_xywh(5, 7, w, h))
    assert inside.center_xy == pytest.approx((63.5, 63.5))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (Box(math.nan, 0, 10, 10), "not finite"),
        (Box(0, 0, math.inf, 10), "not finite"),
        (Box(10, 10, 10, 30), "no area"),
        (Box(30, 10, 10, 30), "no area"),
        (Box(700, 10, 730, 30), "wholly outside the 640x480"),
        (Box(630, 10, 660, 30), "at least half"),
        (Box(10, 10, 14, 40), "at least 8 px"),
    ],
)
def test_init_boxes_are_refused_in_one_line(box: Box, words: str) -> None:
    with pytest.raises(BoxError, match=words) as caught:
        validate_init_box(box, 640, 480, 8)
    assert "\n" not in str(caught.value)


def test_a_box_partly_outside_is_clipped() -> None:
    assert validate_init_box(Box(-10, -10, 40, 40), 640, 480, 8) == Box(0, 0, 40, 40)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,x", "0,0,0,5", "nan,0,5,5", "1,2,3,4,5"])
def test_box_texts_are_refused(text: str) -> None:
    with pytest.raises(BoxError):
        parse_box(text)


def test_box_text_is_read() -> None:
    assert parse_box("1, 2,3.5,4") == Box(1, 2, 4.5, 6)


def test_iou_of_half_open_boxes() -> None:
    assert Box(0, 0, 10, 10).iou(Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert Box(0, 0, 10, 10).iou(Box(10, 0, 20, 10)) == 0
    assert Box(0, 0, 0, 0).iou(Box(0, 0, 0, 0)) == 0
