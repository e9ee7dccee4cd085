"""What the tracker node publishes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PolygonStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from siampolar_model.errors import FrameError
from siampolar_model.rendering.draw import draw
from siampolar_model.rendering.label_image import label_image
from siampolar_model.session.requests import InitResult
from siampolar_model.session.session import Targets

from .. import msg
from ..messages import vision_messages
from ..messages.camera_model import CameraError, CameraModel
from ..messages.conversions import (
    jpeg_from_bgr,
    message_from_answer,
    message_from_bgr,
    message_from_labels,
    message_from_result,
)
from ..messages.markers import Markers, polygon_message
from ..parameters.settings import OutputSettings

_RELIABLE = QoSProfile(depth=10)
#: Large messages: a slow viewer must not hold many of them.
_PICTURES = QoSProfile(depth=2)


class Outputs:
    """Publishers of the tracker node; usable from any thread, one at a time.

    Every message is made only while somebody listens, which is asked for each image: Humble has
    no event for a new subscriber.

    Args:
        settings: asked for each image.
        class_of: class id of a target, for ``~/detections``; empty: unknown.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], OutputSettings],
        class_of: Callable[[int], str] = lambda id: "",
    ) -> None:
        self._node = node
        self._settings = settings
        self._class_of = class_of
        self._camera_info: CameraInfo | None = None
        self._camera: tuple[CameraInfo, bool, CameraModel] | None = None
        self._made = Markers()
        self._publishers: list[Any] = []
        self._init_result = self._publish(msg.InitResult, "~/init_result", _RELIABLE)
        self._targets = self._publish(msg.Targets, "~/targets", _RELIABLE)
        self._mask = self._publish(Image, "~/mask", _PICTURES)
        self._overlay = self._publish(Image, "~/overlay", _PICTURES)
        self._overlay_jpeg = self._publish(CompressedImage, "~/overlay/compressed", _PICTURES)
        self._polygon = self._publish(PolygonStamped, "~/polygon", _RELIABLE)
        self._markers = self._publish(MarkerArray, "~/markers", _RELIABLE)
        self._detections: Any = None
        if vision_messages.AVAILABLE:
            kind = vision_messages.Detection2DArray
            self._detections = self._publish(kind, "~/detections", _RELIABLE)

    def set_camera_info(self, info: CameraInfo) -> None:
        """The calibration that polygon and markers use from now on."""
        self._camera_info = info

    def result(self, result: Targets) -> None:
        """Publish everything that somebody listens to."""
        header, results = result.image.header, result.targets
        if _heard(self._targets):
            self._targets.publish(message_from_result(result))
        if self._detections is not None and _heard(self._detections):
            message = vision_messages.message_from_results(results, header, self._class_of)
            self._detections.publish(message)
        if _heard(self._mask):
            labels = label_image(results, *result.image.size)
            self._mask.publish(message_from_labels(labels, header))
        settings = self._settings()
        if settings.overlay and (_heard(self._overlay) or _heard(self._overlay_jpeg)):
            self._publish_overlay(result)
        if _heard(self._polygon) or _heard(self._markers):
            self._publish_metres(result, settings)

    def answer(self, answer: InitResult) -> None:
        self._init_result.publish(message_from_answer(answer))

    def close(self) -> None:
        """Delete the markers that are shown and end the publishers."""
        if _heard(self._markers):
            self._markers.publish(self._made.clear())
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)

    def _publish(self, kind: Any, topic: str, qos: QoSProfile) -> Any:
        self._publishers.append(self._node.create_publisher(kind, topic, qos))
        return self._publishers[-1]

    def _publish_overlay(self, result: Targets) -> None:
        try:
            picture: np.ndarray = result.image.frame.to_bgr()
        except FrameError as error:  # compressed and damaged, and nothing is followed on it
            self._warn(f"no overlay: {error}")
            return
        draw(picture, result.targets)
        if _heard(self._overlay):
            self._overlay.publish(message_from_bgr(picture, result.image.header))
        if _heard(self._overlay_jpeg):
            self._overlay_jpeg.publish(jpeg_from_bgr(picture, result.image.header))

    def _publish_metres(self, result: Targets, settings: OutputSettings) -> None:
        camera = self._camera_of(result, settings.image_is_rectified)
        if camera is None:
            return
        where = (camera, settings.marker_depth, result.image.header)
        if _heard(self._polygon):
            self._polygon.publish(polygon_message(result.targets, *where))
        if _heard(self._markers):
            self._markers.publish(self._made.make(result.targets, *where))

    def _camera_of(self, result: Targets, rectified: bool) -> CameraModel | None:
        """The camera of this image; None, which is said: there is none that fits."""
        info = self._camera_info
        if info is None:
            return None
        made = self._camera
        if made is None or made[0] is not info or made[1] != rectified:
            try:
                made = self._camera = (info, rectified, CameraModel.from_info(info, rectified))
            except CameraError as error:
                self._warn(f"no polygon and no markers: {error}")
                return None
        camera = made[2]
        if camera.size != result.image.size:
            theirs, ours = ("x".join(map(str, size)) for size in (camera.size, result.image.size))
            self._warn(
                f"no polygon and no markers: the camera info is of {theirs} px, the image {ours}"
            )
            return None
        return camera

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=10.0)


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count() > 0)
