"""What the tracker publishes, each message only while somebody listens to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from geometry_msgs.msg import PolygonStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from siampolar_model.geometry.box import Box
from siampolar_model.images.compressed import CompressedFrame
from siampolar_model.images.frame import Frame
from siampolar_model.rendering.draw import color_of
from siampolar_model.results import Target, TargetState
from siampolar_model.session.history import StampedImage
from siampolar_model.session.session import Targets
from siampolar_ros import msg
from siampolar_ros.interfaces import installed_outputs, output, standard_outputs
from siampolar_ros.interfaces.lost_fade import LostFade
from siampolar_ros.interfaces.output import Output
from siampolar_ros.interfaces.outputs import Outputs
from siampolar_ros.messages import vision_messages
from siampolar_ros.messages.conversions import image_from_message, stamp_from_ns
from siampolar_ros.nodes.video_publisher_node import ideal_camera_info
from siampolar_ros.parameters.settings import OutputSettings
from siampolar_ros.parameters.table import Changes, Parameter
from siampolar_ros.runtime.environment import dds_environment, local_environment

SIZE = (64, 48)
HEADER = Header(stamp=stamp_from_ns(7), frame_id="optical")
BOX = Box(10, 12, 30, 32)


def result(frame: Frame | None = None, state: TargetState = TargetState.TRACKING) -> Targets:
    pixels = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    target = Target(5, state, 0.9, 0.8, BOX, BOX.corners_xy(), 0.7, (3.0, -4.0))
    return Targets(StampedImage(7, frame or Frame.from_bgr(pixels), HEADER), (target,))


class Rig:
    """The publishers on one node, listeners on another."""

    def __init__(self, **installed: type[Output]) -> None:
        self.settings = OutputSettings()
        self.node = Node("tracker", namespace="/outputs_rig")
        self.test = Node("listener", namespace="/outputs_rig")
        self.outputs = Outputs(self.node, lambda: self.settings, lambda id: "dog", installed)
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.test):
            self.executor.add_node(node)

    def wait(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def listen(self, kind: Any, topic: str) -> list[Any]:
        """Messages on a topic from now on, once publisher and listener know each other."""
        heard: list[Any] = []
        name = f"/outputs_rig/tracker/{topic}"
        self.test.create_subscription(kind, name, heard.append, 10)
        publisher = next(p for p in self.node.publishers if p.topic_name == name)
        self.wait(lambda: publisher.get_subscription_count() > 0)
        self.wait(lambda: self.test.count_publishers(name) > 0)
        return heard

    def one(self, heard: list[Any], said: Targets | None = None) -> Any:
        """What is heard of one result."""
        heard.clear()
        self.outputs.result(said or result())
        self.wait(lambda: heard)
        return heard[-1]

    def close(self) -> None:
        self.executor.shutdown()
        self.test.destroy_node()
        self.node.destroy_node()


class Broken(Output):
    """An output of another package that fails on every image."""

    topic, type = "~/broken", Image

    def make(self, scene: output.Scene) -> Image:
        raise ZeroDivisionError("of another package")


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    made = Rig(broken=Broken)
    yield made
    made.close()
    rclpy.shutdown()


MADE_BY = (
    "message_from_result", "summary_from_result", "label_image", "color_image", "draw",
    "jpeg_from_bgr", "message_from_bgr", "polygon_message",
)  # fmt: skip


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Fail the test if this function is called by an output."""
    module = output if name in ("draw", "label_image") else standard_outputs
    monkeypatch.setattr(module, name, lambda *_: pytest.fail("made for nobody"))


