"""``build_engine: if_missing``: built in a child process, and the node starts afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from rclpy.parameter import Parameter

from siampolar_model.errors import EngineMissing
from support.node_rig import ACTIVE, UNCONFIGURED, Rig, ros_rig

STAND_IN = Path(__file__).resolve().parents[1] / "support" / "stand_in"


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with ros_rig(monkeypatch) as made:
        made.load_error = EngineMissing("no engine")
        made.node.set_parameters([Parameter("build_engine", value="if_missing")])
        yield made
        made.node.close()


def child(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """A package ``tensorrt`` whose import does what a build would do."""
    (folder / "tensorrt.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def finished(rig: Rig) -> Callable[[], bool]:
    return lambda: not rig.node._builder.running


def test_a_missing_engine_is_built_beside_the_node_which_then_starts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pytest.importorskip("onnxruntime")
    rig.node.autostart()
    assert rig.state == UNCONFIGURED and rig.node._builder.running, "the callback waited for it"
    rig.load_error = None
    rig.wait(finished(rig), seconds=120)
    assert list((tmp_path / "siampolar" / "tensorrt").glob("*/search.plan"))
    rig.wait(lambda: rig.state == ACTIVE)
    assert len(rig.trackers) == 1


def test_an_engine_that_is_still_missing_after_a_build_is_not_built_again(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pytest.importorskip("onnxruntime")
    rig.node.autostart()
    rig.wait(finished(rig), seconds=120)
    assert rig.state == UNCONFIGURED
    assert "was built but is not found" in capfd.readouterr().err


def test_a_build_that_fails_is_logged_and_the_node_stays_unconfigured(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    child(monkeypatch, tmp_path, "raise ImportError('no libnvinfer')")
    rig.node.autostart()
    rig.wait(finished(rig), seconds=120)
    assert rig.state == UNCONFIGURED and not rig.trackers
    assert "was not built: engine tensorrt cannot be used" in capfd.readouterr().err


def test_configuring_again_meanwhile_is_refused_and_closing_ends_the_build(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    child(monkeypatch, tmp_path, "import time; time.sleep(600)")
    rig.node.autostart()
    rig.load_error = None
    rig.node.trigger_configure()
    assert rig.state == UNCONFIGURED
    assert "still being built" in capfd.readouterr().err
    process = rig.node._builder._build._child
    rig.node.close()
    assert process.poll() is not None
    rig.spin(0.2)
    assert rig.state == UNCONFIGURED and not rig.trackers


def test_without_the_parameter_nothing_is_built(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    rig.node.set_parameters([Parameter("build_engine", value="never")])
    rig.node.autostart()
    assert rig.state == UNCONFIGURED and not rig.node._builder.running
    assert "cannot be configured: no engine" in capfd.readouterr().err
