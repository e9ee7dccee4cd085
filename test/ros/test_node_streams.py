"""The tracker in a process of its own on streams that are not plain: compressed, or lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from siampolar_model.io.video import VideoWriter
from siampolar_ros.messages.conversions import jpeg_from_bgr, stamp_from_ns, stamp_to_ns
from siampolar_ros.msg import InitTarget, Target
from support.ros_graph import Graph


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    made = Graph(tmp_path)
    yield made
    made.close()


def scene(index: int) -> np.ndarray:
    """Blurred noise with a checkered square that moves to the right, 2 px an image."""
    noise = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 5)
    tile = np.kron([[0, 255] * 4, [255, 0] * 4] * 4, np.ones((8, 8)))
    x = 100 + 2 * index
    image[80:144, x : x + 64] = tile[..., None] * np.array([0.2, 0.6, 1.0])
    return image


def test_jpeg_images_are_followed_and_a_damaged_one_does_no_harm(graph: Graph) -> None:
    graph.start("tracker_node", image_transport="compressed")
    images = graph.node.create_publisher(CompressedImage, "image/compressed", 10)
    publishers = (images, graph.init_target)
    graph.wait(lambda: all(p.get_subscription_count() for p in publishers), 120)
    graph.wait(lambda: graph.node.count_publishers("tracker/targets"), 30)
    first_ns = time.time_ns()

    def send(index: int, keep: int | None = None) -> int:
        header = Header(stamp=stamp_from_ns(first_ns + index * 100_000_000), frame_id="camera")
        message = jpeg_from_bgr(scene(index), header)
        if keep is not None:
            message.data = message.data[:keep]
        images.publish(message)
        return stamp_to_ns(header.stamp)

    def follow(index: int) -> list[Target]:
        stamp_ns = send(index)
        graph.wait(lambda: graph.result_of(stamp_ns), 20, lambda: graph.log("tracker_node"))
        return list(graph.result_of(stamp_ns).targets)  # type: ignore[union-attr]

    assert follow(0) == []
    init = InitTarget(x=100.0, y=80.0, width=64.0, height=64.0)
    assert graph.ask(init).success
    for index in range(1, 6):
        (target,) = follow(index)
    send(6, keep=20)  # not even its size is left
    (target,) = follow(7)
    assert target.state == Target.TRACKING
    assert abs(target.x - 114) < 8 and abs(target.y - 80) < 8
    assert "image refused: JPEG image without a frame header" in graph.log("tracker_node")


@pytest.mark.slow
def test_images_that_are_lost_for_want_of_the_profile_are_diagnosed(
    graph: Graph, tmp_path: Path
) -> None:
    """Camera and tracker without the profile, best effort: hardly any image of 720p arrives."""
    with VideoWriter(tmp_path / "wide.mp4", 15) as video:
        for index in range(5):
            video.write(cv2.resize(scene(index), (1280, 720)))
    said: list[DiagnosticStatus] = []
    graph.node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: said.extend(message.status), 10
    )
    bare = {name: value for name, value in os.environ.items() if "PROFILES_FILE" not in name}

    def start(module: str, **parameters: object) -> None:
        command = [sys.executable, "-m", f"siampolar_ros.nodes.{module}", "--ros-args"]
        command += ["-r", f"__ns:={graph.namespace}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        with (tmp_path / f"{module}.log").open("wb") as log:
            graph.children.append(subprocess.Popen(command, stdout=log, stderr=log, env=bare))

    start("tracker_node", image_reliability="best_effort")
    start(
        "video_publisher_node", path=tmp_path / "wide.mp4", loop=True, rate=15.0,
        horizontal_fov=60.0,
    )  # fmt: skip

    name = f"{graph.namespace[1:]}/tracker: images"

    def verdicts() -> list[tuple[bytes, str]]:
        return [(s.level, s.message) for s in said if s.name == name]

    def is_diagnosed(level: bytes, text: str) -> bool:
        words = "arrived in" in text and "config/fastdds.xml" in text
        return words and level == DiagnosticStatus.ERROR

    # After the first images about half of them may have arrived, which is only worth a warning.
    graph.wait(lambda: any(is_diagnosed(*one) for one in verdicts()), 120, verdicts)
    said.clear()
    graph.spin(6)  # longer than what the node looks back
    assert len(verdicts()) >= 3 and all(is_diagnosed(*one) for one in verdicts()), verdicts()
