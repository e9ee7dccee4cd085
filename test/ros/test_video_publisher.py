"""The video publisher as a camera: who releases it, and the calibration it makes up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
import rclpy.logging
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from siampolar_ros.nodes import video_publisher_node
from siampolar_ros.nodes.video_publisher_node import VideoPublisherNode
from siampolar_ros.runtime.environment import dds_environment, local_environment


class SlowCamera:
    """Stands for a camera, which is missing here: gives an image only when the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.reading = self.held = False
        self.released_while_reading: bool | None = None
        self.reads = 0

    def read(self) -> tuple[bool, np.ndarray]:
        self.reading = True
        self.held = not self.gate.is_set()
        self.gate.wait(30)
        time.sleep(0.01)
        self.reading = False
        self.reads += 1
        return True, np.zeros((24, 32, 3), np.uint8)

    def release(self) -> None:
        self.released_while_reading = self.reading


@pytest.fixture
def make_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., VideoPublisherNode]]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    nodes: list[Node] = []

    def make(camera: SlowCamera, **values: object) -> VideoPublisherNode:
        monkeypatch.setattr(video_publisher_node, "open_camera", lambda settings: camera)
        parameters = [word for item in values.items() for word in ("-p", "{}:={}".format(*item))]
        rclpy.init(args=["--ros-args", "-r", "__ns:=/video_rig", *parameters])
        nodes.append(VideoPublisherNode(threading.Event()))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()


def wait(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)


def test_a_camera_is_released_by_its_reader_and_never_while_it_reads(
    make_node: Callable[..., VideoPublisherNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_publisher_node, "_JOIN_S", 0.2)
    camera = SlowCamera()
    node = make_node(camera, device=0)
    wait(lambda: camera.reads > 1)
    camera.gate.clear()
    wait(lambda: camera.held)
    node.close()  # gives up waiting for a camera that does not answer
    assert camera.released_while_reading is None
    camera.gate.set()
    wait(lambda: camera.released_while_reading is not None)
    assert camera.released_while_reading is False


def test_images_of_a_camera_come_with_the_calibration_asked_for(
    make_node: Callable[..., VideoPublisherNode],
) -> None:
    camera = SlowCamera()
    node = make_node(camera, device=0, horizontal_fov=90.0)
    test = Node("test")
    images: list[Image] = []
    infos: list[CameraInfo] = []
    test.create_subscription(Image, "image", images.append, 100)
    test.create_subscription(CameraInfo, "camera_info", infos.append, 100)
    executor = SingleThreadedExecutor()
    executor.add_node(test)
    end = time.monotonic() + 20
    while not (images and infos and images[-1].header in [info.header for info in infos]):
        assert time.monotonic() < end
        executor.spin_once(timeout_sec=0.05)
    assert (infos[0].width, infos[0].height, infos[0].k[0]) == (32, 24, pytest.approx(16))
    node.close()
    assert camera.released_while_reading is False
    executor.shutdown()
    test.destroy_node()


def test_notices_of_the_reader_are_logged_once(
    make_node: Callable[..., VideoPublisherNode], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """9.25 and 9.5 may be counters or decimal numbers."""
    for name in ("8.5", "9.25", "9.5"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((24, 32, 3), np.uint8))
    warnings: list[str] = []
    logger = type(rclpy.logging.get_logger("any"))
    monkeypatch.setattr(logger, "warning", lambda self, text, **_: warnings.append(text))
    node = make_node(SlowCamera(), path=tmp_path, wait_for_subscribers=0)
    wait(lambda: any("numbers with a point" in text for text in warnings))
    wait(node._done.is_set)
    assert sum("numbers with a point" in text for text in warnings) == 1


def test_an_error_in_the_middle_of_a_video_ends_the_process_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((24, 32, 3), np.uint8))
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:45])  # its header is whole, which is looked at first
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "siampolar_ros.nodes.video_publisher_node", "--ros-args"]
    command += ["-p", f"path:={tmp_path}", "-p", "wait_for_subscribers:=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "[FATAL]" in line]
    assert "stopped: " in line and "1.png" in line
