"""A package of somebody else, really installed, adds an output, a data set and a command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import ROOT

TOY = ROOT / "test" / "support" / "toy_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the toy package into."""
    pytest.importorskip("wheel", reason="needs the extra dev")
    folder = tmp_path_factory.mktemp("toy")
    source, site = folder / "source", folder / "site"
    shutil.copytree(TOY, source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(site), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return site


def python(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own that sees the installed package."""
    path = os.pathsep.join(filter(None, (str(installed), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_command_is_listed_and_runs(installed: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    frames = [{"frame": k, "targets": [{"id": 1}, {"id": 2 + k}]} for k in range(3)]
    results.write_text("".join(json.dumps(frame) + "\n" for frame in frames))
    cli = ("-m", "siampolar_model.cli.main")
    assert "Count the targets" in python(installed, *cli, "--help").stdout
    done = python(installed, *cli, "count", str(results))
    assert (done.returncode, done.stdout) == (0, "4 targets in 3 frames\n"), done.stderr
    done = python(installed, *cli, "count", "absent.jsonl")
    assert (done.returncode, done.stderr) == (2, "error: absent.jsonl: no such file\n")


def test_entry_points_are_found_behind_the_messages_of_a_sourced_workspace(
    installed: Path, tmp_path: Path
) -> None:
    """There, ament's distribution of the same name comes first and has no entry points."""
    info = tmp_path / "siampolar_toy-1.0-py3.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: siampolar_toy\nVersion: 1.0\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += "import importlib.metadata, siampolar_model.plugins as ours; "
    code += "print([[one.name for one in found(group='siampolar.outputs')] "
    code += "for found in (importlib.metadata.entry_points, ours.entry_points)])"
    done = python(installed, "-c", code)
    assert done.stdout == "[[], ['largest']]\n", done.stderr


USE_DATA = """
import json, sys
from siampolar_model.network.config import load_config
from siampolar_training.data.config import data_config, open_training
values = {"sources": [{"kind": sys.argv[1], "root": sys.argv[2]}]}
network = load_config(sys.argv[3])
sample = open_training(data_config(values, "test"), network, length=8, seed=3)[0]
print(json.dumps({key: list(getattr(value, "shape", ())) for key, value in sample.items()}))
"""


def test_a_data_set_trains_by_the_name_of_its_kind(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="needs the extra train")
    rng = np.random.default_rng(2)
    for k in range(4):
        pixels = rng.integers(0, 256, (120, 160, 4), np.uint8)
        pixels[..., 3] = 0
        cv2.ellipse(pixels, (60 + 10 * k, 60), (30, 20), 0, 0, 360, (30, 90, 200, 255), -1)
        cv2.imwrite(str(tmp_path / f"{k}.png"), pixels)
    network = str(ROOT / "config" / "network" / "siampolar_lite0.yaml")
    done = python(installed, "-c", USE_DATA, "cutouts", str(tmp_path), network)
    assert done.returncode == 0, done.stderr
    shapes = json.loads(done.stdout)
    assert shapes["search"][-1] == 3 or shapes["search"][0] == 3, shapes
    done = python(installed, "-c", USE_DATA, "cutout", str(tmp_path), network)
    assert "kind 'cutout' is not one of" in done.stderr and "'cutouts')" in done.stderr
    (tmp_path / "4.png").write_bytes(b"no image")
    done = python(installed, "-c", USE_DATA, "cutouts", str(tmp_path), network)
    assert "4.png: not a readable PNG with an alpha channel" in done.stderr


@pytest.fixture
def graph(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A ROS graph whose child processes see the installed package."""
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
    from support.ros_graph import Graph

    path = os.pathsep.join(filter(None, (str(installed), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    made = Graph(tmp_path)
    yield made
    made.close()


def test_an_output_is_published_by_the_node(graph: Any) -> None:
    from geometry_msgs.msg import PointStamped
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    from siampolar_ros.messages.conversions import stamp_to_ns
    from siampolar_ros.msg import InitTarget

    graph.start_tracker()
    heard: list[PointStamped] = []
    graph.node.create_subscription(PointStamped, "tracker/largest", heard.append, 10)
    graph.wait(lambda: graph.node.count_publishers("tracker/largest") > 0)
    graph.spin(0.3)
    noise = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 5)
    image[80:144, 100:164] = np.kron([[20, 230] * 4, [230, 20] * 4] * 4, np.ones((8, 8)))[..., None]
    graph.publish_and_wait(image, 1_000)
    assert graph.ask(InitTarget(x=100.0, y=80.0, width=64.0, height=64.0)).success
    target = graph.publish_and_wait(image, 2_000).targets[0]
    graph.wait(lambda: heard and stamp_to_ns(heard[-1].header.stamp) == 2_000)
    point = heard[-1].point
    assert (point.x, point.y) == pytest.approx((132, 112), abs=8)
    assert point.z == pytest.approx(target.width * target.height, rel=1e-3)

    # Its parameter is one of the node's: checked like the others, and obeyed.
    client = graph.node.create_client(SetParameters, "tracker/set_parameters")
    graph.wait(client.service_is_ready)

    def change(value: float) -> Any:
        row = Parameter("largest.min_area_px", value=value).to_parameter_msg()
        future = client.call_async(SetParameters.Request(parameters=[row]))
        graph.wait(future.done)
        return future.result().results[0]

    assert "largest.min_area_px" in change(-1.0).reason and not change(-1.0).successful
    assert change(1e6).successful
    count = len(heard)
    graph.publish_and_wait(image, 3_000)
    graph.spin(0.3)
    assert len(heard) == count
