"""Targets for RViz at their true depth: outline, label with the distance, and velocity."""

from __future__ import annotations

from collections.abc import Sequence

from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from ..messages.camera_model import CameraModel
from ..messages.markers import (
    LINE_PX,
    TEXT_PX,
    label_marker,
    marker_color,
    outline_marker,
    plain_marker,
)
from .estimator import Estimate
from .messages import point_of

_NAMESPACES = ("outline", "label", "velocity")

#: The arrow of the velocity ends where the target would be after this many seconds.
_AHEAD_S = 1.0

#: Width of its shaft, head and length of its head, in image pixels at the target's depth.
_ARROW_PX = (4.0, 10.0, 10.0)


class Markers3D:
    """Makes marker arrays, and deletes the markers of targets that have no position any more."""

    def __init__(self) -> None:
        self._shown: set[int] = set()

    def make(
        self, estimates: Sequence[Estimate], camera: CameraModel | None, header: Header
    ) -> MarkerArray:
        """Three markers for each target with a position, in the header's frame."""
        markers, shown = [], set()
        for one in estimates:
            if one.position is None or one.motion is None or camera is None:
                continue
            shown.add(one.target.id)
            depth_m = float(one.motion.position[2])
            pixel_m = camera.metres_per_pixel * depth_m
            text = f"{one.target.id}: {one.position.distance_m:.2f} m"
            markers += [
                outline_marker(one.target, camera, depth_m, LINE_PX * pixel_m, header),
                label_marker(one.target, camera, depth_m, TEXT_PX * pixel_m, header, text),
                _velocity(one, pixel_m, header),
            ]
        for id in sorted(self._shown - shown):
            markers += [plain_marker(header, ns, id, Marker.DELETE) for ns in _NAMESPACES]
        self._shown = shown
        return MarkerArray(markers=markers)


def _velocity(one: Estimate, pixel_m: float, header: Header) -> Marker:
    assert one.motion is not None
    marker = plain_marker(header, "velocity", one.target.id, Marker.ADD)
    marker.type = Marker.ARROW
    scale = marker.scale
    scale.x, scale.y, scale.z = (pixels * pixel_m for pixels in _ARROW_PX)
    marker.color = marker_color(one.target)
    start = one.motion.position
    marker.points = [point_of(start), point_of(start + _AHEAD_S * one.motion.velocity)]
    return marker
