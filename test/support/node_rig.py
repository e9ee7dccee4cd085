"""The tracker node in this process, with a tracker that can be told to fail."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siampolar_model.geometry.region import Region, bounds_of
from siampolar_model.images.frame import Frame
from siampolar_model.results import Target, TargetState
from siampolar_ros import msg
from siampolar_ros.messages.conversions import message_from_bgr, stamp_from_ns
from siampolar_ros.nodes.tracker_node import TrackerNode
from siampolar_ros.parameters.nodes import Settings
from siampolar_ros.runtime.environment import dds_environment, local_environment

UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED = 1, 2, 3, 4


class FakeTracker:
    """Reports every target where it was started and in ``state``, until ``broken``."""

    class spec:
        name = "fake"
        takes_mask = False

    class engine:
        choice = "fake runs on nothing"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.tracker
        self.broken = False
        self.faults = 0  # how many of the next images fail
        self.state = TargetState.TRACKING
        self.regions: dict[int, Region] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self.regions))

    def start(self, frame: Frame, region: Region, *, id: int | None = None) -> int:
        assert id is not None
        self.regions[id] = region
        return id

    def start_warning(self, frame: Frame, id: int) -> str:
        return ""

    def update(self, frame: Frame, ids: Collection[int] | None = None, **_: object) -> list[Target]:
        self.faults -= 1
        if self.broken or self.faults >= 0:
            raise RuntimeError("the device was unplugged\nand more")
        none = np.zeros((0, 2), np.float32)
        boxes = {i: bounds_of(self.regions[i]) for i in sorted(ids or ())}
        return [Target(i, self.state, 0.9, 0.8, box, none) for i, box in boxes.items()]

    def remove(self, id: int) -> bool:
        return self.regions.pop(id, None) is not None


class Rig:
    """A node, its tracker, and what it published."""

    def __init__(self, **node: Any) -> None:
        self.trackers: list[FakeTracker] = []
        self.load_error: Exception | None = None
        namespace = f"/rig_{os.getpid()}"
        node = {"recovery_delays_s": (0.05, 0.1), **node}
        self.node = TrackerNode(load=self._load, namespace=namespace, **node)
        self.test = Node("test", namespace=namespace)
        self.targets: list[msg.Targets] = []
        self.test.create_subscription(msg.Targets, "tracker/targets", self.targets.append, 10)
        self.images = self.test.create_publisher(Image, "image", 10)
        self.inits = self.test.create_publisher(msg.InitTarget, "tracker/init_target", 10)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.test)

    def _load(self, settings: Settings) -> FakeTracker:
        if self.load_error is not None:
            # A new one: its traceback, which holds the node, must not outlive the test.
            raise type(self.load_error)(*self.load_error.args)
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

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, 0.02))

    def activate(self) -> None:
        self.node.autostart()
        assert self.state == ACTIVE
        self.wait(lambda: self.images.get_subscription_count())
        self.wait(lambda: self.inits.get_subscription_count())

    def start_target(self) -> None:
        """Activate, publish an image and have one target on it."""
        self.activate()
        self.image(1_000)
        self.inits.publish(msg.InitTarget(x=5.0, y=5.0, width=20.0, height=20.0))
        self.wait(lambda: self.targets and self.targets[-1].targets)

    def image(self, stamp_ns: int) -> msg.Targets:
        """Publish an image and wait for the targets on it."""
        count = len(self.targets)
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera")
        self.images.publish(message_from_bgr(np.zeros((48, 64, 3), np.uint8), header))
        self.wait(lambda: len(self.targets) > count)
        return self.targets[-1]

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the node and wait for its answer."""
        client = self.test.create_client(kind, f"tracker/{name}")
        self.wait(client.service_is_ready)
        future = client.call_async(request)
        self.wait(future.done)
        self.test.destroy_client(client)
        return future.result()

    def change_state(self, transition: int) -> bool:
        """Ask for a transition over the service; whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, "change_state", request).success)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.close()
        self.node.destroy_node()
        self.test.destroy_node()


@contextmanager
def ros_rig(monkeypatch: Any, **node: Any) -> Iterator[Rig]:
    """A rig in a ROS context of its own."""
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    made = Rig(**node)
    try:
        yield made
    finally:
        made.close()
        rclpy.shutdown()
        vars(made).clear()  # the fixture still holds it
        # A participant lives as long as the cycles in its nodes; several in one process may wait
        # for each other for ever.
        gc.collect()
