"""Positions from depth against rendered scenes whose truth is known, with the faults of sensors."""

from __future__ import annotations

import time

import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.geometry.depth import DepthImage
from siampolar_model.geometry.position import (
    NoPosition,
    Position,
    position_from_depth,
    position_from_height,
)
from support.depth_scene import (
    CAMERA,
    HEIGHT,
    WIDTH,
    Scene,
    Sensor,
    random_scene,
    render,
    stereo,
    time_of_flight,
    tracked_outline,
)


def measure(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> Position:
    depth = DepthImage(sensor(scene.depth_m, rng))
    return position_from_depth(depth, tracked_outline(scene, rng), scene.box, CAMERA)


@pytest.mark.parametrize("sensor", [stereo, time_of_flight])
@pytest.mark.parametrize("shape", ["board", "slanted", "ball"])
def test_within_two_percent_of_the_distance_in_95_percent_of_scenes(
    shape: str, sensor: Sensor
) -> None:
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(40):
        scene = random_scene(rng, shape)
        found = measure(scene, sensor, rng)
        errors.append(np.linalg.norm(found.point_m - scene.point_m) / found.distance_m)
    assert np.percentile(errors, 95) <= 0.02, np.percentile(errors, [50, 90, 95, 100])


def test_size_and_covariance_fit_the_scene() -> None:
    rng = np.random.default_rng(2)
    scene = render(np.array([0.2, -0.1, 2.0]), (0.4, 0.6), 4.0)
    deviations = []
    for _ in range(40):
        found = measure(scene, stereo, rng)
        assert found.size_m[:2] == pytest.approx((0.4, 0.6), rel=0.05)
        assert found.size_m[2] < 0.1
        error = found.point_m - scene.point_m
        deviations.append(float(error @ np.linalg.inv(found.covariance_m2) @ error))
    # Three degrees of freedom: their mean square is 3 where the covariance is honest.
    assert 0.3 < np.mean(deviations) < 6
    assert found.distance_m == pytest.approx(np.linalg.norm(scene.point_m), rel=0.02)


def test_the_surface_of_a_deep_object_is_followed_and_the_wall_left_out() -> None:
    scene = render(np.array([0.0, 0.0, 1.5]), (0.8, 0.5), 2.6, "slanted")
    depth = DepthImage(scene.depth_m)
    found = position_from_depth(depth, scene.outline_xy, scene.box, CAMERA)
    assert found.point_m[2] == pytest.approx(1.5, abs=0.02)
    assert 0.5 < found.size_m[2] < 0.8
    near, far = found.surface_m
    assert 1.05 < near < 1.3 and 1.7 < far < 1.95


def test_an_outline_that_is_mostly_background_does_not_win_by_its_edge() -> None:
    scene = render(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0)
    grown = (scene.outline_xy - scene.box.center_xy) * 1.25 + scene.box.center_xy
    found = position_from_depth(DepthImage(scene.depth_m), grown, scene.box, CAMERA)
    assert found.point_m[2] == pytest.approx(1.5, rel=0.01)


def test_holes_on_one_side_do_not_pull_the_position() -> None:
    scene = render(np.array([0.3, 0.2, 1.5]), (0.5, 0.5), 4.0)
    depth = scene.depth_m.copy()
    depth[:, : int(scene.box.center_xy[0])] = 0
    found = position_from_depth(DepthImage(depth), scene.outline_xy, scene.box, CAMERA)
    np.testing.assert_allclose(found.point_m, scene.point_m, atol=0.01)


def test_without_enough_depth_there_is_no_position_and_the_reason_counts_the_pixels() -> None:
    rng = np.random.default_rng(4)
    scene = render(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0)
    depth = scene.depth_m
    few = np.where(rng.random(depth.shape) < 0.01, depth, np.nan)
    for holes in (np.zeros_like(depth), np.full_like(depth, np.inf), few, -depth):
        with pytest.raises(NoPosition, match=r"of 1\d\d\d pixels inside have a depth; \d\d are"):
            position_from_depth(DepthImage(holes), scene.outline_xy, scene.box, CAMERA)
    # The points of a laser scanner are that few.
    found = position_from_depth(
        DepthImage(few), scene.outline_xy, scene.box, CAMERA, is_sparse=True
    )
    assert found.point_m[2] == pytest.approx(1.5)
    outside = scene.outline_xy + (WIDTH, 0)
    for nothing in (np.zeros((0, 2), np.float32), outside, scene.outline_xy * np.nan):
        with pytest.raises(NoPosition, match="no pixel of the image is inside its outline"):
            position_from_depth(DepthImage(depth), nothing, scene.box, CAMERA)


def test_depths_outside_the_limits_are_holes() -> None:
    scene = render(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0)
    millimetres = (scene.depth_m * 1000).astype(np.uint16)
    depth = DepthImage(millimetres, 0.001, nearest_m=0.3, farthest_m=1.4)
    with pytest.raises(NoPosition, match=r"^0 of "):
        position_from_depth(depth, scene.outline_xy, scene.box, CAMERA)
    depth = DepthImage(millimetres, 0.001, nearest_m=0.3, farthest_m=1.6)
    found = position_from_depth(depth, scene.outline_xy, scene.box, CAMERA)
    assert found.point_m[2] == pytest.approx(1.5)


def test_an_outline_that_leaves_the_image_counts_as_far_as_it_is_inside() -> None:
    scene = render(np.array([-0.85, 0.0, 1.5]), (0.5, 0.5), 5.0)
    beyond = scene.outline_xy - (40, 0)
    found = position_from_depth(DepthImage(scene.depth_m), beyond, scene.box, CAMERA)
    assert found.point_m[2] == pytest.approx(1.5)


def test_a_known_height_gives_the_range() -> None:
    point = np.array([0.5, 0.1, 4.0])
    u, v = CAMERA.fx * point[0] / point[2] + CAMERA.cx, CAMERA.fy * point[1] / point[2] + CAMERA.cy
    size = (WIDTH, HEIGHT)
    box = Box.from_center(u, v, 60, CAMERA.fy * 1.8 / 4.0)
    found = position_from_height(box, 1.8, CAMERA, size)
    np.testing.assert_allclose(found.point_m, point, rtol=1e-9)
    assert found.pixels == 0 and found.size_m[1] == pytest.approx(1.8)
    assert 0.15 < np.sqrt(found.covariance_m2[2, 2]) < 0.3  # 5 % of 4 m
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="height_m is"):
            position_from_height(box, bad, CAMERA, size)
    for cut in (Box(10, 0, 50, 100), Box(10, 400, 50, 480)):
        with pytest.raises(NoPosition, match="border cuts its height off"):
            position_from_height(cut, 1.8, CAMERA, size)


class Unknown:
    def rays(self, points_xy: np.ndarray) -> np.ndarray:
        return np.full((len(points_xy), 2), np.nan)


def test_a_place_whose_direction_is_unknown_has_no_position() -> None:
    scene = render(np.array([0.0, 0.0, 1.5]), (0.3, 0.3), 5.0)
    with pytest.raises(NoPosition, match="distortion has no inverse"):
        position_from_depth(DepthImage(scene.depth_m), scene.outline_xy, scene.box, Unknown())


@pytest.mark.slow
def test_four_targets_take_a_few_milliseconds() -> None:
    rng = np.random.default_rng(5)
    scene = render(np.array([0.0, 0.0, 1.0]), (0.5, 0.6), 3.0)
    depth = DepthImage(stereo(scene.depth_m, rng))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        position_from_depth(depth, scene.outline_xy, scene.box, CAMERA)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.005  # a fifth of a core for four at 30 Hz is 1.7 ms each
