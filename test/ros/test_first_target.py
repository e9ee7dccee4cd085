"""The node that starts a target on the first image: how it ends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy

from siampolar_ros.msg import InitResult
from siampolar_ros.nodes.first_target_node import FirstTargetNode
from siampolar_ros.runtime.environment import dds_environment, local_environment
from siampolar_ros.runtime.run import GivenUp


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[FirstTargetNode]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=["--ros-args", "-r", "__ns:=/first_rig", "-p", "box:='1,2,30,40'"])
    made = FirstTargetNode(threading.Event())
    yield made
    made.destroy_node()
    rclpy.shutdown()
    gc.collect()  # see node_rig.py


def test_a_refusal_ends_the_process_with_status_1(node: FirstTargetNode) -> None:
    with pytest.raises(GivenUp, match=r"^the target could not be started: it is too small$"):
        node._on_answer(InitResult(success=False, message="it is too small"))


def test_a_refusal_of_a_repeated_request_is_nothing_to_end_for(node: FirstTargetNode) -> None:
    node._on_answer(InitResult(success=True, id=1))
    node._on_answer(InitResult(success=False, message="a later request took its place"))
    assert node._first.went_on is not None
