"""How a node's process ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

CODE = """
import os, sys, threading, time
from rclpy.node import Node
from siampolar_ros.runtime.environment import local_environment
from siampolar_ros.runtime.run import run_node

class Slow:
    def __del__(self, write=os.write, sleep=time.sleep):
        write(1, b"late\\n")
        sleep(2)

slow = Slow()  # deleted when the interpreter is nearly through
os.environ.update(local_environment())
done = threading.Event()
done.set()
sys.exit(run_node("brief", lambda: Node("brief"), lambda node: None, done, []))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_very_end_does_not_spoil_the_exit_status(number: int) -> None:
    """``ros2 launch`` sends SIGTERM five seconds after SIGINT, as a slow process ends."""
    child = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"late\n"
    child.send_signal(number)
    assert child.wait(timeout=60) == 0
