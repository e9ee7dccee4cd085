"""A small ROS graph for tests: this process and nodes in processes of their own, over real DDS."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from siampolar_ros.messages.conversions import message_from_bgr, stamp_from_ns, stamp_to_ns
from siampolar_ros.msg import InitResult, InitTarget, Targets
from siampolar_ros.runtime.environment import dds_environment, local_environment

_NUMBERS = itertools.count()


class Graph:
    """A namespace of its own, a node ``test`` in this process, and child processes."""

    def __init__(self, folder: Path, image_reliability: str = "reliable") -> None:
        # Before DDS starts, here and in the children; it reads its profile once a process.
        os.environ.update({**dds_environment(), **local_environment()})
        self.namespace = f"/test_{os.getpid()}_{next(_NUMBERS)}"
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("test", namespace=self.namespace)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.targets: list[Targets] = []
        self.answers: list[InitResult] = []
        deep = QoSProfile(depth=1000)
        self.node.create_subscription(Targets, "tracker/targets", self.targets.append, deep)
        self.node.create_subscription(InitResult, "tracker/init_result", self.answers.append, deep)
        reliability = ReliabilityPolicy[image_reliability.upper()]
        qos = QoSProfile(depth=10, reliability=reliability)
        self.images = self.node.create_publisher(Image, "image", qos)
        self.init_target = self.node.create_publisher(
            InitTarget, "tracker/init_target", QoSProfile(depth=10)
        )
        self.init_roi = self.node.create_publisher(
            RegionOfInterest, "tracker/init_roi", QoSProfile(depth=10)
        )

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        codes = []
        for child in self.children:
            try:
                codes.append(child.wait(timeout=20))
            except subprocess.TimeoutExpired:
                child.kill()
                codes.append(child.wait())
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()
        assert all(code in (0, 1, 2) for code in codes), codes

    def start(self, module: str, **parameters: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"siampolar_ros.nodes.{module}", "--ros-args"]
        command += ["-r", f"__ns:={self.namespace}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        log = (self.folder / f"{module}.log").open("wb")
        self.children.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self.children[-1]

    def log(self, module: str) -> str:
        return (self.folder / f"{module}.log").read_text(errors="replace")

    def start_tracker(self, **parameters: object) -> subprocess.Popen[bytes]:
        """Start the tracker and wait until it listens, also to what this process publishes."""
        child = self.start("tracker_node", **parameters)
        publishers = (self.images, self.init_target, self.init_roi)
        self.wait(
            lambda: all(p.get_subscription_count() for p in publishers),
            60,
            lambda: self.log("tracker_node"),
        )
        # It may still not know this process's subscriptions: a request that is always refused
        # is repeated until its answer comes through.
        for _ in range(60):
            self.init_roi.publish(RegionOfInterest())
            self.spin(0.2)
            if self.answers:
                break
        self.spin(0.3)
        assert self.answers, f"no answer; {self.log('tracker_node')}"
        self.answers.clear()
        return child

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, 0.02))

    def wait(
        self,
        condition: Callable[[], Any],
        seconds: float = 10,
        explain: Callable[[], object] = lambda: "",
    ) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"nothing in {seconds} s; {explain()}"
            self.executor.spin_once(timeout_sec=0.02)

    def publish(self, image: np.ndarray, stamp_ns: int, frame_id: str = "camera") -> None:
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)
        self.images.publish(message_from_bgr(image, header))

    def publish_and_wait(self, image: np.ndarray, stamp_ns: int) -> Targets:
        """Publish an image and wait for its result."""
        self.publish(image, stamp_ns)
        self.wait(lambda: self.result_of(stamp_ns) is not None, 10, lambda: self.targets[-2:])
        result = self.result_of(stamp_ns)
        assert result is not None
        return result

    def meet(self, image: np.ndarray) -> int:
        """Publish until the tracker answers; how many images it got. Best effort needs this: the
        publisher may know of the subscriber before the subscriber knows of it."""
        for stamp_ns in range(1, 60):
            self.publish(image, stamp_ns)
            self.spin(0.3)
            if self.result_of(stamp_ns) is not None:
                return len(self.targets)
        raise AssertionError(f"no result; {self.log('tracker_node')}")

    def result_of(self, stamp_ns: int) -> Targets | None:
        for message in reversed(self.targets):
            if stamp_to_ns(message.header.stamp) == stamp_ns:
                return message
        return None

    def ask(self, message: InitTarget | RegionOfInterest) -> InitResult:
        """Send an init and wait for its answer."""
        count = len(self.answers)
        publisher = self.init_roi if isinstance(message, RegionOfInterest) else self.init_target
        publisher.publish(message)
        self.wait(lambda: len(self.answers) > count, 10, lambda: self.log("tracker_node"))
        return self.answers[-1]
