"""Polar geometry: fill without area bias, rays that overlap best, clipping."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.geometry import polar


def disc(cx: float, cy: float, radius: float, n: int = 360) -> np.ndarray:
    return polar.polygon((cx, cy), np.full(n, radius))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a > 0, b > 0
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_rays_start_at_plus_x_and_turn_clockwise() -> None:
    points = polar.polygon((10.0, 20.0), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(points, [[11, 20], [10, 22], [7, 20], [10, 16]], atol=1e-5)


def test_fill_has_no_area_bias_on_discs() -> None:
    rng = np.random.default_rng(0)
    for radius in (4.0, 8.0, 20.0, 60.0):
        errors = []
        for _ in range(100):
            cx, cy = 80 + rng.random(2)
            area = polar.fill(disc(cx, cy, radius), 160, 160).sum()
            errors.append(area / (np.pi * radius**2) - 1)
        # Bias of the outline's position in pixels: d(area) / circumference.
        assert abs(np.mean(errors)) * radius / 2 < 0.03, radius


@settings(max_examples=80, deadline=None)
@given(x=st.integers(0, 30), y=st.integers(0, 30), w=st.integers(3, 30), h=st.integers(3, 30))
def test_fill_paints_exactly_the_pixels_of_a_box(x: int, y: int, w: int, h: int) -> None:
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], float)
    expected = np.zeros((64, 64), np.uint8)
    expected[y : y + h, x : x + w] = 1
    for outline in (corners, corners[::-1]):
        np.testing.assert_array_equal(polar.fill(outline, 64, 64), expected)


def test_fill_survives_far_and_degenerate_outlines() -> None:
    far = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    assert polar.fill(far, 20, 30).all()
    assert not polar.fill(np.zeros((0, 2)), 20, 30).any()
    assert not polar.fill(np.array([[1.0, 1.0], [9.0, 9.0]]), 20, 30).any()


@settings(max_examples=60, deadline=None)
@given(
    cx=st.floats(-20, 120), cy=st.floats(-20, 80), radius=st.floats(3, 70), seed=st.integers(0, 99)
)
def test_clipped_polygon_lies_inside_and_fills_the_same(
    cx: float, cy: float, radius: float, seed: int
) -> None:
    rays = radius * np.random.default_rng(seed).uniform(0.5, 1.0, 72)
    outline = polar.polygon((cx, cy), rays)
    clipped = polar.clip_polygon(outline, 100, 60)
    if len(clipped):
        assert clipped.min() >= -1e-3
        assert clipped[:, 0].max() <= 100 + 1e-3 and clipped[:, 1].max() <= 60 + 1e-3
    whole, part = polar.fill(outline, 60, 100), polar.fill(clipped, 60, 100)
    # Rounding of vertices may move single border pixels.
    assert np.count_nonzero(whole != part) <= 0.02 * whole.sum() + 40


def test_best_overlap_rays_recover_a_disc() -> None:
    mask = polar.fill(disc(64.3, 60.7, 30), 128, 128)
    profiles = polar.sample_profiles(mask, np.array([[64.3, 60.7]]), 72, 100, 0.5)
    rays, quality = polar.best_overlap_rays(profiles, 0.5, float(mask.sum()))
    assert np.abs(rays - 30).max() < 1.0
    assert quality[0] > 0.97
    drawn = polar.fill(polar.polygon((64.3, 60.7), rays[0]), 128, 128)
    assert iou(drawn, mask) == pytest.approx(float(quality[0]), abs=0.03)


def test_best_overlap_beats_the_farthest_point_on_a_ring_with_an_island() -> None:
    mask = polar.fill(disc(64, 64, 20), 128, 128)
    cv2.circle(mask, (118, 64), 4, 1, -1)  # a far speck on one side
    profiles = polar.sample_profiles(mask, np.array([[64.0, 64.0]]), 72, 140, 0.5)
    best, quality = polar.best_overlap_rays(profiles, 0.5, float(mask.sum()))
    # What the paper trains: the farthest mask point on each ray.
    farthest = (profiles.shape[2] - (profiles[..., ::-1] >= 0.5).argmax(2)) * 0.5
    masks = [polar.fill(polar.polygon((64, 64), r[0]), 128, 128) for r in (best, farthest)]
    assert iou(masks[0], mask) > iou(masks[1], mask) + 0.05
    assert best[0, 0] < 22 and farthest[0, 0] > 50
    assert 0.9 < quality[0] <= 1.0


def test_rays_from_outside_the_mask_are_short_and_worthless() -> None:
    mask = np.zeros((64, 64), np.uint8)
    rays, quality = polar.best_overlap_rays(
        polar.sample_profiles(mask, np.array([[32.0, 32.0]]), 36, 40, 1.0), 1.0, 0.0
    )
    assert (rays == polar.MIN_RAY_PX).all() and quality[0] == 0
