"""The whole node in this process: its interfaces, diagnostics and detections."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from siampolar_model.results import TargetState
from siampolar_ros.messages import vision_messages
from siampolar_ros.messages.conversions import stamp_from_ns
from siampolar_ros.parameters import interfaces as interface_table
from siampolar_ros.parameters.interfaces import Interface
from support.node_rig import ACTIVE, UNCONFIGURED, Rig


def full_name(rig: Rig, row: Interface) -> str:
    if row.name[0] == "/":
        return row.name
    return rig.node.get_namespace() + "/" + row.name.replace("~", "tracker")


def test_the_node_has_the_interfaces_of_the_table_and_no_others(rig: Rig) -> None:
    rig.activate()
    name = ("tracker", rig.node.get_namespace())
    found = {
        "in": rig.test.get_subscriber_names_and_types_by_node(*name),
        "out": rig.test.get_publisher_names_and_types_by_node(*name),
        "service": rig.test.get_service_names_and_types_by_node(*name),
    }
    actual = {
        (kind, topic, type_name)
        for kind, rows in found.items()
        for topic, types in rows
        for type_name in types
    }
    # Less what every node and every lifecycle node has.
    everybody = ("rcl_interfaces/", "lifecycle_msgs/", "type_description_interfaces/")
    own = {one for one in actual if not one[2].startswith(everybody)}
    listed = {
        (row.kind, full_name(rig, row), row.type)
        for row in interface_table.TRACKER
        if (vision_messages.AVAILABLE or not row.optional) and not row.when
    }
    assert own == listed


class Watch:
    """What is reported on /diagnostics of the node of a rig."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._node = rig.node.get_fully_qualified_name()[1:]
        self._arrays: list[DiagnosticArray] = []
        rig.test.create_subscription(DiagnosticArray, "/diagnostics", self._arrays.append, 10)

    def wait(self, name: str, words: str) -> DiagnosticStatus:
        """The first status of this name whose message holds these words."""
        found: list[DiagnosticStatus] = []

        def look() -> bool:
            statuses = [s for array in self._arrays for s in array.status]
            self._arrays.clear()
            found.extend(
                s for s in statuses if s.name == f"{self._node}: {name}" and words in s.message
            )
            return bool(found)

        self._rig.wait(look, 12)
        return found[0]


