"""The Kalman filter of a target's middle and velocity."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.tracking.motion import Motion


def followed(speed: tuple[float, float], gaps_s: list[float], noise_px: float = 0.0) -> Motion:
    """The motion of a 40x40 box that was seen at constant speed, first at (100, 100)."""
    rng, place = np.random.default_rng(0), np.array([100.0, 100.0])
    motion = Motion.starting(Box.from_center(*place, 40, 40))
    for gap_s in gaps_s:
        place = place + np.multiply(speed, gap_s)
        seen = place + rng.normal(0, noise_px, 2)
        motion = motion.after(gap_s).seen(Box.from_center(float(seen[0]), float(seen[1]), 40, 40))
    return motion


@pytest.mark.parametrize("gaps_s", [[1 / 30] * 60, [1 / 10] * 20, [1 / 30, 0.1, 0.2] * 8])
def test_the_velocity_is_in_pixels_per_second_at_any_rate(gaps_s: list[float]) -> None:
    motion = followed((90.0, -30.0), gaps_s)
    assert motion.velocity_xy == pytest.approx((90, -30), rel=0.1)


def test_noise_of_the_place_is_smoothed() -> None:
    motion = followed((60.0, 0.0), [1 / 30] * 60, noise_px=2.0)
    assert motion.velocity_xy == pytest.approx((60, 0), abs=25)  # two images alone: 85 px/s off
    assert motion.center_xy == pytest.approx((220, 100), abs=2.5)


def test_what_is_not_seen_goes_on_and_then_stops() -> None:
    motion = followed((60.0, 0.0), [1 / 30] * 60)
    x, vx = motion.center_xy[0], motion.velocity_xy[0]
    soon = motion.after(0.2)
    assert x + 0.7 * 0.2 * vx < soon.center_xy[0] <= x + 0.2 * vx + 1e-6
    late = motion.after(10.0)
    assert late.center_xy[0] < x + 0.8 * vx and abs(late.velocity_xy[0]) < 1


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_two_short_times_are_one_long_time(seconds: float) -> None:
    motion = followed((60.0, 20.0), [1 / 30] * 20)
    once, twice = motion.after(2 * seconds), motion.after(seconds).after(seconds)
    assert once.center_xy == pytest.approx(twice.center_xy)
    assert once.velocity_xy == pytest.approx(twice.velocity_xy)


def test_the_longer_it_is_not_seen_the_less_surprising_is_a_place_far_away() -> None:
    motion = followed((0.0, 0.0), [1 / 30] * 20)
    far, near = Box.from_center(200, 100, 40, 40), Box.from_center(100, 100, 40, 40)
    far_away = [motion.after(seconds).surprise(far, 0.2) for seconds in (0.03, 0.3, 1.0)]
    assert far_away == sorted(far_away, reverse=True)
    nearby = [motion.after(seconds).surprise(near, 0.2) for seconds in (0.03, 0.3, 1.0)]
    assert nearby == sorted(nearby) and nearby[0] == pytest.approx(0, abs=0.5)


def test_a_covariance_stays_a_covariance() -> None:
    motion = Motion.starting(Box(0, 0, 10, 10))
    rng = np.random.default_rng(1)
    for _ in range(500):
        motion = motion.after(float(rng.uniform(0.001, 5)))
        if rng.random() < 0.7:
            motion = motion.seen(Box.from_center(*rng.uniform(0, 500, 2), *rng.uniform(2, 300, 2)))
        assert motion.place_var > 0 and motion.velocity_var > 0
        assert abs(motion.cross_var) < math.sqrt(motion.place_var * motion.velocity_var)
