"""Positions from depth against rendered scenes whose truth is known, with the faults of sensors."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from siampolar_model.errors import FrameError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.position import (
    Pinhole,
    position_from_depth,
    position_from_height,
)

WIDTH, HEIGHT = 640, 480
CAMERA = Pinhole(fx=525.0, fy=525.0, cx=320.0, cy=240.0)


def project(point: np.ndarray) -> tuple[float, float]:
    return (
        CAMERA.fx * point[0] / point[2] + CAMERA.cx,
        CAMERA.fy * point[1] / point[2] + CAMERA.cy,
    )


def scene(
    point: np.ndarray, size: tuple[float, float], wall_m: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Box]:
    """An upright elliptic board at ``point`` before a wall: depth, true mask and box."""
    u, v = project(point)
    half = CAMERA.fx * size[0] / point[2] / 2, CAMERA.fy * size[1] / point[2] / 2
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mask = ((x - u) / half[0]) ** 2 + ((y - v) / half[1]) ** 2 < 1
    depth = np.full((HEIGHT, WIDTH), wall_m, np.float32)
    depth[mask] = point[2]
    return depth, mask, Box(u - half[0], v - half[1], u + half[0], v + half[1])


def stereo(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that grows with the square of distance, smeared edges, a shadow of holes, speckle."""
    smeared = cv2.blur(depth, (9, 9))
    edge = np.abs(cv2.Laplacian(depth, cv2.CV_32F)) > 0
    wide = cv2.dilate(edge.astype(np.uint8), np.ones((7, 7))) > 0
    noisy = np.where(wide, smeared, depth)
    noise = cv2.GaussianBlur(rng.normal(size=depth.shape), (0, 0), 3) * 10
    noisy = noisy + noise * 0.002 * depth**2
    noisy[np.roll(edge, -14, axis=1) | np.roll(edge, -8, axis=1)] = 0
    noisy[rng.random(depth.shape) < 0.15] = 0
    return noisy.astype(np.float32)


def time_of_flight(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flying pixels between surfaces, large dropouts, NaN where nothing comes back."""
    noisy = depth + rng.normal(scale=0.008, size=depth.shape)
    edge = cv2.dilate(
        (np.abs(cv2.Laplacian(depth, cv2.CV_32F)) > 0).astype(np.uint8), np.ones((5, 5))
    )
    share = rng.random(depth.shape)
    flying = depth.min() * share + depth.max() * (1 - share)
    noisy = np.where(edge > 0, flying, noisy)
    for _ in range(25):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        noisy[y : y + 20, x : x + 20] = np.nan
    return noisy.astype(np.float32)


def too_large(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An outline that is off by some pixels and shifted, as a tracker's is."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7)))
    return np.roll(grown, rng.integers(-3, 4, 2), axis=(0, 1))


@pytest.mark.parametrize("sensor", [stereo, time_of_flight])
def test_within_two_percent_of_the_distance_in_95_of_100_scenes(sensor: object) -> None:
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(100):
        z = rng.uniform(0.6, 5.0)
        point = np.array([rng.uniform(-0.3, 0.3) * z, rng.uniform(-0.25, 0.25) * z, z])
        size = rng.uniform(0.15, 0.6) * min(1, z / 1.5), rng.uniform(0.2, 0.8) * min(1, z / 1.5)
        depth, mask, box = scene(point, size, z + rng.uniform(0.4, 3.0), rng)
        found = position_from_depth(sensor(depth, rng), too_large(mask, rng), box, CAMERA)  # type: ignore[operator]
        assert found is not None
        errors.append(np.linalg.norm(found.point_m - point) / np.linalg.norm(point))
    assert np.percentile(errors, 95) <= 0.02, np.percentile(errors, [50, 90, 95, 100])


def test_size_and_covariance_fit_the_scene() -> None:
    rng = np.random.default_rng(2)
    point = np.array([0.2, -0.1, 2.0])
    depth, mask, box = scene(point, (0.4, 0.6), 4.0, rng)
    deviations = []
    for _ in range(60):
        found = position_from_depth(stereo(depth, rng), too_large(mask, rng), box, CAMERA)
        assert found is not None
        assert found.size_m == pytest.approx((0.4, 0.6), rel=0.05)
        error = found.point_m - point
        deviations.append(float(error @ np.linalg.inv(found.covariance_m2) @ error))
    # Three degrees of freedom: their mean square is 3 where the covariance is honest.
    assert 0.3 < np.mean(deviations) < 6
    assert found.distance_m == pytest.approx(np.linalg.norm(point), rel=0.02)


def test_a_mask_that_is_mostly_background_does_not_win_by_its_edge() -> None:
    rng = np.random.default_rng(3)
    depth, mask, box = scene(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0, rng)
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25)))
    found = position_from_depth(depth, grown, box, CAMERA)
    assert found is not None and found.point_m[2] == pytest.approx(1.5, rel=0.01)


def test_without_enough_depth_there_is_no_position() -> None:
    rng = np.random.default_rng(4)
    depth, mask, box = scene(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0, rng)
    assert position_from_depth(np.zeros_like(depth), mask, box, CAMERA) is None
    assert position_from_depth(np.full_like(depth, np.inf), mask, box, CAMERA) is None
    assert position_from_depth(depth, np.zeros_like(mask), box, CAMERA) is None
    few = np.where(rng.random(depth.shape) < 0.01, depth, np.nan)
    assert position_from_depth(few, mask, box, CAMERA) is None
    with pytest.raises(FrameError, match="depth image is 320x480 px, the mask 640x480"):
        position_from_depth(depth[:, :320], mask, box, CAMERA)


def test_a_known_height_gives_the_range() -> None:
    point = np.array([0.5, 0.1, 4.0])
    u, v = project(point)
    tall = CAMERA.fy * 1.8 / 4.0
    found = position_from_height(Box.from_center(u, v, 60, tall), 1.8, CAMERA)
    np.testing.assert_allclose(found.point_m, point, rtol=1e-9)
    assert found.pixels == 0 and found.size_m[1] == pytest.approx(1.8)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="height_m is"):
            position_from_height(Box(0, 0, 10, 10), bad, CAMERA)


@pytest.mark.slow
def test_four_targets_take_a_few_milliseconds() -> None:
    rng = np.random.default_rng(5)
    depth, mask, box = scene(np.array([0.0, 0.0, 1.0]), (0.5, 0.6), 3.0, rng)
    noisy = stereo(depth, rng)
    position_from_depth(noisy, mask, box, CAMERA)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        position_from_depth(noisy, mask, box, CAMERA)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.005  # a fifth of a core for four at 30 Hz is 1.7 ms each
