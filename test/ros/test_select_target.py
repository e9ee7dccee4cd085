"""The window of ``select_target``, with stand-ins for what needs a display."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from rclpy.executors import SingleThreadedExecutor

from siampolar_ros.nodes import select_target_node
from siampolar_ros.runtime.environment import dds_environment, local_environment


def test_the_window_lives_while_simulated_time_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(select_target_node, "open_window", lambda: None)
    for name, answer in (
        ("setMouseCallback", None), ("waitKey", ord("q")), ("getWindowProperty", 1.0),
        ("destroyAllWindows", None),
    ):  # fmt: skip
        monkeypatch.setattr(f"cv2.{name}", lambda *_, answer=answer: answer)
    rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
    executor = SingleThreadedExecutor()
    try:
        done = threading.Event()
        node = select_target_node.SelectTargetNode(done)
        executor.add_node(node)
        end = time.monotonic() + 10
        while not done.is_set() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        node.close()
        node.destroy_node()
        assert done.is_set(), "the key was not looked at"
    finally:
        executor.shutdown()
        rclpy.shutdown()
