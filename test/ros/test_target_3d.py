"""The node target_3d on rendered scenes: what it publishes, and what it says where it cannot."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker

from siampolar_ros.messages.conversions import stamp_from_ns, stamp_to_ns
from siampolar_ros.msg import Target3D
from siampolar_ros.runtime.run import StartError
from siampolar_ros.target_3d import frames, messages
from siampolar_ros.target_3d.cloud import POINT, cloud_message
from support.depth_scene import (
    CAMERA,
    HEIGHT,
    WIDTH,
    Scene,
    Sensor,
    render,
    stereo,
    time_of_flight,
    tracked_outline,
)
from support.target_3d_rig import (
    LOST,
    OPTICAL,
    UNCERTAIN,
    Rig3D,
    camera_info,
    depth_message,
    rig_3d,
    target,
)

PERIOD_NS = 33_333_333

Make = Callable[..., Rig3D]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the rig with parameters, calibrated unless told otherwise."""
    with ExitStack() as stack:

        def started(calibrated: bool = True, **parameters: Any) -> Rig3D:
            context: AbstractContextManager[Rig3D] = rig_3d(monkeypatch, **parameters)
            rig = stack.enter_context(context)
            if calibrated:
                rig.calibrate()
            return rig

        yield started


def board(z: float = 2.0, x: float = 0.0) -> Scene:
    return render(np.array([x, 0.1, z]), (0.5, 0.7), z + 1.5)


def place(one: Target3D) -> np.ndarray:
    return np.array([one.position.x, one.position.y, one.position.z])


# ---- where targets are ---------------------------------------------------------------------


@pytest.mark.parametrize("sensor", [stereo, time_of_flight])
def test_a_moving_target_is_followed_within_two_percent(make: Make, sensor: Sensor) -> None:
    """It walks away by 0.6 m/s and to the right by 0.3 m/s."""
    rig = make()
    rng = np.random.default_rng(5)
    errors = []
    for step in range(30):
        seconds = step * PERIOD_NS / 1e9
        scene = board(1.5 + 0.6 * seconds, -0.2 + 0.3 * seconds)
        measured = sensor(scene.depth_m, rng)
        millimetres = np.nan_to_num(measured * 1000).clip(0, 65535).astype(np.uint16)
        outline = tracked_outline(scene, rng)
        stamp_ns = 1_000_000_000 + step * PERIOD_NS
        depth = depth_message(measured if step % 2 else millimetres, stamp_ns)
        result = rig.image(stamp_ns, [target(scene, outline=outline)], depth)
        (found,) = result.targets
        assert (found.id, found.source, found.reason) == (1, Target3D.DEPTH, "")
        assert result.depth_stamp == result.header.stamp and result.header.frame_id == OPTICAL
        errors.append(np.linalg.norm(place(found) - scene.point_m) / found.distance)
    assert np.percentile(errors, 95) <= 0.02, np.percentile(errors, [50, 90, 95, 100])
    velocity = np.array([found.velocity.x, found.velocity.y, found.velocity.z])
    error = velocity - (0.3, 0.0, 0.6)
    covariance = np.reshape(found.velocity_covariance, (3, 3))
    assert error @ np.linalg.solve(covariance, error) < 14  # 3 degrees of freedom
    assert np.linalg.norm(error) < 0.35
    assert (found.size.x, found.size.y) == pytest.approx((0.5, 0.7), rel=0.05)
    assert found.pixels > 1000
    # The pose of the first target is on its own topic.
    rig.wait(lambda: len(rig.poses) == 30)
    pose = rig.poses[-1].pose.position
    assert (pose.x, pose.y, pose.z) == pytest.approx(tuple(place(found)))


def test_a_target_that_is_not_tracked_has_no_position(make: Make) -> None:
    rig = make()
    scene = board()
    depth = depth_message(scene.depth_m, 1_000)
    result = rig.image(1_000, [target(scene, 1, LOST), target(scene, 2, UNCERTAIN)], depth)
    for found, word in zip(result.targets, ("lost", "uncertain"), strict=True):
        assert found.source == Target3D.NONE and found.reason == f"the target is {word}"
        assert np.isnan(place(found)).all() and np.isnan(found.distance)
        assert np.isnan(found.position_covariance).all() and np.isnan(found.velocity.x)
    assert rig.image(2_000, []).targets == []
    assert rig.poses == []


