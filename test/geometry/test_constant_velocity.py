"""The filter against a textbook solution, and against motion whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.geometry.constant_velocity import ConstantVelocity


def test_one_step_by_hand() -> None:
    """One axis, 1 s: position variance 1 + 4 + 1/4, then half way by equal variances."""
    start = ConstantVelocity.start(np.array([3.0]), np.array([[1.0]]), 2.0)
    ahead = start.predict(1.0, 1.0)
    np.testing.assert_allclose(ahead.covariance, [[5.25, 4.5], [4.5, 5.0]])
    after = ahead.update(np.array([5.0]), np.array([[5.25]]))
    np.testing.assert_allclose(after.state, [4.0, 2 * 4.5 / 10.5])
    np.testing.assert_allclose(after.position_covariance, [[5.25 / 2]])
    assert ahead.distance2(np.array([5.0]), np.array([[5.25]])) == pytest.approx(4 / 10.5)


def test_it_finds_velocity_and_smooths_position_in_three_dimensions() -> None:
    rng = np.random.default_rng(1)
    velocity, covariance = np.array([0.5, -0.2, 0.8]), np.diag([0.02, 0.02, 0.05]) ** 2
    place = np.array([1.0, 0.0, 3.0])
    motion = None
    errors, raw = [], []
    for step in range(120):
        truth = place + velocity * step / 30
        measured = rng.multivariate_normal(truth, covariance)
        if motion is None:
            motion = ConstantVelocity.start(measured, covariance, 2.0)
        else:
            motion = motion.predict(1 / 30, 1.0).update(measured, covariance)
        errors.append(np.linalg.norm(motion.position - truth))
        raw.append(np.linalg.norm(measured - truth))
    assert motion is not None
    error = motion.velocity - velocity
    assert error @ np.linalg.solve(motion.velocity_covariance, error) < 12  # 3 degrees, 99 %
    assert np.linalg.norm(error) < 0.15
    assert np.mean(errors[30:]) < 0.6 * np.mean(raw[30:])
    np.testing.assert_allclose(motion.covariance, motion.covariance.T, rtol=1e-12)


def test_a_longer_gap_is_less_certain() -> None:
    start = ConstantVelocity.start(np.zeros(2), np.eye(2) * 0.01, 1.0)
    short, long = start.predict(0.1, 1.0), start.predict(1.0, 1.0)
    assert np.trace(long.position_covariance) > np.trace(short.position_covariance)
    np.testing.assert_array_equal(start.predict(0.0, 1.0).covariance, start.covariance)
