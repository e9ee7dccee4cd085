"""Estimates as messages of this package and of vision_msgs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header

from .. import msg
from .estimator import Estimate

try:
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    DETECTIONS_AVAILABLE = True
except ImportError:
    DETECTIONS_AVAILABLE = False

_UNKNOWN = np.full(3, math.nan)
_UNKNOWN_COVARIANCE = np.full(9, math.nan)


def point_of(values: np.ndarray) -> Point:
    """A ``geometry_msgs/Point`` of (3,)."""
    x, y, z = map(float, values)
    return Point(x=x, y=y, z=z)


def vector_of(values: Iterable[float]) -> Vector3:
    """A ``geometry_msgs/Vector3`` of three numbers."""
    x, y, z = map(float, values)
    return Vector3(x=x, y=y, z=z)


def targets_message(
    estimates: Iterable[Estimate], header: Header, depth_stamp: Time
) -> msg.Targets3D:
    """All targets of one image; see msg/Targets3D.msg."""
    targets = [_target(one) for one in estimates]
    return msg.Targets3D(header=header, depth_stamp=depth_stamp, targets=targets)


def _target(estimate: Estimate) -> msg.Target3D:
    target, position, motion = estimate.target, estimate.position, estimate.motion
    message = msg.Target3D(
        id=target.id,
        state=int(target.state),
        source=int(estimate.source),
        reason=estimate.reason,
    )
    if position is None or motion is None:
        message.position = message.measured = point_of(_UNKNOWN)
        message.velocity = message.size = vector_of(_UNKNOWN)
        message.position_covariance = message.velocity_covariance = _UNKNOWN_COVARIANCE
        message.distance = math.nan
        return message
    message.position = point_of(motion.position)
    message.position_covariance = motion.position_covariance.ravel()
    message.measured = point_of(position.point_m)
    message.distance = float(np.linalg.norm(motion.position))
    message.velocity = vector_of(motion.velocity)
    message.velocity_covariance = motion.velocity_covariance.ravel()
    message.size = vector_of(position.size_m)
    message.pixels = position.pixels
    return message


def detections_message(estimates: Iterable[Estimate], header: Header) -> Any:
    """``vision_msgs/Detection3DArray`` of all targets with a position; ``id`` is the target's."""
    detections = []
    for estimate in estimates:
        position, motion = estimate.position, estimate.motion
        if position is None or motion is None:
            continue
        one = Detection3D(header=header, id=str(estimate.target.id))
        one.bbox.center.position = point_of(motion.position)
        one.bbox.center.orientation.w = 1.0
        one.bbox.size = vector_of(position.size_m)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.score = float(estimate.target.score)
        hypothesis.pose.pose = one.bbox.center
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = motion.position_covariance
        hypothesis.pose.covariance = covariance.ravel()
        one.results = [hypothesis]
        detections.append(one)
    return Detection3DArray(header=header, detections=detections)
