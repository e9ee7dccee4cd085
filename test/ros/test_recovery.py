"""When the tracker node gives up on recovering, and that its process then ends."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from rclpy.node import Node
from rclpy.parameter import Parameter

from siampolar_model.errors import EngineError, EngineMissing, ProcessUnusable
from siampolar_ros.runtime.environment import dds_environment, local_environment
from siampolar_ros.runtime.run import GivenUp, run_node
from support.node_rig import UNCONFIGURED, FakeTracker, Rig


def fail(rig: Rig, load_error: Exception) -> None:
    """Let an image fail, and every attempt from then on."""
    rig.start_target()
    rig.load_error = load_error
    rig.trackers[0].broken = True
    rig.image(2_000)
    rig.wait(lambda: rig.state == UNCONFIGURED)


def test_a_failed_attempt_that_only_a_new_process_can_mend_ends_this_one(rig: Rig) -> None:
    with pytest.raises(GivenUp, match=r"cannot be configured: dead; the process ends, so that"):
        fail(rig, ProcessUnusable("dead"))
        rig.spin(5)
    assert not rig.node._recovery.pending


def test_a_failure_that_only_a_new_process_can_mend_ends_this_one_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: object, **__: object) -> NoReturn:
        raise ProcessUnusable("dead")

    monkeypatch.setattr(FakeTracker, "update", dead)
    with pytest.raises(GivenUp, match=r"all targets are lost: dead; the process ends"):
        fail(rig, EngineError("no device"))
    assert rig.state == UNCONFIGURED and len(rig.trackers) == 1


def test_auto_recover_that_is_switched_off_meanwhile_gives_nothing_up(rig: Rig) -> None:
    fail(rig, ProcessUnusable("dead"))
    rig.node.set_parameters([Parameter("auto_recover", value=False)])
    rig.spin(0.5)
    assert rig.state == UNCONFIGURED and not rig.node._recovery.pending


def test_an_engine_that_is_being_built_is_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorrt.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rig.node.set_parameters([Parameter("build_engine", value="if_missing")])
    fail(rig, EngineMissing("no engine"))
    rig.spin(0.5)
    assert rig.node._builder.running and not rig.node._recovery.pending


def test_a_node_that_gives_up_ends_with_a_status_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)

    def give_up() -> NoReturn:
        raise GivenUp("no device")

    def make() -> Node:
        node = Node("hopeless")
        node.create_timer(0.02, give_up)
        return node

    closed: list[Node] = []
    assert run_node("hopeless", make, closed.append, args=[]) == 1
    assert len(closed) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].endswith("[hopeless]: no device")
