"""Markers and polygon: metres on a plane, colours by id, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from siampolar_model.geometry.box import Box
from siampolar_model.rendering.draw import color_of
from siampolar_model.results import Target, TargetState
from siampolar_ros.messages.camera_model import CameraModel
from siampolar_ros.messages.markers import Markers, polygon_message
from siampolar_ros.nodes.video_publisher_node import ideal_camera_info

HEADER = Header(frame_id="optical")
CAMERA = CameraModel.from_info(ideal_camera_info(640, 480, 90.0), rectified=False)


def target(id: int, state: TargetState = TargetState.TRACKING) -> Target:
    box = Box(320, 240, 480, 400)
    return Target(id, state, 0.6, 0.5, box, box.corners_xy(), 0.75)


def test_outline_in_metres_at_the_depth() -> None:
    """At 90 degrees half the image is as wide as it is deep: 160 px right are a half."""
    (outline, label) = Markers().make([target(3)], CAMERA, 2.0, HEADER).markers
    assert (outline.ns, outline.id, outline.action) == ("outline", 3, Marker.ADD)
    assert outline.type == Marker.LINE_STRIP and outline.header == HEADER
    points = [(p.x, p.y, p.z) for p in outline.points]
    assert points[0] == points[-1]  # closed
    corners = [(0, 0, 2), (1, 0, 2), (1, 1, 2), (0, 1, 2)]
    assert np.allclose(points[:-1], corners, atol=1e-6)
    assert outline.scale.x == pytest.approx(3 * 2 / 320)
    assert label.type == Marker.TEXT_VIEW_FACING and label.text == "3 tracking 75 %"
    assert (label.pose.position.x, label.pose.position.z) == pytest.approx((0.5, 2.0))
    assert label.pose.position.y < 0  # above the box
    blue, green, red = color_of(3)
    assert (outline.color.r * 255, outline.color.g * 255, outline.color.b * 255) == pytest.approx(
        (red, green, blue)
    )


def test_targets_that_are_gone_are_deleted_once_and_lost_ones_are_faint() -> None:
    markers = Markers()
    first = markers.make([target(1), target(2)], CAMERA, 1.0, HEADER).markers
    second = markers.make([target(2, TargetState.LOST)], CAMERA, 1.0, HEADER).markers
    third = markers.make([target(2, TargetState.LOST)], CAMERA, 1.0, HEADER).markers
    assert {(m.id, m.action) for m in first} == {(1, Marker.ADD), (2, Marker.ADD)}
    assert {(m.ns, m.id, m.action) for m in second} == {
        ("outline", 1, Marker.DELETE), ("label", 1, Marker.DELETE),
        ("outline", 2, Marker.ADD), ("label", 2, Marker.ADD),
    }  # fmt: skip
    assert {m.id for m in third} == {2}
    assert third[0].color.a < first[0].color.a == 1.0
    assert [m.action for m in markers.clear().markers] == [Marker.DELETEALL]


def test_a_target_without_an_outline_has_a_label_only() -> None:
    bare = replace(target(1), polygon_xy=np.zeros((0, 2), np.float32))
    outline, label = Markers().make([bare], CAMERA, 1.0, HEADER).markers
    assert outline.action == Marker.DELETE and label.action == Marker.ADD


def test_large_ids_fit_a_signed_field() -> None:
    assert Markers().make([target(2**32 - 1)], CAMERA, 1.0, HEADER).markers[0].id == 2**31 - 1


def test_polygon_of_the_first_target_that_is_not_lost() -> None:
    other = replace(target(2), polygon_xy=Box(0, 0, 320, 240).corners_xy())
    message = polygon_message([target(1, TargetState.LOST), other, target(3)], CAMERA, 4.0, HEADER)
    assert message.header == HEADER
    points = [(p.x, p.y, p.z) for p in message.polygon.points]
    assert np.allclose(points, [(-4, -3, 4), (0, -3, 4), (0, 0, 4), (-4, 0, 4)], atol=1e-5)
    for nothing in ([], [target(1, TargetState.LOST)]):
        assert polygon_message(nothing, CAMERA, 4.0, HEADER).polygon.points == []


def test_distortion_without_an_inverse_leaves_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        CameraModel, "at_depth", lambda self, points, depth: np.full((len(points), 3), np.nan)
    )
    markers = Markers().make([target(1)], CAMERA, 1.0, HEADER).markers
    assert {m.action for m in markers} == {Marker.DELETE}
    assert polygon_message([target(1)], CAMERA, 1.0, HEADER).polygon.points == []


def test_the_ideal_camera_has_the_angle_it_says() -> None:
    info = ideal_camera_info(640, 480, 60.0)
    assert isinstance(info, CameraInfo) and (info.width, info.height) == (640, 480)
    for rectified in (False, True):
        camera = CameraModel.from_info(info, rectified)
        left, right = camera.at_depth(np.array([[0, 240], [640, 240]]), 1.0)
        assert np.degrees(np.arctan2(right[0], 1) - np.arctan2(left[0], 1)) == pytest.approx(60)
