"""The example of docs/in_your_robot.md, run as it stands against the real node."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from support.ros_graph import Graph

EXAMPLE = ROOT / "examples" / "follow_box.py"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    made = Graph(tmp_path)
    yield made
    made.close()


def test_the_example_starts_a_target_and_reads_its_outline(graph: Graph, tmp_path: Path) -> None:
    graph.start_tracker()
    noise = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 5)
    image[80:144, 100:164] = np.kron([[20, 230] * 4, [230, 20] * 4] * 4, np.ones((8, 8)))[..., None]
    graph.publish_and_wait(image, 1_000)
    log = tmp_path / "example.log"
    command = [sys.executable, str(EXAMPLE), "100", "80", "64", "64"]
    command += ["--ros-args", "-r", f"__ns:={graph.namespace}"]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ)
    graph.children.append(child)
    graph.wait(lambda: graph.answers, 30, log.read_text)
    assert graph.answers[-1].success
    stamp_ns = 2_000
    while not (found := re.search(r"target 1 is at (\d+), (\d+) px", log.read_text())):
        assert child.poll() is None and stamp_ns < 60_000, log.read_text()
        graph.publish_and_wait(image, stamp_ns)
        graph.spin(0.2)
        stamp_ns += 1_000
    assert "target 1: started" in log.read_text()
    assert [float(value) for value in found.groups()] == pytest.approx([132, 112], abs=8)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
