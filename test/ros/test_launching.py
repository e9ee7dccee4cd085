"""What launch files check first, and that their nodes do not outlive them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siampolar_ros.runtime.launching import (
    LaunchError,
    check_module,
    check_package,
    check_params_file,
    launch_environment,
    launch_is_gone,
)


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ament_index_python", reason="needs ROS 2 (ament_index_python)")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with pytest.raises(LaunchError) as caught:
        check_package("no_such_viewer", "view:=true")
    assert str(caught.value) == (
        "view:=true needs the package no_such_viewer: sudo apt-get install ros-jazzy-no-such-viewer"
    )
    check_package("rclpy", "view:=true")


def test_a_module_that_is_missing_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(LaunchError, match=r"^view:=true needs nowhere_: pip install nowhere_$"):
        check_module("nowhere_", "view:=true")
    check_module("json", "view:=true")


def test_a_parameters_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"^params_file:=/nowhere\.yaml: no such file$"):
        check_params_file("/nowhere.yaml")
    path = tmp_path / "p.yaml"
    path.write_text("{}")
    check_params_file(str(path))
    check_params_file("")  # none was asked for


def test_a_process_knows_whether_the_launch_that_started_it_still_runs() -> None:
    own = launch_environment({})
    assert own["SIAMPOLAR_LAUNCH_PID"] == str(os.getpid())
    assert not launch_is_gone(own)
    assert not launch_is_gone({})  # started by hand
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert launch_is_gone({"SIAMPOLAR_LAUNCH_PID": str(ended.pid)})


def test_a_node_ends_with_the_launch_that_started_it() -> None:
    """However it ended: ``kill -9`` lets it end none of its processes."""
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from siampolar_ros.runtime.environment import local_environment

    launch = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = (
        "import sys; from rclpy.node import Node; from siampolar_ros.runtime.run import run_node; "
        "make = lambda: print('made', flush=True) or Node('brief'); "
        "sys.exit(run_node('brief', make, lambda node: None, args=[]))"
    )
    environment = {
        **os.environ, **local_environment(), "SIAMPOLAR_LAUNCH_PID": str(launch.pid)
    }  # fmt: skip
    node = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    assert node.stdout is not None and node.stdout.readline() == "made\n"
    assert node.poll() is None
    launch.kill()
    launch.wait()
    _, log = node.communicate(timeout=30)
    assert node.returncode == 0
    assert "the launch that started this node is gone, so the node ends" in log
