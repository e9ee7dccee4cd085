"""A Kalman filter of a point that keeps its velocity but for random accelerations.

Every axis is accelerated independently by a force that lasts for one step (the discrete white
noise model of Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and
Navigation, 2001, section 6.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ConstantVelocity:
    """Position and velocity of a point in D dimensions; every step makes a new one.

    Attributes:
        state: float64 (2 D,), the position, then the velocity per second.
        covariance: float64 (2 D, 2 D), of ``state``.

    Example:
        >>> import numpy as np
        >>> motion = ConstantVelocity.start(np.zeros(1), 0.01 * np.eye(1), speed_sd=2.0)
        >>> for step in range(1, 30):
        ...     motion = motion.predict(0.1, 0.5).update(np.array([0.1 * step]), 0.01 * np.eye(1))
        >>> motion.position.round(1), motion.velocity.round(1)
        (array([2.9]), array([1.]))
    """

    state: np.ndarray
    covariance: np.ndarray

    @classmethod
    def start(
        cls, position: np.ndarray, covariance: np.ndarray, speed_sd: float
    ) -> ConstantVelocity:
        """At the first measured position (D,) with its covariance (D, D).

        Args:
            speed_sd: standard deviation of the unknown velocity, per axis and second.
        """
        size = len(position)
        whole = np.zeros((2 * size, 2 * size))
        whole[:size, :size] = covariance
        whole[size:, size:] = speed_sd**2 * np.eye(size)
        return cls(np.concatenate([np.asarray(position, np.float64), np.zeros(size)]), whole)

    @property
    def position(self) -> np.ndarray:
        """(D,)"""
        return self.state[: len(self.state) // 2]

    @property
    def velocity(self) -> np.ndarray:
        """(D,), per second."""
        return self.state[len(self.state) // 2 :]

    @property
    def position_covariance(self) -> np.ndarray:
        """(D, D)"""
        size = len(self.state) // 2
        return self.covariance[:size, :size]

    @property
    def velocity_covariance(self) -> np.ndarray:
        """(D, D)"""
        size = len(self.state) // 2
        return self.covariance[size:, size:]

    def predict(self, dt_s: float, acceleration_sd: float) -> ConstantVelocity:
        """The point ``dt_s`` seconds later.

        Args:
            acceleration_sd: standard deviation of the acceleration, per axis and second squared.
        """
        size = len(self.state) // 2
        move = np.eye(2 * size)
        move[:size, size:] = dt_s * np.eye(size)
        push = np.kron([[dt_s**2 / 2], [dt_s]], np.eye(size)) * acceleration_sd
        return ConstantVelocity(move @ self.state, move @ self.covariance @ move.T + push @ push.T)

    def distance2(self, measured: np.ndarray, covariance: np.ndarray) -> float:
        """Squared Mahalanobis distance of a measured position (D,) with its covariance (D, D)."""
        error = measured - self.position
        return float(error @ np.linalg.solve(self.position_covariance + covariance, error))

    def update(self, measured: np.ndarray, covariance: np.ndarray) -> ConstantVelocity:
        """With a position (D,) that was measured now, and its covariance (D, D)."""
        size = len(self.state) // 2
        gain = np.linalg.solve(
            self.position_covariance + covariance, self.covariance[:size]
        ).T  # (2 D, D)
        keep = np.eye(2 * size)
        keep[:, :size] -= gain
        # Joseph's form stays symmetric and positive whatever is rounded.
        after = keep @ self.covariance @ keep.T + gain @ covariance @ gain.T
        return ConstantVelocity(self.state + gain @ (measured - self.position), after)
