"""The publishers of the node ``target_3d``; all but ``~/targets`` only while somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from siampolar_model.geometry.depth import DepthImage

from .. import msg
from ..messages.camera_model import CameraModel
from ..parameters.target_3d import Target3dSettings
from . import frames, messages
from .cloud import cloud_message
from .estimator import Estimate
from .frames import Transform, facing, quaternion_message, tf_message
from .markers import Markers3D
from .masked_cloud import target_points
from .messages import detections_message, point_of, targets_message

#: tf2's broadcasters keep as many.
_TF_QOS = QoSProfile(depth=100)


class Outputs3D:
    """Publishes the targets of each image.

    Args:
        look_up: the transform from the camera's frame to ``pose_frame`` at an image's stamp, or
            None if there is none, which has been reported.
    """

    def __init__(self, node: Node, look_up: Callable[[str, Header], Transform | None]) -> None:
        self._look_up = look_up
        self._markers_made = Markers3D()
        qos = QoSProfile(depth=10)
        self._targets = node.create_publisher(msg.Targets3D, "~/targets", qos)
        self._pose = node.create_publisher(PoseStamped, "~/pose", qos)
        self._markers = node.create_publisher(MarkerArray, "~/markers", qos)
        self._cloud = node.create_publisher(PointCloud2, "~/cloud", qos)
        self._tf: Any = None
        self._detections: Any = None
        if frames.TF_AVAILABLE:
            self._tf = node.create_publisher(frames.TFMessage, "/tf", _TF_QOS)
        if messages.DETECTIONS_AVAILABLE:
            kind = messages.Detection3DArray
            self._detections = node.create_publisher(kind, "~/detections", qos)

    def publish(
        self,
        estimates: Sequence[Estimate],
        header: Header,
        depth_stamp: Time,
        depth: DepthImage | None,
        camera: CameraModel | None,
        settings: Target3dSettings,
    ) -> None:
        """The targets of one image, in the frame and with the stamp of its header."""
        self._targets.publish(targets_message(estimates, header, depth_stamp))
        if self._detections is not None and _heard(self._detections):
            self._detections.publish(detections_message(estimates, header))
        if self._tf is not None and settings.frame_prefix:
            places = [
                (one.target.id, one.motion.position) for one in estimates if one.motion is not None
            ]
            if places:
                self._tf.publish(tf_message(places, header, settings.frame_prefix))
        if _heard(self._markers):
            self._markers.publish(self._markers_made.make(estimates, camera, header))
        if _heard(self._cloud) and depth is not None and camera is not None:
            self._cloud.publish(cloud_message(target_points(estimates, depth, camera), header))
        # Without a subscriber too, so that a missing transform is reported before it is needed.
        self._publish_pose(estimates, header, settings)

    def _publish_pose(
        self, estimates: Sequence[Estimate], header: Header, settings: Target3dSettings
    ) -> None:
        # "The first" stays the first while it is not seen: nobody wants to follow another one then.
        wanted = settings.target_id or min((one.target.id for one in estimates), default=0)
        motion = next((one.motion for one in estimates if one.target.id == wanted), None)
        if motion is None:
            return
        place, axes = motion.position, facing(motion.position)
        pose = PoseStamped(header=header)
        if settings.pose_frame and settings.pose_frame != header.frame_id:
            transform = self._look_up(settings.pose_frame, header)
            if transform is None:
                return
            place, axes = transform(place), transform.rotation @ axes
            pose.header = Header(stamp=header.stamp, frame_id=settings.pose_frame)
        pose.pose.position = point_of(np.asarray(place))
        pose.pose.orientation = quaternion_message(axes)
        self._pose.publish(pose)


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count() > 0)
