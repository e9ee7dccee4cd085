"""Targets in metres for RViz: outlines and labels on a plane in front of the camera."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Point, Point32, PolygonStamped
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from siampolar_model.rendering.draw import color_of
from siampolar_model.results import Target, TargetState

from .camera_model import CameraModel

#: Width of an outline and height of a label in image pixels, at any depth.
LINE_PX, TEXT_PX = 3.0, 22.0

_OPACITY = {TargetState.TRACKING: 1.0, TargetState.UNCERTAIN: 0.6, TargetState.LOST: 0.25}


class Markers:
    """Makes marker arrays, and deletes the markers of targets that are gone."""

    def __init__(self) -> None:
        self._shown: set[int] = set()

    def make(
        self, results: Iterable[Target], camera: CameraModel, depth_m: float, header: Header
    ) -> MarkerArray:
        """An outline (``ns`` outline) and a label (``ns`` label) for each target, lost ones faint.

        Coordinates are metres in the header's frame, the camera's optical frame.
        """
        results = list(results)
        ids = {result.id for result in results}
        markers = []
        for id in sorted(self._shown - ids):
            markers += [plain_marker(header, ns, id, Marker.DELETE) for ns in ("outline", "label")]
        pixel_m = camera.metres_per_pixel * depth_m
        for result in results:
            markers.append(outline_marker(result, camera, depth_m, pixel_m * LINE_PX, header))
            markers.append(label_marker(result, camera, depth_m, pixel_m * TEXT_PX, header))
        self._shown = ids
        return MarkerArray(markers=markers)

    def clear(self) -> MarkerArray:
        """An array that deletes everything."""
        self._shown = set()
        return MarkerArray(markers=[Marker(action=Marker.DELETEALL)])


def polygon_message(
    results: Iterable[Target], camera: CameraModel, depth_m: float, header: Header
) -> PolygonStamped:
    """Outline in metres of the first target that is not lost; empty when there is none."""
    message = PolygonStamped(header=header)
    for result in results:
        if result.state != TargetState.LOST and len(result.polygon_xy):
            points = camera.at_depth(result.polygon_xy, depth_m)
            if np.isfinite(points).all():
                message.polygon.points = [
                    Point32(x=float(x), y=float(y), z=float(z)) for x, y, z in points
                ]
                break
    return message


def outline_marker(
    result: Target, camera: CameraModel, depth_m: float, line_m: float, header: Header
) -> Marker:
    """The outline as a closed line, flat at a depth."""
    outline = result.polygon_xy
    points = camera.at_depth(np.concatenate([outline, outline[:1]]), depth_m)
    # Strong distortion cannot be inverted far from the middle of the image.
    if len(outline) < 3 or not np.isfinite(points).all():
        return plain_marker(header, "outline", result.id, Marker.DELETE)
    marker = plain_marker(header, "outline", result.id, Marker.ADD)
    marker.type = Marker.LINE_STRIP
    marker.scale.x = line_m
    marker.color = marker_color(result)
    marker.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in points]
    return marker


def label_marker(
    result: Target,
    camera: CameraModel,
    depth_m: float,
    height_m: float,
    header: Header,
    text: str = "",
) -> Marker:
    """Above the middle of the box: ``text``, or else the target's label."""
    top = np.array([[result.box.center_xy[0], result.box.y1]])
    x, y, z = camera.at_depth(top, depth_m)[0]
    if not np.isfinite((x, y)).all():
        return plain_marker(header, "label", result.id, Marker.DELETE)
    marker = plain_marker(header, "label", result.id, Marker.ADD)
    marker.type = Marker.TEXT_VIEW_FACING
    marker.scale.z = height_m
    marker.color = marker_color(result)
    marker.text = text or result.label
    position = marker.pose.position
    position.x, position.y, position.z = float(x), float(y) - height_m, float(z)
    return marker


def plain_marker(header: Header, ns: str, id: int, action: int) -> Marker:
    # Marker ids are signed.
    marker = Marker(header=header, ns=ns, id=id & 0x7FFFFFFF, action=action)
    marker.pose.orientation.w = 1.0
    return marker


def marker_color(result: Target) -> ColorRGBA:
    blue, green, red = (value / 255 for value in color_of(result.id))
    return ColorRGBA(r=red, g=green, b=blue, a=_OPACITY[result.state])
