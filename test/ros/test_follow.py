"""The example examples/follow/visual_servoing.py closes the loop with a simulated robot.

The robot drives on a plane in a rendered world: its camera sees a textured board before a wall, its
stereo camera gives depth, target_3d measures, the example commands, and the robot moves.
"""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from geometry_msgs.msg import Twist
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from siampolar_ros.messages.conversions import stamp_from_ns
from siampolar_ros.msg import InitTarget, Targets3D
from support.depth_scene import Scene, render, stereo, tracked_outline
from support.ros_graph import Graph
from support.target_3d_rig import (
    LOST,
    OPTICAL,
    Rig3D,
    camera_info,
    depth_message,
    rig_3d,
    target,
)

EXAMPLE = ROOT / "examples" / "follow" / "visual_servoing.py"
PERIOD_S = 1 / 10


@dataclass
class Robot:
    """A robot on a plane; x ahead and y to the left at the start, metres and radians."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0

    def move(self, speed: float, turn: float, seconds: float) -> None:
        self.heading += turn * seconds
        self.x += speed * math.cos(self.heading) * seconds
        self.y += speed * math.sin(self.heading) * seconds

    def sees(self, x: float, y: float) -> Scene:
        """A board that stands at a place of the plane and faces the robot."""
        ahead = math.cos(self.heading) * (x - self.x) + math.sin(self.heading) * (y - self.y)
        left = -math.sin(self.heading) * (x - self.x) + math.cos(self.heading) * (y - self.y)
        return render(np.array([-left, 0.1, ahead]), (0.4, 0.7), ahead + 1.5)

    def distance(self, x: float, y: float) -> float:
        return math.hypot(x - self.x, y - self.y)

    def bearing(self, x: float, y: float) -> float:
        angle = math.atan2(y - self.y, x - self.x) - self.heading
        return math.atan2(math.sin(angle), math.cos(angle))


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("visual_servoing", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


#: The rig, the example's node, and its commands.
Loop = tuple[Rig3D, Node, list[Twist]]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch, example: ModuleType) -> Iterator[Loop]:
    """target_3d and the example in this process."""
    with rig_3d(monkeypatch) as rig:
        arguments = ["--ros-args", "-r", f"__ns:={rig.test.get_namespace()}"]
        node = example.VisualServoing(cli_args=arguments)
        rig.executor.add_node(node)
        commands: list[Twist] = []
        rig.test.create_subscription(Twist, "cmd_vel", commands.append, 50)
        rig.calibrate()
        rig.wait(lambda: rig.test.count_publishers("cmd_vel"))
        rig.wait(lambda: rig.test.count_subscribers("target_3d/targets") == 2)
        rig.spin(0.2)
        yield rig, node, commands
        node.destroy_node()


class Drive:
    """Steps of the loop: what the robot sees becomes a command that moves it."""

    def __init__(self, rig: Rig3D, commands: list[Twist]) -> None:
        self.robot = Robot()
        self._rig, self._commands = rig, commands
        self._rng = np.random.default_rng(3)
        self._step = 0

    def step(self, x: float, y: float, state: int = 1) -> Twist:
        self._step += 1
        stamp_ns = round(1e9 * (1 + self._step * PERIOD_S))
        scene = self.robot.sees(x, y)
        depth = depth_message(stereo(scene.depth_m, self._rng), stamp_ns)
        count = len(self._commands)
        outline = tracked_outline(scene, self._rng)
        self._rig.image(stamp_ns, [target(scene, 1, state, outline)], depth)
        self._rig.wait(lambda: len(self._commands) > count)
        command = self._commands[-1]
        self.robot.move(command.linear.x, command.angular.z, PERIOD_S)
        return command


def test_the_robot_follows_keeps_its_distance_and_stops_for_a_lost_target(
    loop: Loop,
) -> None:
    rig, node, commands = loop
    # A slow machine takes its time for each step.
    node.set_parameters([Parameter("silence", value=60.0)])
    drive = Drive(rig, commands)
    fastest = turned = 0.0
    for step in range(80):
        # The target stands 3 m ahead to the left, then walks away at 0.3 m/s.
        x, y = 3.0 + 0.3 * PERIOD_S * max(0, step - 49), 1.2
        command = drive.step(x, y)
        fastest = max(fastest, abs(command.linear.x))
        turned = max(turned, abs(command.angular.z))
        if step == 49:
            assert drive.robot.distance(x, y) == pytest.approx(1.5, abs=0.1)
            assert drive.robot.bearing(x, y) == pytest.approx(0, abs=math.radians(3))
    # It walks with the target, somewhat behind, and within its limits.
    assert 1.5 < drive.robot.distance(x, y) < 1.5 + 0.45
    assert drive.robot.bearing(x, y) == pytest.approx(0, abs=math.radians(4))
    assert 0.3 < fastest <= 0.6 and turned <= 1.0
    command = drive.step(x, y, LOST)
    assert (command.linear.x, command.angular.z) == (0.0, 0.0)
    # Too close: it backs away.
    x, y = drive.robot.x + 1.0 * math.cos(drive.robot.heading), drive.robot.y
    y += 1.0 * math.sin(drive.robot.heading)
    speeds = [drive.step(x, y).linear.x for _ in range(8)]
    assert speeds[-1] < -0.1


def test_the_robot_stops_when_target_3d_falls_silent(loop: Loop) -> None:
    rig, _, commands = loop
    drive = Drive(rig, commands)
    assert drive.step(3.0, 0.5).linear.x > 0
    count = len(commands)
    rig.spin(1.0)
    assert [command.linear.x for command in commands[count:]] == [0.0]


# ---- everything for real -------------------------------------------------------------------


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    made = Graph(tmp_path)
    yield made
    made.close()


def run_example(graph: Graph, folder: Path, **parameters: object) -> Path:
    log = folder / "visual_servoing.log"
    command = [sys.executable, str(EXAMPLE), "--ros-args", "-r", f"__ns:={graph.namespace}"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ)
    graph.children.append(child)
    return log


@pytest.mark.slow
def test_tracker_target_3d_and_example_bring_a_robot_to_its_target(
    graph: Graph, tmp_path: Path
) -> None:
    """Processes of their own over DDS with the shipped network; the world waits for their answers.

    Each step is an image, its depth and the answers to it, so that a slow machine changes nothing.
    """
    graph.start_tracker(engine="onnxruntime", num_threads=1)
    graph.start("target_3d_node")
    log = run_example(graph, tmp_path, silence=60.0)
    node, results, commands = graph.node, [], []
    node.create_subscription(Targets3D, "target_3d/targets", results.append, 50)
    node.create_subscription(Twist, "cmd_vel", commands.append, 50)
    depths = node.create_publisher(Image, "depth", 10)
    infos = node.create_publisher(CameraInfo, "camera_info", 10)
    graph.wait(lambda: depths.get_subscription_count() and infos.get_subscription_count() >= 2, 60)
    graph.wait(lambda: node.count_subscribers("target_3d/targets") == 2, 60, log.read_text)
    graph.wait(lambda: node.count_publishers("cmd_vel"), 60, log.read_text)
    graph.spin(0.5)
    robot, rng = Robot(), np.random.default_rng(3)
    x, y = 3.2, 0.6

    def step(number: int, scene: Scene) -> Any:
        stamp_ns = round(1e9 * (1 + number * PERIOD_S))
        infos.publish(camera_info())
        depths.publish(depth_message(stereo(scene.depth_m, rng), stamp_ns))
        graph.publish(scene.color, stamp_ns, OPTICAL)
        stamp = stamp_from_ns(stamp_ns)
        graph.wait(
            lambda: any(one.header.stamp == stamp for one in results),
            20,
            lambda: graph.log("target_3d_node") + graph.log("tracker_node"),
        )
        return next(one for one in reversed(results) if one.header.stamp == stamp)

    scene = robot.sees(x, y)
    step(0, scene)
    box = scene.box
    init = InitTarget(x=box.x1, y=box.y1, width=box.width, height=box.height)
    assert graph.ask(init).success
    errors = []
    for number in range(1, 60):
        scene = robot.sees(x, y)
        count = len(commands)
        (found,) = step(number, scene).targets
        graph.wait(lambda count=count: len(commands) > count)
        robot.move(commands[-1].linear.x, commands[-1].angular.z, PERIOD_S)
        if found.source:
            place = np.array([found.position.x, found.position.y, found.position.z])
            errors.append(np.linalg.norm(place - scene.point_m) / np.linalg.norm(scene.point_m))
    assert len(errors) > 50, graph.log("target_3d_node")
    assert np.percentile(errors, 95) <= 0.02, np.percentile(errors, [50, 90, 95, 100])
    assert robot.distance(x, y) == pytest.approx(1.5, abs=0.1)
    assert robot.bearing(x, y) == pytest.approx(0, abs=math.radians(3))
    # The target is gone: nothing but the wall.
    wall = render(np.array([100.0, 0.0, 2.0]), (0.4, 0.7), 3.0)
    for number in range(60, 75):
        found = step(number, wall)
    graph.spin(0.5)
    assert found.targets[0].source == 0 and found.targets[0].reason.startswith("the target is ")
    assert (commands[-1].linear.x, commands[-1].angular.z) == (0.0, 0.0)
    for child in graph.children:
        child.send_signal(signal.SIGINT)
    assert [child.wait(20) for child in graph.children] == [0, 0, 0], log.read_text()