def test_the_first_target_stays_the_first_while_it_is_lost(make: Make) -> None:
    rig = make()
    left, right = board(2.0, -0.4), board(2.0, 0.4)
    both = np.minimum(left.depth_m, right.depth_m)
    rig.image(1_000, [target(left, 3), target(right, 5)], depth_message(both, 1_000))
    rig.wait(lambda: len(rig.poses) == 1)
    assert rig.poses[0].pose.position.x == pytest.approx(-0.4, abs=0.02)
    rig.image(2_000, [target(left, 3, LOST), target(right, 5)], depth_message(both, 2_000))
    rig.image(3_000, [target(right, 5)], depth_message(both, 3_000))  # 3 was removed
    rig.wait(lambda: len(rig.poses) == 2)
    assert [stamp_to_ns(pose.header.stamp) for pose in rig.poses] == [1_000, 3_000]
    assert rig.poses[1].pose.position.x == pytest.approx(0.4, abs=0.02)


def test_a_known_height_stands_in_where_there_is_no_depth_and_says_so(make: Make) -> None:
    rig = make(known_height=0.7)
    scene = board(3.0)
    holes = depth_message(np.zeros_like(scene.depth_m), 1_000)
    (found,) = rig.image(1_000, [target(scene)], holes).targets
    assert found.source == Target3D.KNOWN_HEIGHT and found.pixels == 0
    assert "pixels inside have a depth" in found.reason
    assert found.distance == pytest.approx(np.linalg.norm(scene.point_m), rel=0.01)
    assert np.sqrt(found.position_covariance[8]) > 0.1
    level, text = rig.status("positions")
    assert level == 1 and text.endswith("; distances follow from known_height")


def test_a_known_height_alone_needs_no_depth(make: Make) -> None:
    rig = make(source="height", known_height=0.7)
    scene = board(3.0)
    result = rig.image(1_000, [target(scene)])
    assert result.targets[0].source == Target3D.KNOWN_HEIGHT and not result.targets[0].reason
    assert result.targets[0].position.z == pytest.approx(3.0, rel=0.01)
    assert stamp_to_ns(result.depth_stamp) == 0


# ---- point clouds --------------------------------------------------------------------------


def organised(scene: Scene, stamp_ns: int) -> PointCloud2:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    points = np.zeros(HEIGHT * WIDTH, POINT)
    points["x"] = ((x - CAMERA.cx) / CAMERA.fx * scene.depth_m).ravel()
    points["y"] = ((y - CAMERA.cy) / CAMERA.fy * scene.depth_m).ravel()
    points["z"] = scene.depth_m.ravel()
    message = cloud_message(points, scene_header(stamp_ns))
    message.width, message.height, message.row_step = WIDTH, HEIGHT, WIDTH * POINT.itemsize
    return message


def scene_header(stamp_ns: int) -> Any:
    return depth_message(np.zeros((1, 1), np.uint16), stamp_ns).header