def test_nothing_is_made_while_nobody_listens(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MADE_BY:
        refuse(monkeypatch, name)
    markers = standard_outputs.Markers
    monkeypatch.setattr(markers, "make", lambda *_: pytest.fail("made for nobody"))
    rig.outputs.set_camera_info(ideal_camera_info(*SIZE, 60.0))
    rig.outputs.result(result())
    rig.outputs.close()


@pytest.mark.parametrize(
    "kind, topic, makers",
    [
        (msg.Targets, "targets", {"message_from_result"}),
        (msg.Summary, "summary", {"summary_from_result"}),
        (Image, "mask", {"label_image"}),
        (Image, "mask/color", {"label_image", "color_image", "message_from_bgr"}),
        (Image, "overlay", {"draw", "message_from_bgr"}),
        (CompressedImage, "overlay/compressed", {"draw", "jpeg_from_bgr"}),
        (PolygonStamped, "polygon", {"polygon_message"}),
    ],
)
def test_one_listener_costs_one_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, kind: Any, topic: str, makers: set[str]
) -> None:
    for name in set(MADE_BY) - makers:
        refuse(monkeypatch, name)
    rig.outputs.set_camera_info(ideal_camera_info(*SIZE, 60.0))
    assert rig.one(rig.listen(kind, topic)).header == HEADER


def test_mask_is_a_label_image(rig: Rig) -> None:
    message = rig.one(rig.listen(Image, "mask"))
    assert (message.encoding, message.width, message.height, message.step) == (
        "mono16",
        64,
        48,
        128,
    )
    labels = image_from_message(message).frame.decode().planes[0]
    assert (labels[12:32, 10:30] == 5).all() and (labels != 0).sum() == 400


def test_the_coloured_mask_covers_the_same_pixels(rig: Rig) -> None:
    message = rig.one(rig.listen(Image, "mask/color"))
    assert message.encoding == "bgr8"
    colors = image_from_message(message).frame.to_bgr()
    assert (colors[12:32, 10:30] == color_of(5)).all() and (colors != 0).any(2).sum() == 400


def test_the_summary_has_numbers_alone(rig: Rig) -> None:
    message = rig.one(rig.listen(msg.Summary, "summary"))
    assert (list(message.id), list(message.state)) == ([5], ["tracking"])
    sides = (message.x[0], message.y[0], message.width[0], message.height[0])
    assert sides == (20.0, 22.0, 20.0, 20.0)
    assert message.confidence[0] == pytest.approx(0.7)
    assert (message.velocity_x[0], message.velocity_y[0]) == (3.0, -4.0)


