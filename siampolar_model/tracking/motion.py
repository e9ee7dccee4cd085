"""Where a target will be on the next image: a Kalman filter of its middle and its velocity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..geometry.box import Box

#: Standard deviation of a measured place, and of the velocity of a target that has just started,
#: per second; both as multiples of the target's size, the root of its box's area.
_MEASURED, _FIRST_VELOCITY = 0.06, 2.0

#: Root of the spectral density of the acceleration, in sizes per second to the power 1.5.
_ACCELERATION = 2.0

#: For this many seconds what is not seen is expected to go straight on; then its velocity falls to
#: 1/e in this many more, because what is hidden must not be expected far away.
_STRAIGHT_S, _SLOWING_S = 0.25, 0.5


@dataclass(frozen=True)
class Motion:
    """What is known of the motion of one thing; x and y are independent and equally certain.

    Attributes:
        center_xy: expected middle, image pixels.
        velocity_xy: pixels per second.
        size_px: root of the box's area, which all noise is relative to.
        place_var, cross_var, velocity_var: covariance of place and velocity, per axis, in px^2,
            px^2/s and px^2/s^2.
        unseen_s: seconds since it was last seen.
    """

    center_xy: tuple[float, float]
    velocity_xy: tuple[float, float]
    size_px: float
    place_var: float
    cross_var: float
    velocity_var: float
    unseen_s: float = 0.0

    @classmethod
    def starting(cls, box: Box) -> Motion:
        """The motion of something that was seen for the first time."""
        size = math.sqrt(box.area)
        spread = (size * _MEASURED) ** 2, 0.0, (size * _FIRST_VELOCITY) ** 2
        return cls(box.center_xy, (0.0, 0.0), size, *spread)

    def after(self, elapsed_s: float) -> Motion:
        """What is expected some seconds later, without having seen anything."""
        straight_s = min(elapsed_s, max(_STRAIGHT_S - self.unseen_s, 0.0))
        motion = self._moved(straight_s, 1.0, straight_s)
        slowing_s = elapsed_s - straight_s
        if slowing_s > 0:
            slower = math.exp(-slowing_s / _SLOWING_S)
            motion = motion._moved(slowing_s, slower, _SLOWING_S * (1 - slower))
        return motion

    def _moved(self, elapsed_s: float, slower: float, reach_s: float) -> Motion:
        """The motion later, at ``slower`` times the velocity, ``reach_s`` times the velocity on."""
        noise = (self.size_px * _ACCELERATION) ** 2 * elapsed_s
        (x, y), (vx, vy) = self.center_xy, self.velocity_xy
        return Motion(
            (x + vx * reach_s, y + vy * reach_s),
            (vx * slower, vy * slower),
            self.size_px,
            self.place_var
            + reach_s * (2 * self.cross_var + reach_s * self.velocity_var)
            + noise * elapsed_s**2 / 3,
            slower * (self.cross_var + reach_s * self.velocity_var) + noise * elapsed_s / 2,
            slower**2 * self.velocity_var + noise,
            self.unseen_s + elapsed_s,
        )

    def seen(self, box: Box) -> Motion:
        """The motion after the thing was seen in a box, on the image that it is expected on."""
        size = math.sqrt(box.area)
        total = self.place_var + (size * _MEASURED) ** 2
        place_gain, velocity_gain = self.place_var / total, self.cross_var / total
        (x, y), (vx, vy) = self.center_xy, self.velocity_xy
        dx, dy = box.center_xy[0] - x, box.center_xy[1] - y
        return Motion(
            (x + dx * place_gain, y + dy * place_gain),
            (vx + dx * velocity_gain, vy + dy * velocity_gain),
            size,
            self.place_var * (1 - place_gain),
            self.cross_var * (1 - place_gain),
            self.velocity_var - velocity_gain * self.cross_var,
        )

    def surprise(self, box: Box, spread: float) -> float:
        """How unexpected a box is: the negative logarithm of its likelihood, in units of the size.

        0 is a box at the expected place of something that has just been seen.

        Args:
            spread: standard deviation of a measured place, as a multiple of the size; larger than
                the filter's own where different crops measure the same thing.
        """
        dx, dy = box.center_xy[0] - self.center_xy[0], box.center_xy[1] - self.center_xy[1]
        least = (self.size_px * spread) ** 2
        variance = self.place_var + least
        return (dx * dx + dy * dy) / (2 * variance) + math.log(variance / least)
