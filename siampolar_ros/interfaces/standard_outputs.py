"""The outputs that the tracker node has of its own, other than answers to inits."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PolygonStamped
from sensor_msgs.msg import CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from siampolar_model.rendering.label_image import color_image

from .. import msg
from ..messages import vision_messages
from ..messages.conversions import (
    jpeg_from_bgr,
    message_from_bgr,
    message_from_labels,
    message_from_result,
    summary_from_result,
)
from ..messages.markers import Markers, polygon_message
from .output import PICTURES, Output, Scene


class TargetsOutput(Output):
    """All targets of the image."""

    topic, type = "~/targets", msg.Targets

    def make(self, scene: Scene) -> msg.Targets:
        return message_from_result(scene.targets)


class SummaryOutput(Output):
    """The same without outlines, for ``ros2 topic echo`` and plots."""

    topic, type = "~/summary", msg.Summary

    def make(self, scene: Scene) -> msg.Summary:
        return summary_from_result(scene.targets)


class DetectionsOutput(Output):
    """Boxes of the targets that are not lost, as vision_msgs knows them."""

    topic, type = "~/detections", getattr(vision_messages, "Detection2DArray", None)

    def make(self, scene: Scene) -> Any:
        return vision_messages.message_from_results(
            scene.targets.targets, scene.header, scene.class_of
        )


class MaskOutput(Output):
    """A label image: the id of the target that covers each pixel."""

    topic, type, qos = "~/mask", Image, PICTURES

    def make(self, scene: Scene) -> Image:
        return message_from_labels(scene.labels, scene.header)


class ColorMaskOutput(Output):
    """The same in the colours of the overlay: ids are nearly black to the eye."""

    topic, type, qos = "~/mask/color", Image, PICTURES

    def make(self, scene: Scene) -> Image:
        return message_from_bgr(color_image(scene.labels, scene.targets.targets), scene.header)


class OverlayOutput(Output):
    """The image with outlines and labels."""

    topic, type, qos = "~/overlay", Image, PICTURES

    def make(self, scene: Scene) -> Image | None:
        if not scene.settings.overlay:
            return None
        return message_from_bgr(scene.overlay_bgr, scene.header)


class CompressedOverlayOutput(Output):
    """The same picture as JPEG."""

    topic, type, qos = "~/overlay/compressed", CompressedImage, PICTURES

    def make(self, scene: Scene) -> CompressedImage | None:
        if not scene.settings.overlay:
            return None
        return jpeg_from_bgr(scene.overlay_bgr, scene.header)


class PolygonOutput(Output):
    """The outline of the first target that is not lost, in metres."""

    topic, type, needs_camera = "~/polygon", PolygonStamped, True

    def make(self, scene: Scene) -> PolygonStamped:
        assert scene.camera is not None
        depth_m = scene.settings.marker_depth
        return polygon_message(scene.targets.targets, scene.camera, depth_m, scene.header)


class MarkersOutput(Output):
    """Outline and label of every target, in metres."""

    topic, type, needs_camera = "~/markers", MarkerArray, True

    def __init__(self) -> None:
        self._markers = Markers()

    def make(self, scene: Scene) -> MarkerArray:
        assert scene.camera is not None
        depth_m = scene.settings.marker_depth
        return self._markers.make(scene.targets.targets, scene.camera, depth_m, scene.header)

    def last(self) -> MarkerArray:
        return self._markers.clear()


def standard_outputs() -> list[Output]:
    """New instances of all of them; ``~/detections`` only where vision_msgs is installed."""
    outputs: list[Output] = [
        TargetsOutput(),
        SummaryOutput(),
        MaskOutput(),
        ColorMaskOutput(),
        OverlayOutput(),
        CompressedOverlayOutput(),
        PolygonOutput(),
        MarkersOutput(),
    ]
    if vision_messages.AVAILABLE:
        outputs.append(DetectionsOutput())
    return outputs
