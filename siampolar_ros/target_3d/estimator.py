"""Targets in metres from outlines and depth, smoothed over time; does not know ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from siampolar_model.geometry.constant_velocity import ConstantVelocity
from siampolar_model.geometry.depth import DepthImage
from siampolar_model.geometry.position import (
    Camera,
    NoPosition,
    Position,
    position_from_depth,
    position_from_height,
)
from siampolar_model.results import Target, TargetState

from ..parameters.target_3d import Target3dSettings

#: Standard deviation of a target's velocity before it is known, m/s per axis.
_SPEED_SD = 1.5

#: After this many seconds without a position a target's velocity is forgotten.
_GAP_S = 1.0

#: A position that jumps by this many standard deviations and by this share of the distance, as
#: when something passes in front, is waited out for this many seconds.
_JUMP_SD, _JUMP_SHARE, _JUMP_S = 5.0, 0.1, 0.3


class Source(IntEnum):
    """How a position was found; values equal the constants in Target3D.msg."""

    NONE = 0
    DEPTH = 1
    KNOWN_HEIGHT = 2


@dataclass(frozen=True, eq=False)
class Depth:
    """The depth of one image.

    Attributes:
        image: aligned with the outlines' image.
        is_sparse: points of a laser scanner, which leave most pixels without depth.
    """

    image: DepthImage
    is_sparse: bool = False


@dataclass(frozen=True, eq=False)
class Estimate:
    """One target on one image.

    Attributes:
        reason: why there is no position, or why only from the known height; empty otherwise.
        position: of this image alone; None without one.
        motion: smoothed position and velocity; None without a position.
    """

    target: Target
    source: Source
    reason: str
    position: Position | None = None
    motion: ConstantVelocity | None = None


@dataclass(frozen=True, eq=False)
class _Past:
    """A target up to ``stamp_ns``; ``jumped_ns``: since when its positions jump, 0: they do not."""

    stamp_ns: int
    source: Source
    motion: ConstantVelocity
    jumped_ns: int = 0


class Estimator:
    """Finds every target's position and follows it. One object per camera."""

    def __init__(self) -> None:
        self._past: dict[int, _Past] = {}

    def estimate(
        self,
        targets: Sequence[Target],
        stamp_ns: int,
        image_size: tuple[int, int],
        camera: Camera | None,
        depth: Depth | None,
        problem: str,
        settings: Target3dSettings,
    ) -> list[Estimate]:
        """All targets of one image, in their order.

        Args:
            image_size: width and height in pixels.
            camera: None if it is unknown.
            problem: why there is no depth or no camera; empty if there are both.
        """
        self._past = {target.id: past for target in targets if (past := self._past.get(target.id))}
        found = []
        for target in targets:
            if target.state != TargetState.TRACKING:
                # Its outline may be where it was a while ago: the depth there is of something else.
                reason = f"the target is {target.state.name.lower()}"
                reason += f": {target.reason}" if target.reason else ""
                found.append(Estimate(target, Source.NONE, reason))
                continue
            try:
                source, reason, position = _measure(
                    target, image_size, camera, depth, problem, settings
                )
                motion = self._follow(target.id, stamp_ns, source, position, settings.acceleration)
                found.append(Estimate(target, source, reason, position, motion))
            except NoPosition as error:
                found.append(Estimate(target, Source.NONE, str(error)))
        return found

    def _follow(
        self, id: int, stamp_ns: int, source: Source, measured: Position, acceleration: float
    ) -> ConstantVelocity:
        """The motion with a measured position.

        Raises:
            NoPosition: the position jumped.
        """
        past = self._past.get(id)
        dt_s = (stamp_ns - past.stamp_ns) / 1e9 if past else 0.0
        if past is None or past.source != source or not 0 <= dt_s <= _GAP_S:
            start = ConstantVelocity.start(measured.point_m, measured.covariance_m2, _SPEED_SD)
            self._past[id] = _Past(stamp_ns, source, start)
            return start
        if dt_s == 0:  # the same image again, because of another target
            return past.motion
        ahead = past.motion.predict(dt_s, acceleration)
        distance2 = ahead.distance2(measured.point_m, measured.covariance_m2)
        jump_m = float(np.linalg.norm(measured.point_m - ahead.position))
        if distance2 > _JUMP_SD**2 and jump_m > _JUMP_SHARE * measured.distance_m:
            since_ns = past.jumped_ns or stamp_ns
            if stamp_ns - since_ns < 1e9 * _JUMP_S:
                self._past[id] = _Past(past.stamp_ns, source, past.motion, since_ns)
                raise NoPosition(
                    f"its position jumped by {jump_m:.2f} m, which counts once it has lasted "
                    f"for {_JUMP_S:g} s"
                )
            ahead = ConstantVelocity.start(measured.point_m, measured.covariance_m2, _SPEED_SD)
            self._past[id] = _Past(stamp_ns, source, ahead)
            return ahead
        motion = ahead.update(measured.point_m, measured.covariance_m2)
        self._past[id] = _Past(stamp_ns, source, motion)
        return motion


def _measure(
    target: Target,
    image_size: tuple[int, int],
    camera: Camera | None,
    depth: Depth | None,
    problem: str,
    settings: Target3dSettings,
) -> tuple[Source, str, Position]:
    """Where a target is, how that was found, and why not from depth.

    Raises:
        NoPosition: neither from depth nor from its height.
    """
    if camera is None:
        raise NoPosition(problem)
    reason = problem
    if depth is not None:
        try:
            position = position_from_depth(
                depth.image, target.polygon_xy, target.box, camera, depth.is_sparse
            )
            return Source.DEPTH, "", position
        except NoPosition as error:
            reason = str(error)
    if not settings.known_height:
        raise NoPosition(reason)
    try:
        position = position_from_height(target.box, settings.known_height, camera, image_size)
    except NoPosition as error:
        raise NoPosition(f"{reason}; {error}" if reason else str(error)) from None
    return Source.KNOWN_HEIGHT, reason, position
