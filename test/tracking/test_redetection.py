"""The windows of the whole-frame search, and how many each lost target gets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.geometry.crops import context_side
from siampolar_model.tracking.redetection import SCALES, RedetectionWindows, extra_crops

FACTOR = 1.7


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 800), st.integers(1, 800)),
    st.floats(24, 600),
    st.floats(24, 600),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
)
def test_every_place_lies_in_the_middle_of_a_window_of_every_scale(
    image_size: tuple[int, int], width: float, height: float, places: list[tuple[float, float]]
) -> None:
    windows = RedetectionWindows.covering(image_size, width, height, FACTOR)
    all_windows = [windows.window(number, 255) for number in range(len(windows))]
    for scale in SCALES:
        ours = [window for window, s in all_windows if s == scale]
        centers = np.array([(window.cx, window.cy) for window in ours])
        side = FACTOR * scale * context_side(width, height)
        assert all(window.side == pytest.approx(side) for window in ours)
        for place in places:
            away = np.abs(centers - np.multiply(place, image_size)).max(1).min()
            assert away <= ours[0].side / 4 + 1e-6


@pytest.mark.parametrize("image_size", [(640, 360), (1280, 720), (64, 48), (1, 1)])
@pytest.mark.parametrize("side", [12.0, 60.0, 400.0])
def test_a_round_shows_every_window_once(image_size: tuple[int, int], side: float) -> None:
    windows = RedetectionWindows.covering(image_size, side, side, FACTOR)
    shown = [windows.window(number, 255) for number in range(len(windows))]
    assert len(set(shown)) == len(windows)
    again = [windows.window(number, 255) for number in range(len(windows), 2 * len(windows))]
    assert again == shown


def test_the_first_few_windows_spread_over_the_frame() -> None:
    windows = RedetectionWindows.covering((1280, 720), 60, 60, FACTOR)
    early = [windows.window(number, 255)[0] for number in range(len(windows) // 6)]
    quarters = {(window.cx > 640, window.cy > 360) for window in early}
    assert len(quarters) == 4


def test_a_small_target_in_a_large_image_costs_no_memory() -> None:
    windows = RedetectionWindows.covering((7680, 4320), 8, 8, FACTOR)
    assert len(windows) > 100_000
    window, _ = windows.window(10**9, 255)
    assert 0 <= window.cx <= 7680 and 0 <= window.cy <= 4320


def test_the_target_with_most_crops_due_comes_first_and_nobody_exceeds_the_limit() -> None:
    assert extra_crops({1: 3.2, 2: 4.0, 3: 0.0}, 4) == {2: 3, 1: 1, 3: 0}
    assert extra_crops({1: 3.2, 2: 4.0}, 0) == {1: 0, 2: 0}
    assert extra_crops({1: 0.4}, 4) == {1: 0}
    assert extra_crops({}, 4) == {}
