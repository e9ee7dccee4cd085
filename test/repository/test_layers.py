"""The layers of [tool.importlinter] in pyproject.toml hold; an import against them is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("importlinter", reason="needs the extra dev")

LINT = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; "
LINT += "sys.exit(lint_imports(no_cache=True))"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The Python files of the three packages and their configuration."""
    only_python = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder, package in (
        ("siampolar_model", "siampolar_model"),
        ("siampolar_ros", "siampolar_ros"),
        ("training", "siampolar_training"),
    ):
        shutil.copytree(ROOT / folder, tmp_path / package, ignore=only_python)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    """Exit status and output of ``lint-imports`` on this copy."""
    done = subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_every_import_keeps_to_the_layers(copy: Path) -> None:
    status, text = lint(copy)
    assert status == 0, text


@pytest.mark.parametrize(
    "file, line, contract",
    [
        ("siampolar_model/geometry/box.py", "import siampolar_model.session.session", "layers of"),
        ("siampolar_model/session/session.py", "import siampolar_ros.nodes", "knows neither"),
        ("siampolar_model/replay/replay.py", "import rclpy", "without ROS"),
        ("siampolar_ros/runtime/run.py", "import torch", "does not import torch"),
        ("siampolar_ros/messages/markers.py", "import siampolar_training.data", "knows neither"),
        ("siampolar_ros/runtime/run.py", "import siampolar_ros.nodes.tracker_node", "layers of"),
        # Allowed by the layers, but network imports torch: a chain of two imports.
        ("siampolar_model/tracking/tracker.py", "import siampolar_model.network.head", "torch"),
        ("siampolar_training/data/mixture.py", "import siampolar_training.run.ema", "layers of"),
        ("siampolar_model/new_folder/__init__.py", "", "layers of siampolar_model"),
    ],
)
def test_an_import_against_the_layers_is_refused(
    copy: Path, file: str, line: str, contract: str
) -> None:
    path = copy / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as source:
        source.write(f"\n{line}\n")
    status, text = lint(copy)
    assert status == 1, text
    broken = [row for row in text.splitlines() if row.rstrip().endswith("BROKEN")]
    if broken:
        assert any(contract in row for row in broken), text
    else:  # a layer without a place ends the run before the summary
        assert "new_folder" in text, text