def test_another_node_of_the_same_name_is_a_warning_with_its_host(
    rig: Rig, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(rig)
    rig.activate()
    assert watch.wait("tracker", "0 targets").level == DiagnosticStatus.OK
    context = rclpy.Context()
    context.init()  # as another process has it
    other = Node("tracker", namespace=rig.node.get_namespace(), context=context)
    said = other.create_publisher(DiagnosticArray, "/diagnostics", 10)
    name = rig.node.get_fully_qualified_name()
    place = [KeyValue(key="host", value="robot7"), KeyValue(key="process", value="4711")]
    status = DiagnosticStatus(name=f"{name[1:]}: tracker", values=place)
    timer = rig.test.create_timer(0.2, lambda: said.publish(DiagnosticArray(status=[status])))
    words = f"another node called {name} runs on robot7 (process 4711); both answer requests"
    assert watch.wait("tracker", words).level == DiagnosticStatus.WARN
    rig.test.destroy_timer(timer)
    other.destroy_node()
    context.shutdown()
    assert watch.wait("tracker", "0 targets").level == DiagnosticStatus.OK
    log = capfd.readouterr().err
    assert log.count(words) == 1 and "no other node has this name any more" in log


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_diagnostics_through_the_life_of_a_node(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    watch, topic = Watch(rig), rig.node.get_namespace() + "/image"
    assert watch.wait("tracker", "the node is unconfigured").level == DiagnosticStatus.WARN
    assert watch.wait("images", "no images are taken").level == DiagnosticStatus.OK
    rig.activate()
    assert watch.wait("images", "waiting for the first image").level == DiagnosticStatus.OK
    for stamp_ns in range(1, 6):
        rig.image(stamp_ns)
    running = values(watch.wait("images", "images per second"))
    assert running["topic"] == topic and running["received"] == "5"
    assert running["transport"] == "raw" and running["reliability"] == "reliable"
    tracker = watch.wait("tracker", "0 targets")
    assert tracker.level == DiagnosticStatus.OK and tracker.hardware_id == f"{topic[1:-6]}/tracker"
    figures = values(tracker)
    assert figures["images processed"] == "5" and figures["engine"]
    assert 0 < float(figures["latency from arrival p50, ms"]) < 10_000

    stopped = watch.wait("images", f"no image on {topic} for")
    assert stopped.level == DiagnosticStatus.ERROR
    said = capfd.readouterr().err
    assert said.count(f"no image on {topic} for") == 1  # logged once, not every second
    rig.image(10)
    assert watch.wait("images", "images per second").level == DiagnosticStatus.OK
    assert "images per second" in capfd.readouterr().err

    rig.trackers[0].broken = True
    rig.node.set_parameters([rclpy.parameter.Parameter("auto_recover", value=False)])
    start(rig)
    rig.wait(lambda: rig.state == UNCONFIGURED)
    broken = watch.wait("tracker", "the tracker failed, all targets are lost: the device was")
    assert broken.level == DiagnosticStatus.ERROR
    rig.activate()
    assert watch.wait("tracker", "0 targets").level == DiagnosticStatus.OK


def start(rig: Rig) -> None:
    """Start a target on an image; what comes of it is not waited for."""
    from siampolar_ros.msg import InitTarget

    rig.inits.publish(InitTarget(x=5.0, y=5.0, width=20.0, height=20.0))


def test_a_node_that_cannot_be_configured_says_why(rig: Rig) -> None:
    from siampolar_model.errors import EngineError

    watch = Watch(rig)
    rig.load_error = EngineError("no such engine")
    rig.node.autostart()
    status = watch.wait("tracker", "cannot be configured: no such engine")
    assert status.level == DiagnosticStatus.ERROR


def test_images_that_are_announced_but_do_not_arrive(rig: Rig) -> None:
    """The camera says with every camera info that it has sent an image."""
    watch = Watch(rig)
    rig.activate()
    infos = rig.test.create_publisher(CameraInfo, "camera_info", 10)
    rig.wait(infos.get_subscription_count)
    rig.image(1)
    for _ in range(20):
        infos.publish(CameraInfo())
        rig.executor.spin_once(timeout_sec=0.01)
    status = watch.wait("images", "/image arrived in")
    assert status.level == DiagnosticStatus.ERROR and "config/fastdds.xml" in status.message


@pytest.mark.skipif(
    not vision_messages.AVAILABLE, reason="needs vision_msgs (ros-$ROS_DISTRO-vision-msgs)"
)
def test_detections_start_a_target_and_find_it_again(rig: Rig) -> None:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    rig.activate()
    detections = rig.test.create_publisher(Detection2DArray, "tracker/detections_in", 10)
    rig.wait(detections.get_subscription_count)
    rig.image(1_000)

    def see(x: float, stamp_ns: int, score: float = 0.9) -> None:
        one = Detection2D()
        one.bbox.center.position.x, one.bbox.center.position.y = x, 24.0
        one.bbox.size_x = one.bbox.size_y = 20.0
        one.results = [ObjectHypothesisWithPose()]
        one.results[0].hypothesis.class_id, one.results[0].hypothesis.score = "dog", score
        header = Header(stamp=stamp_from_ns(stamp_ns))
        detections.publish(Detection2DArray(header=header, detections=[one]))

    def box_of_target() -> Any:
        (target,) = rig.targets[-1].targets
        return (target.x, target.state)

    see(20.0, 1_000)
    for _ in range(10):
        rig.executor.spin_once(timeout_sec=0.02)
    assert rig.image(2_000).targets == []  # off by default
    rig.node.set_parameters([rclpy.parameter.Parameter("auto_init", value=True)])
    see(20.0, 2_000)
    rig.wait(lambda: rig.targets[-1].targets)
    assert box_of_target() == (10.0, TargetState.TRACKING)
    tracker = rig.trackers[0]
    tracker.state = TargetState.LOST
    rig.image(3_000)
    assert box_of_target() == (10.0, TargetState.LOST)
    end = time.monotonic() + 10
    while box_of_target()[0] != 13.0:  # asked again after a pause, so the detector goes on
        assert time.monotonic() < end
        see(23.0, 3_000)
        for _ in range(10):
            rig.executor.spin_once(timeout_sec=0.02)
    assert [target.id for target in rig.targets[-1].targets] == [1]
    assert rig.state == ACTIVE
