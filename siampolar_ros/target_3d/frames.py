"""Frames of targets, and looking up other frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from siampolar_model.errors import SiampolarError

try:
    from tf2_msgs.msg import TFMessage

    TF_AVAILABLE = True
except ImportError:
    TF_AVAILABLE = False

#: A transform that has not come for an image's stamp may be this many seconds older.
_OLDER_S = 0.2


class TransformError(SiampolarError, RuntimeError):
    """A transform that cannot be had; the message names both frames and what to do."""


@dataclass(frozen=True, eq=False)
class Transform:
    """``rotation @ point + translation``: float64 (3, 3) and (3,), metres."""

    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, points_m: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the other frame."""
        moved: np.ndarray = points_m @ self.rotation.transpose() + self.translation
        return moved


class Transforms:
    """Listens to tf, through the package tf2_ros.

    Raises:
        TransformError: tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        try:
            import tf2_ros
        except ImportError:
            raise TransformError(
                "changing frames needs the package tf2_ros: sudo apt-get install "
                "ros-$ROS_DISTRO-tf2-ros-py"
            ) from None
        self._tf2 = tf2_ros
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def look_up(self, target: str, source: str, stamp: Any) -> Transform:
        """From one frame to another at a ``builtin_interfaces/Time``.

        Raises:
            TransformError: there is none, or only one of another time.
        """
        wanted = Time.from_msg(stamp)
        try:
            try:
                found = self._buffer.lookup_transform(target, source, wanted)
            except self._tf2.ExtrapolationException:
                # Odometry often comes a little later than the image: the newest has to do.
                found = self._buffer.lookup_transform(target, source, Time())
                late_s = abs((wanted - Time.from_msg(found.header.stamp)).nanoseconds) / 1e9
                if late_s > _OLDER_S:
                    raise TransformError(
                        f"the newest transform from {source} to {target} is {late_s:.2f} s away "
                        "from the image"
                    ) from None
        except self._tf2.TransformException as error:
            text = " ".join(str(error).split())
            raise TransformError(f"no transform from {source} to {target}: {text}") from None
        turn, move = found.transform.rotation, found.transform.translation
        return Transform(
            matrix_of(np.array([turn.x, turn.y, turn.z, turn.w])),
            np.array([move.x, move.y, move.z]),
        )


def facing(point_m: np.ndarray) -> np.ndarray:
    """Axes of a target, float64 (3, 3) by columns, in the camera's optical frame.

    x points from the camera through the target, y to the left, z up, as for a body in REP 103:
    turned into the frame of a level robot, its yaw is the direction to the target.
    """
    x = point_m / max(float(np.linalg.norm(point_m)), 1e-9)
    up = np.array([0.0, -1.0, 0.0])
    z = up - (up @ x) * x
    if np.linalg.norm(z) < 1e-6:  # straight above or below the camera
        z = np.array([0.0, 0.0, 1.0])
    z /= np.linalg.norm(z)
    return np.column_stack([x, np.cross(z, x), z])


def quaternion_of(rotation: np.ndarray) -> np.ndarray:
    """(x, y, z, w) of a rotation matrix (3, 3)."""
    values, vectors = np.linalg.eigh(_k_matrix(rotation))
    found: np.ndarray = vectors[:, np.argmax(values)]
    return found if found[3] >= 0 else -found


def _k_matrix(r: np.ndarray) -> np.ndarray:
    """Its eigenvector of the largest eigenvalue is the quaternion (Bar-Itzhack, 2000)."""
    return np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of (x, y, z, w)."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_message(rotation: np.ndarray) -> Quaternion:
    x, y, z, w = map(float, quaternion_of(rotation))
    return Quaternion(x=x, y=y, z=z, w=w)


def tf_message(places: Iterable[tuple[int, np.ndarray]], header: Header, prefix: str) -> Any:
    """A ``tf2_msgs/TFMessage`` with the frame ``<prefix><id>`` of each target at its place (3,)."""
    transforms = []
    for id, point_m in places:
        one = TransformStamped(header=header, child_frame_id=f"{prefix}{id}")
        x, y, z = map(float, point_m)
        one.transform.translation = Vector3(x=x, y=y, z=z)
        one.transform.rotation = quaternion_message(facing(point_m))
        transforms.append(one)
    return TFMessage(transforms=transforms)