def test_a_target_that_was_lost_a_while_ago_is_not_drawn(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = rig.listen(Image, "overlay")
    now = 50.0
    monkeypatch.setattr(rig.outputs, "_fade", LostFade(lambda: now))
    lost = result(state=TargetState.LOST)
    assert (image_from_message(rig.one(overlay, lost)).frame.to_bgr() != 90).any()
    now += 2.1
    assert (image_from_message(rig.one(overlay, lost)).frame.to_bgr() == 90).all()


def test_both_overlays_show_the_same(rig: Rig) -> None:
    raw, jpeg = rig.listen(Image, "overlay"), rig.listen(CompressedImage, "overlay/compressed")
    picture = image_from_message(rig.one(raw)).frame.to_bgr()
    rig.wait(lambda: jpeg)
    assert jpeg[-1].format == "bgr8; jpeg compressed bgr8"
    assert (picture != 90).any()
    decoded = image_from_message(jpeg[-1]).frame.to_bgr()
    assert np.abs(cv2.blur(decoded, (5, 5)).astype(int) - cv2.blur(picture, (5, 5))).mean() < 4


def test_the_overlay_can_be_switched_off(rig: Rig) -> None:
    heard = rig.listen(Image, "overlay")
    targets = rig.listen(msg.Targets, "targets")
    rig.settings = OutputSettings(overlay=False)
    rig.one(targets)
    rig.settings = OutputSettings()
    rig.one(heard)
    assert len(heard) == 1


def test_a_damaged_image_has_targets_but_no_overlay(rig: Rig) -> None:
    """A compressed image is decoded for the overlay if nothing is followed on it."""
    heard, targets = rig.listen(Image, "overlay"), rig.listen(msg.Targets, "targets")
    _, png = cv2.imencode(".png", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    rig.one(targets, result(CompressedFrame(bytes(png)[:40])))
    rig.one(heard)
    rig.wait(lambda: len(targets) == 2)
    assert len(heard) == 1


def test_polygon_and_markers_are_silent_until_there_is_camera_info(rig: Rig) -> None:
    polygons, arrays = rig.listen(PolygonStamped, "polygon"), rig.listen(MarkerArray, "markers")
    targets = rig.listen(msg.Targets, "targets")
    rig.one(targets)
    for unusable in (CameraInfo(width=64, height=48), ideal_camera_info(640, 480, 60.0)):
        rig.outputs.set_camera_info(unusable)  # without calibration, of another size
        rig.one(targets)
    assert not polygons and not arrays
    rig.outputs.set_camera_info(ideal_camera_info(*SIZE, 90.0))
    rig.settings = OutputSettings(marker_depth=3.0)
    rig.one(polygons)
    rig.wait(lambda: arrays)
    # At 90 degrees and 3 m, 32 px are 3 m.
    corner = polygons[-1].polygon.points[0]
    assert (corner.x, corner.y, corner.z) == pytest.approx(
        (3 * (10 - 32) / 32, 3 * (12 - 24) / 32, 3), abs=1e-5
    )
    assert {m.ns for m in arrays[-1].markers} == {"outline", "label"}
    assert {m.header.frame_id for m in arrays[-1].markers} == {"optical"}
    count = len(arrays)
    rig.outputs.close()
    rig.wait(lambda: len(arrays) > count)
    assert arrays[-1].markers[0].action == Marker.DELETEALL


@pytest.mark.skipif(
    not vision_messages.AVAILABLE, reason="needs vision_msgs (ros-$ROS_DISTRO-vision-msgs)"
)
def test_detections_of_what_is_not_lost(rig: Rig) -> None:
    heard = rig.listen(vision_messages.Detection2DArray, "detections")
    (one,) = rig.one(heard).detections
    assert (one.id, one.results[0].hypothesis.class_id) == ("5", "dog")
    assert (one.bbox.center.position.x, one.bbox.size_x) == (20.0, 20.0)
    assert rig.one(heard, result(state=TargetState.LOST)).detections == []


def test_an_output_of_another_package_that_fails_is_reported_and_stops_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    monkeypatch.setattr(Outputs, "_report", lambda _, text: reported.append(text))
    broken, targets = rig.listen(Image, "broken"), rig.listen(msg.Targets, "targets")
    assert rig.one(targets).header == HEADER
    assert reported == ["nothing on ~/broken: ZeroDivisionError('of another package')"]
    assert not broken


class Clash(Broken):
    topic = "~/targets"


class Outside(Broken):
    topic = "/map"


class NoMessage(Broken):
    type = dict


class Greedy(Broken):
    parameters = (Parameter("scale", 1.0, "Any.", Changes.ANY_TIME),)


@pytest.mark.parametrize(
    "cls, words",
    [
        (dict, "not a subclass of siampolar_ros.interfaces.output.Output"),
        (Clash, "its topic ~/targets is taken by another output"),
        (Outside, "its topic is '/map'; it must be a private one, such as '~/extra'"),
        (NoMessage, "its type is <class 'dict'>; it must be a class of ROS messages"),
        (Greedy, "its parameter scale must be called extra.scale"),
        (None, "cannot be imported"),
    ],
)
def test_an_output_that_cannot_be_used_is_left_out_in_one_line(
    monkeypatch: pytest.MonkeyPatch, cls: Any, words: str
) -> None:
    name = "absent_module:X" if cls is None else f"{__name__}:{cls.__name__}"
    name = "builtins:dict" if cls is dict else name
    entries = [
        EntryPoint("extra", name, "siampolar.outputs"),
        EntryPoint("good", f"{__name__}:Broken", "siampolar.outputs"),
    ]
    monkeypatch.setattr(installed_outputs, "entry_points", lambda group: entries)
    problems: list[str] = []
    found = installed_outputs.installed_outputs(["~/targets"], problems.append)
    assert found == {"good": Broken}
    (problem,) = problems
    assert words in problem and problem.startswith("output extra (") and "\n" not in problem
