"""Soft masks: where they lie in an image, what they fill, and their contours."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model import Box, SoftMask
from siampolar_model.geometry import polar


def disk(side: int, radius: float) -> np.ndarray:
    """Share of each cell that lies in a disk about the middle."""
    fine = 16
    at = (np.arange(side * fine) + 0.5) / fine - side / 2
    inside = (at[:, None] ** 2 + at[None] ** 2 <= radius**2).astype(np.float32)
    return inside.reshape(side, fine, side, fine).mean((1, 3))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.7])
def test_a_disk_keeps_its_place_and_area(scale: float) -> None:
    soft = SoftMask(disk(40, 15), Box.from_xywh(10.3, 20.6, 40 * scale, 40 * scale))
    mask = soft.mask(240, 200)
    rows, columns = np.nonzero(mask)
    center = np.array([columns.mean(), rows.mean()]) + 0.5
    np.testing.assert_allclose(center, [10.3 + 20 * scale, 20.6 + 20 * scale], atol=0.15)
    # LEVEL is below one half, so the disk is a little larger than it was.
    assert mask.sum() == pytest.approx(np.pi * (15 * scale) ** 2, rel=0.03)


def test_what_lies_beyond_the_image_is_cut_off() -> None:
    soft = SoftMask(np.ones((4, 4), np.float32), Box.from_xywh(-4, -6, 12, 12))
    mask = soft.mask(5, 20)
    assert mask[:, :8].all() and not mask[:, 8:].any()
    outside = SoftMask(np.ones((4, 4), np.float32), Box.from_xywh(30, 0, 4, 4))
    assert not outside.mask(5, 20).any() and outside.contours(5, 20) == []


def test_nothing_is_filled_outside_of_the_rectangle() -> None:
    soft = SoftMask(np.ones((3, 3), np.float32), Box.from_xywh(6, 2, 9, 6))
    expected = np.zeros((12, 20), bool)
    expected[2:8, 6:15] = True
    np.testing.assert_array_equal(soft.mask(12, 20), expected)


def test_an_empty_mask_fills_nothing() -> None:
    empty = SoftMask(np.zeros((0, 3), np.float32), Box.from_xywh(2, 2, 4, 0))
    assert not empty.mask(9, 9).any()


def test_contours_enclose_parts_and_holes() -> None:
    values = np.zeros((10, 20), np.float32)
    values[2:8, 2:8] = 1
    values[4:6, 4:6] = 0
    values[3:7, 12:17] = 1
    soft = SoftMask(values, Box.from_xywh(0, 0, 160, 80))
    contours = soft.contours(80, 160)
    assert len(contours) == 3
    filled = np.zeros((80, 160), bool)
    for contour in contours:
        filled ^= polar.fill(contour, 80, 160).view(bool)
    mask = soft.mask(80, 160)
    # Contours run along the middle of the pixels at the edge.
    assert (filled & ~mask).sum() == 0
    assert filled.sum() > 0.85 * mask.sum()


def test_values_are_written_into_labels_of_any_integer() -> None:
    labels = np.zeros((6, 6), np.uint16)
    SoftMask(np.ones((2, 2), np.float32), Box.from_xywh(1, 1, 2, 2)).fill_into(labels, 40_000)
    assert (labels[1:3, 1:3] == 40_000).all() and labels.sum() == 4 * 40_000


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.75])
def test_the_bounding_box_is_finer_than_a_cell(shift: float) -> None:
    fine = np.zeros((200, 200), np.float32)
    at = round(shift * 10)
    fine[50 : 120 + at, 40 + at : 90] = 1
    cells = fine.reshape(20, 10, 20, 10).mean((1, 3))
    found = SoftMask(cells, Box.from_xywh(100, 200, 400, 400)).bounding_box()
    assert found is not None
    # Cells of 20 image pixels; a tenth of one is 2 px.
    expected = Box(100 + 2 * (40 + at), 200 + 100, 100 + 180, 200 + 2 * (120 + at))
    np.testing.assert_allclose(found.as_xyxy(), expected.as_xyxy(), atol=6)


def test_a_target_at_the_border_reaches_it() -> None:
    box = Box.from_xywh(3, 4, 10, 20)
    found = SoftMask(np.ones((4, 5), np.float32), box).bounding_box()
    assert found == box
    assert SoftMask(np.full((4, 5), 0.4, np.float32), box).bounding_box() is None
