"""The label image: every pixel of an outline carries the id of its target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from siampolar_model.geometry import polar
from siampolar_model.geometry.box import Box
from siampolar_model.rendering.draw import color_of
from siampolar_model.rendering.label_image import color_image, label_image, label_of
from siampolar_model.results import Target, TargetState


def square(
    id: int, x: float, side: float = 10, state: TargetState = TargetState.TRACKING
) -> Target:
    box = Box(x, 5, x + side, 5 + side)
    return Target(id, state, 0.9, 0.8, box, box.corners_xy())


def test_pixels_carry_the_id_and_the_area_of_the_outline() -> None:
    labels = label_image([square(300, 2), square(7, 20)], 30, 40)
    assert labels.shape == (30, 40) and labels.dtype == np.uint16
    assert set(np.unique(labels)) == {0, 7, 300}
    assert (labels == 300).sum() == (labels == 7).sum() == 100
    assert (labels[5:15, 2:12] == 300).all()
    assert np.array_equal(labels == 7, polar.fill(square(7, 20).polygon_xy, 30, 40) == 1)


def test_the_higher_id_lies_on_top_whatever_the_order() -> None:
    pair = [square(2, 0), square(1, 5)]
    for order in (pair, pair[::-1]):
        labels = label_image(order, 30, 40)
        assert (labels == 2).sum() == 100 and (labels == 1).sum() == 50


def test_lost_targets_and_empty_outlines_are_left_out() -> None:
    nothing = replace(square(3, 0), polygon_xy=np.zeros((0, 2), np.float32))
    assert not label_image([square(1, 2, state=TargetState.LOST), nothing], 30, 40).any()
    assert label_image([square(1, 2, state=TargetState.UNCERTAIN)], 30, 40).any()


def test_large_ids_come_round_without_becoming_background() -> None:
    assert [label_of(id) for id in (1, 65535, 65536, 2**32 - 1)] == [1, 65535, 1, 65535]
    assert label_image([square(65536, 2)], 30, 40).max() == 1


def test_the_coloured_twin_has_the_colours_of_the_overlay() -> None:
    results = [square(1, 0), square(2, 5), square(3, 30, state=TargetState.LOST)]
    labels = label_image(results, 48, 64)
    colors = color_image(labels, results)
    assert colors.shape == (48, 64, 3) and colors.dtype == np.uint8
    assert (colors[labels == 0] == 0).all()
    for id in (1, 2):
        assert (labels == id).any() and (colors[labels == id] == color_of(id)).all()