def test_organised_and_other_clouds_give_the_same_place(make: Make) -> None:
    rig = make(source="cloud")
    scene = board(2.0, 0.3)
    cloud = organised(scene, 1_000)
    (found,) = rig.image(1_000, [target(scene)], cloud).targets
    np.testing.assert_allclose(place(found), scene.point_m, atol=0.01)
    assert found.pixels > 1000
    # A scanner sees one point in 200.
    points = np.frombuffer(cloud.data, POINT)
    few = np.random.default_rng(1).permutation(points)[: len(points) // 200].copy()
    (found,) = rig.image(2_000, [target(scene)], cloud_message(few, scene_header(2_000))).targets
    np.testing.assert_allclose(place(found), scene.point_m, atol=0.02)
    assert 50 < found.pixels < 500


def test_a_cloud_without_points_is_refused_in_words(make: Make) -> None:
    rig = make(source="cloud")
    scene = board()
    (found,) = rig.image(1_000, [target(scene)], PointCloud2(header=scene_header(1_000))).targets
    assert found.reason == "a cloud needs float fields x, y and z; this one has none"
    level, text = rig.status("depth")
    assert level == 1 and "refused" in text


# ---- what must not be misread --------------------------------------------------------------


def bad_encoding(scene: Scene) -> Any:
    return depth_message(scene.depth_m, 1_000, encoding="64FC1")


def half_size(scene: Scene) -> Any:
    return depth_message(np.ascontiguousarray(scene.depth_m[::2, ::2]), 1_000)


def other_frame(scene: Scene) -> Any:
    return depth_message(scene.depth_m, 1_000, frame="depth_optical")


def stale(scene: Scene) -> Any:
    return depth_message(scene.depth_m, 1_000 + 250_000_000)


@pytest.mark.parametrize(
    "depth, reason",
    [
        (None, "no depth has come yet"),
        (bad_encoding, "no depth has come yet"),
        (half_size, r"is 320x240 px, the outlines are for 640x480 px; it must be aligned"),
        (other_frame, r"is in the frame depth_optical, the outlines in camera_optical: it is not"),
        (stale, r"no depth within 20 ms of the image; the nearest is 250 ms newer"),
    ],
)
def test_depth_that_does_not_fit_gives_a_reason_and_no_position(
    make: Make, depth: Any, reason: str
) -> None:
    rig = make()
    scene = board()
    given = depth(scene) if depth else None
    (found,) = rig.image(1_000, [target(scene)], given).targets
    assert found.source == Target3D.NONE and np.isnan(found.distance)
    assert re.search(reason, found.reason), found.reason
    level, text = rig.status("positions")
    assert level == 1 and re.search(reason, text)
    if depth is bad_encoding:
        level, text = rig.status("depth")
        assert level == 1 and "'64FC1' is not depth; it must be 16UC1" in text
    # The next good image is followed.
    (found,) = rig.image(
        600_000_000, [target(scene)], depth_message(scene.depth_m, 600_000_000)
    ).targets
    assert found.source == Target3D.DEPTH
    assert rig.status("positions") == (0, "1 of 1 targets have a position")


def test_without_a_fitting_calibration_there_is_no_position(make: Make) -> None:
    rig = make(calibrated=False)
    scene = board()
    depth = depth_message(scene.depth_m, 1_000)
    (found,) = rig.image(1_000, [target(scene)], depth).targets
    assert found.reason.startswith("no camera info on /rig3d_")
    rig.calibrate(camera_info(320, 240))
    (found,) = rig.image(2_000, [target(scene)], depth_message(scene.depth_m, 2_000)).targets
    assert "is for 320x240 px, the outlines are for 640x480 px" in found.reason


def test_a_driver_that_names_the_wrong_frame_can_be_allowed(make: Make) -> None:
    rig = make(depth_is_aligned=True)
    scene = board()
    (found,) = rig.image(1_000, [target(scene)], other_frame(scene)).targets
    assert found.source == Target3D.DEPTH


def test_what_passes_in_front_for_a_moment_is_waited_out(make: Make) -> None:
    rig = make()
    scene = board(3.0)
    near = np.full_like(scene.depth_m, 1.0)
    sources, reasons = [], []
    for step in range(30):
        hidden = 5 <= step < 10 or step >= 15
        stamp_ns = 1_000_000_000 + step * 34_000_000
        depth = depth_message(near if hidden else scene.depth_m, stamp_ns)
        (found,) = rig.image(stamp_ns, [target(scene)], depth).targets
        sources.append(found.source)
        reasons.append(found.reason)
    assert sources == [1] * 5 + [0] * 5 + [1] * 5 + [0] * 9 + [1] * 6
    assert reasons[5].startswith("its position jumped by 2.0")
    assert found.position.z == pytest.approx(1.0, abs=0.02)  # it was no moment


# ---- other outputs -------------------------------------------------------------------------


def test_markers_lie_at_the_true_depth_and_go_with_their_target(make: Make) -> None:
    rig = make()
    scene = board(2.0, 0.3)
    got = rig.listen_to_markers()
    rig.image(1_000, [target(scene, 4)], depth_message(scene.depth_m, 1_000))
    rig.image(2_000, [target(scene, 4, LOST)], depth_message(scene.depth_m, 2_000))
    rig.wait(lambda: len(got) == 2)
    outline, label, velocity = got[0].markers
    assert [one.ns for one in got[0].markers] == ["outline", "label", "velocity"]
    assert {point.z for point in outline.points} == {outline.points[0].z}
    assert outline.points[0].z == pytest.approx(2.0, abs=0.01)
    assert max(p.x for p in outline.points) == pytest.approx(0.3 + 0.25, abs=0.01)
    assert label.text == f"4: {np.linalg.norm(scene.point_m):.2f} m"
    assert velocity.type == Marker.ARROW and len(velocity.points) == 2
    assert {(m.ns, m.id, m.action) for m in got[1].markers} == {
        (ns, 4, Marker.DELETE) for ns in ("outline", "label", "velocity")
    }


def test_the_masked_cloud_holds_the_surface_alone(make: Make) -> None:
    rig = make()
    left, right = board(2.0, -0.4), board(2.5, 0.5)
    depth = np.minimum(left.depth_m, right.depth_m)
    depth[200:220] = 0  # holes
    got = rig.listen(PointCloud2, "target_3d/cloud")
    grown = (left.outline_xy - left.box.center_xy) * 1.1 + left.box.center_xy
    rig.image(
        1_000, [target(left, 1, outline=grown), target(right, 2)], depth_message(depth, 1_000)
    )
    rig.wait(lambda: got)
    points = np.frombuffer(got[0].data, POINT)
    assert got[0].header.frame_id == OPTICAL and got[0].width == len(points) > 10_000
    assert {int(id) for id in np.unique(points["id"])} == {1, 2}
    for scene, id in ((left, 1), (right, 2)):
        mine = points[points["id"] == id]
        middle = np.array([mine[name].mean() for name in "xyz"])
        np.testing.assert_allclose(middle, scene.point_m, atol=0.04)
        assert np.ptp(mine["z"]) < 0.01 and mine["z"][0] == pytest.approx(scene.point_m[2])


@pytest.mark.skipif(not messages.DETECTIONS_AVAILABLE, reason="needs vision_msgs")
def test_detections_hold_place_size_and_covariance(make: Make) -> None:
    rig = make()
    scene = board(2.0, 0.3)
    got = rig.listen(messages.Detection3DArray, "target_3d/detections")
    result = rig.image(
        1_000, [target(scene, 4), target(scene, 5, LOST)], depth_message(scene.depth_m, 1_000)
    )
    rig.wait(lambda: got)
    (one,) = got[0].detections
    found = result.targets[0]
    assert one.id == "4" and one.header == result.header
    assert one.bbox.center.position == found.position and one.bbox.size == found.size
    assert one.results[0].hypothesis.score == pytest.approx(0.9)
    covariance = np.reshape(one.results[0].pose.covariance, (6, 6))
    np.testing.assert_allclose(covariance[:3, :3].ravel(), found.position_covariance)


@pytest.mark.skipif(not frames.TF_AVAILABLE, reason="needs tf2_msgs")
def test_each_tracked_target_has_a_tf_frame_that_faces_away(make: Make) -> None:
    rig = make(frame_prefix="front_target_")
    scene = board(2.0, 2.0 * np.tan(np.radians(10)))
    got = rig.listen(frames.TFMessage, "/tf")
    rig.image(
        1_000, [target(scene, 4), target(scene, 5, LOST)], depth_message(scene.depth_m, 1_000)
    )
    rig.wait(lambda: got)
    (one,) = got[0].transforms
    assert (one.header.frame_id, one.child_frame_id) == (OPTICAL, "front_target_4")
    assert one.transform.translation.z == pytest.approx(2.0, abs=0.01)
    turn = one.transform.rotation
    axes = frames.matrix_of(np.array([turn.x, turn.y, turn.z, turn.w]))
    move = one.transform.translation
    ray = np.array([move.x, move.y, move.z])
    np.testing.assert_allclose(axes[:, 0], ray / np.linalg.norm(ray), atol=1e-6)
    assert axes[1, 2] < -0.99  # its z is up, the optical frame's y down


def test_another_frame_without_tf2_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(StartError, match=r"needs the package tf2_ros: sudo apt-get install"):
        make(pose_frame="odom")


def test_the_pose_in_another_frame(make: Make) -> None:
    pytest.importorskip("tf2_ros", reason="needs tf2_ros")
    from tf2_ros import StaticTransformBroadcaster

    rig = make(pose_frame="odom")
    scene = board(2.0, 0.3)
    rig.image(1_000, [target(scene)], depth_message(scene.depth_m, 1_000))
    rig.spin(0.2)
    assert not rig.poses  # nobody has told where the camera is
    level, text = rig.status("positions")
    assert level == 1
    assert text.startswith("nothing on ~/pose: no transform from camera_optical to odom: ")
    transform = TransformStamped()
    transform.header.frame_id, transform.child_frame_id = "odom", OPTICAL
    # The camera looks along odom's x from 1 m above the ground.
    transform.transform.translation.z = 1.0
    x, y, z, w = frames.quaternion_of(np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]]))
    turn = transform.transform.rotation
    turn.x, turn.y, turn.z, turn.w = map(float, (x, y, z, w))
    broadcaster = StaticTransformBroadcaster(rig.test)
    broadcaster.sendTransform(transform)
    for step in range(2, 40):
        rig.image(step * 1_000, [target(scene)], depth_message(scene.depth_m, step * 1_000))
        rig.spin(0.05)
        if rig.poses:
            break
    pose = rig.poses[0]
    assert pose.header.frame_id == "odom" and pose.header.stamp == stamp_from_ns(step * 1_000)
    where = pose.pose.position
    truth = scene.point_m
    assert (where.x, where.y, where.z) == pytest.approx(
        (truth[2], -truth[0], 1 - truth[1]), abs=0.01
    )
    turn = pose.pose.orientation
    axes = frames.matrix_of(np.array([turn.x, turn.y, turn.z, turn.w]))
    assert np.arctan2(axes[1, 0], axes[0, 0]) == pytest.approx(
        np.arctan2(-truth[0], truth[2]), abs=1e-3
    )


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"source": "radar"}, "source is 'radar'; it must be one of depth, cloud, height"),
        ({"source": "height"}, "known_height is 0; with source:=height it must be above 0"),
        ({"min_depth": 5.0, "max_depth": 2.0}, "min_depth is 5; it must be below max_depth, 2"),
    ],
)
def test_parameters_that_cannot_be_used_end_the_start_in_one_line(
    make: Make, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(StartError, match=words):
        make(**parameters)
