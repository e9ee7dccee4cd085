"""The tracker node's life cycle, in this process and with a tracker that can be told to fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siampolar_model.engines.base import EngineError
from siampolar_model.frames import Frame
from siampolar_model.results import Box, TrackResult, TrackState
from siampolar_ros.conversions import message_from_bgr, stamp_from_ns
from siampolar_ros.environment import dds_environment, local_environment
from siampolar_ros.msg import InitTarget, Target, Targets
from siampolar_ros.parameters import Settings
from siampolar_ros.run import StartError, run_node
from siampolar_ros.tracker_node import TrackerNode

UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED = 1, 2, 3, 4


class FakeTracker:
    """Reports every target where it was started and in ``state``, until ``broken``."""

    class spec:
        name = "fake"

    class engine:
        choice = "fake runs on nothing"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.tracker
        self.broken = False
        self.state = TrackState.TRACKING
        self._boxes: dict[int, Box] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._boxes))

    def init(self, frame: Frame, box: Box, *, id: int | None = None) -> int:
        assert id is not None
        self._boxes[id] = box
        return id

    def track(
        self, frame: Frame, ids: Collection[int] | None = None, **how: float
    ) -> list[TrackResult]:
        if self.broken:
            raise RuntimeError("the device was unplugged\nand more")
        none = np.zeros((0, 2), np.float32)
        return [
            TrackResult(i, self.state, 0.9, 0.8, self._boxes[i], (0, 0), none[:, 0], none)
            for i in sorted(ids or ())
        ]

    def remove(self, id: int) -> bool:
        return self._boxes.pop(id, None) is not None


class Rig:
    """A node, its tracker, and what it published."""

    def __init__(self) -> None:
        self.trackers: list[FakeTracker] = []
        self.load_error: Exception | None = None
        self.node = TrackerNode(load=self._load, namespace="/rig")
        self.test = Node("test", namespace="/rig")
        self.targets: list[Targets] = []
        self.test.create_subscription(Targets, "tracker/targets", self.targets.append, 10)
        self.images = self.test.create_publisher(Image, "image", 10)
        self.inits = self.test.create_publisher(InitTarget, "tracker/init_target", 10)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.test)

    def _load(self, settings: Settings) -> FakeTracker:
        if self.load_error is not None:
            raise self.load_error
        self.trackers.append(FakeTracker(settings))
        return self.trackers[-1]

    @property
    def state(self) -> int:
        return int(self.node._state_machine.current_state[0])

    def wait(self, condition: Callable[[], Any], seconds: float = 5) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"timed out in state {self.state}"
            self.executor.spin_once(timeout_sec=0.02)

    def activate(self) -> None:
        self.node.autostart()
        assert self.state == ACTIVE
        self.wait(lambda: self.images.get_subscription_count())
        self.wait(lambda: self.inits.get_subscription_count())

    def image(self, stamp_ns: int) -> Targets:
        """Publish an image and wait for what is said of it."""
        count = len(self.targets)
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera")
        self.images.publish(message_from_bgr(np.zeros((48, 64, 3), np.uint8), header))
        self.wait(lambda: len(self.targets) > count)
        return self.targets[-1]

    def close(self) -> None:
        self.executor.shutdown()
        self.node.close()
        self.node.destroy_node()
        self.test.destroy_node()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    made = Rig()
    yield made
    made.close()
    rclpy.shutdown()


def start_target(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    rig.inits.publish(InitTarget(x=5.0, y=5.0, width=20.0, height=20.0))
    rig.wait(lambda: rig.targets and rig.targets[-1].targets)


def test_an_engine_failure_is_published_and_the_node_can_be_used_again(rig: Rig) -> None:
    start_target(rig)
    assert rig.image(2_000).targets[0].state == Target.TRACKING
    rig.trackers[0].broken = True
    lost = rig.image(3_000)
    assert lost.header.stamp.nanosec == 3_000 and lost.header.frame_id == "camera"
    assert [(t.id, t.state, t.score) for t in lost.targets] == [(1, Target.LOST, 0.0)]
    rig.wait(lambda: rig.state == UNCONFIGURED)
    rig.activate()
    assert len(rig.trackers) == 2
    assert rig.image(4_000).targets == []


def test_targets_outlive_a_deactivation(rig: Rig) -> None:
    start_target(rig)
    rig.node.trigger_deactivate()
    assert rig.state == INACTIVE
    rig.node.trigger_activate()
    rig.wait(lambda: rig.images.get_subscription_count())
    assert [t.id for t in rig.image(5_000).targets] == [1]
    rig.node.trigger_shutdown()
    assert rig.state == FINALIZED


@pytest.mark.parametrize("error", [EngineError("no such engine"), KeyError("a bug")])
def test_a_failed_configure_leaves_the_node_unconfigured(rig: Rig, error: Exception) -> None:
    rig.load_error = error
    rig.node.autostart()
    assert rig.state == UNCONFIGURED
    rig.load_error = None
    rig.activate()


def test_an_invalid_transition_changes_nothing(rig: Rig) -> None:
    rig.activate()
    try:
        rig.node.trigger_configure()
    except Exception as error:  # Humble raises, and the node's loop logs it
        assert "transition" in str(error).lower()
    assert rig.state == ACTIVE
    assert rig.image(1_000).targets == []


def test_an_exception_in_a_callback_does_not_end_the_node(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    done = threading.Event()
    calls = []

    def make() -> Node:
        node = Node("fragile")

        def tick() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise KeyError("first\ncall")
            done.set()

        node.create_timer(0.02, tick)
        return node

    closed = []
    assert run_node("fragile", make, closed.append, done, args=[]) == 0
    assert len(calls) == 2 and len(closed) == 1
    assert "in a callback: KeyError: 'first\\ncall'" in capfd.readouterr().err


def test_a_node_that_cannot_start_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)

    def make() -> Node:
        raise StartError("give exactly one of them")

    assert run_node("broken", make, lambda node: None, args=[]) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].endswith("[broken]: give exactly one of them")
