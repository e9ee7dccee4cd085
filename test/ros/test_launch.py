"""The camera list, and the launch files where launch is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yaml", reason="needs PyYAML, which launch needs as well")

import cv2
import numpy as np
import yaml

from siampolar_ros.parameters.camera_list import KEYS, CameraListError, read_cameras

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return path


# ---- the list ------------------------------------------------------------------------------


def test_cameras_become_arguments_of_the_tracker(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "cameras:\n"
        "  - {name: front, image: /front/image, overlay: false, model: 7, params_file: a.yaml}\n"
        "  - {name: arm/left, image: image, params_file: /etc/b.yaml}\n",
    )
    assert read_cameras(path) == [
        {
            "namespace": "front", "image": "/front/image", "overlay": "false", "model": "7",
            "params_file": str(tmp_path / "a.yaml"),
        },
        {"namespace": "arm/left", "image": "image", "params_file": "/etc/b.yaml"},
    ]  # fmt: skip


def test_the_shipped_list_can_be_used_and_names_every_key() -> None:
    path = ROOT / "config" / "cameras.yaml"
    assert [camera["namespace"] for camera in read_cameras(path)] == ["front", "rear"]
    uncommented = path.read_text().replace("    # ", "    ")
    assert set(yaml.safe_load(uncommented)["cameras"][0]) == {"name", *KEYS}


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "needs one key with a list"),
        ("cameras: []", "needs one key with a list"),
        ("cameras: [{name: a, image: b}]\nother: 1", "needs one key with a list"),
        ("cameras: [", "is not YAML"),
        ("cameras: [7]", "camera 1 is 7; it needs name and image"),
        ("cameras: [{name: a, image: b, topic: c}]", "camera 1 has topic; allowed are name, image"),
        ("cameras: [{image: b}]", "camera 1 is called ''; a name has letters"),
        ("cameras: [{name: 1st, image: b}]", "camera 1 is called '1st'"),
        ("cameras: [{name: a}]", "camera 1 has no image; give its topic"),
        ("cameras: [{name: a, image: [b]}]", r"image is \['b'\]; it must be text"),
        ("cameras: [{name: a, image: b}, {name: a, image: c}]", "two cameras are called 'a'"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CameraListError, match=words):
        read_cameras(write(tmp_path, text))


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CameraListError, match=r"nowhere\.yaml: No such file"):
        read_cameras(tmp_path / "nowhere.yaml")


# ---- configuration files -------------------------------------------------------------------


def test_rviz_and_foxglove_show_topics_that_exist() -> None:
    from siampolar_ros.parameters.interfaces import TRACKER

    published = {"/" + row.name.replace("~", "tracker").lstrip("/") for row in TRACKER}
    rviz = yaml.safe_load((ROOT / "config" / "tracker.rviz").read_text())
    displays = rviz["Visualization Manager"]["Displays"]
    shown = {display["Class"].partition("/")[2]: display["Topic"]["Value"] for display in displays}
    assert shown == {
        "MarkerArray": "/tracker/markers", "Camera": "/image", "Image": "/tracker/overlay",
    }  # fmt: skip
    names = {display["Name"] for display in displays}
    assert set(next(d for d in displays if d["Name"] == "Camera")["Visibility"]) <= names | {
        "Value"
    }
    assert set(shown.values()) <= published

    layout = json.loads((ROOT / "config" / "foxglove.json").read_text())
    placed: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, str):
            placed.append(node)
        else:
            walk(node["first"])
            walk(node["second"])

    walk(layout["layout"])
    assert sorted(placed) == sorted(layout["configById"])
    text = json.dumps(layout["configById"])
    for topic in (
        "/tracker/overlay/compressed", "/tracker/markers", "/tracker/targets", "/diagnostics",
        "/tracker/init_roi", "/image", "/camera_info",
    ):  # fmt: skip
        assert topic in published and f'"{topic}' in text


def test_the_parameters_file_repeats_no_default_and_leaves_the_clock_alone() -> None:
    content = yaml.safe_load((ROOT / "config" / "tracker.yaml").read_text())
    assert content == {"/**": {"ros__parameters": {}}}


# ---- launched ------------------------------------------------------------------------------


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Any]:
    """Starts launch files as ``ros2 launch`` does, and ends them with an interrupt."""
    for name in ("launch_ros", "ros2launch"):
        pytest.importorskip(name, reason="needs an installed ROS 2 (ros2 launch)")
    children: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "ROS_LOG_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(name, None)

    def start(name: str, *arguments: str, **more: str) -> tuple[subprocess.Popen[str], Path]:
        log = tmp_path / f"{len(children)}.log"
        ros2 = Path(sys.executable).with_name("ros2")
        command = [str(ros2) if ros2.exists() else "ros2", "launch", str(ROOT / "launch" / name)]
        with log.open("w") as file:
            child = subprocess.Popen(
                [*command, *arguments], stdout=file, stderr=file, text=True,
                env={**environment, **more},
            )  # fmt: skip
        children.append(child)
        return child, log

    yield start
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(timeout=30)


def wait_for(log: Path, words: str, count: int = 1, seconds: float = 90) -> str:
    end = time.monotonic() + seconds
    while log.read_text().count(words) < count:
        assert time.monotonic() < end, f"{words!r} not in: {log.read_text()}"
        time.sleep(0.2)
    return log.read_text()


@pytest.mark.slow
def test_tracker_launch_passes_its_arguments_on(launched: Any, tmp_path: Path) -> None:
    params = tmp_path / "p.yaml"
    params.write_text("/**:\n  ros__parameters:\n    max_targets: 3\n    engine: abacus\n")
    child, log = launched(
        "tracker.launch.py", f"params_file:={params}", "image:=camera/image_raw",
        "namespace:=robot", "engine:=onnxruntime", "overlay:=false", "select:=true",
    )  # fmt: skip
    # The engine given by name wins over the one of the file.
    wait_for(log, "active: images from /robot/camera/image_raw")
    # select_target ends for lack of a display, and launch says how it was called.
    text = wait_for(log, "process has died")
    assert re.search(rf"/select_target --ros-args .*--params-file {params} ", text)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 0
    assert "stopped: received 0" in log.read_text()


@pytest.mark.slow
def test_one_tracker_for_each_camera(launched: Any, tmp_path: Path) -> None:
    cameras = write(
        tmp_path,
        "cameras:\n  - {name: front, image: /a/image, engine: onnxruntime, params_file: p.yaml}\n"
        "  - {name: rear, image: /b/image}\n",
    )
    # An argument of the first camera must not reach the second.
    (tmp_path / "p.yaml").write_text("/**:\n  ros__parameters:\n    image_transport: compressed\n")
    _, log = launched("cameras.launch.py", f"cameras:={cameras}")
    text = wait_for(log, "active: images from", count=2)
    assert "[front.tracker]: active: images from /a/image/compressed" in text
    assert "[rear.tracker]: active: images from /b/image\n" in text


@pytest.mark.slow
def test_a_tracker_that_crashes_is_started_again(launched: Any) -> None:
    child, log = launched("tracker.launch.py", "engine:=onnxruntime")
    text = wait_for(log, "active: images from")
    (pid,) = re.findall(r"process started with pid \[(\d+)\]", text)
    os.kill(int(pid), signal.SIGSEGV)
    wait_for(log, "active: images from", count=2)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 0
    assert log.read_text().count("process started with pid") == 2


@pytest.mark.slow
def test_the_demo_ends_with_its_video(launched: Any, tmp_path: Path) -> None:
    video = tmp_path / "video"
    video.mkdir()
    for number in range(10):
        cv2.imwrite(str(video / f"{number}.png"), np.zeros((96, 128, 3), np.uint8))
    child, log = launched(
        "demo.launch.py",
        f"video:={video}",
        "box:=30,30,40,40",
        "engine:=onnxruntime",
        "headless:=true",
    )
    assert child.wait(timeout=90) == 0
    text = log.read_text()
    assert "stopped: received 10" in text
    assert text.count("[tracker-3]: process started with pid") == 1


@pytest.mark.slow
def test_the_demo_goes_on_with_a_console_until_an_interrupt(launched: Any, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp (extra console)")
    video = tmp_path / "video"
    video.mkdir()
    for k in range(10):
        cv2.imwrite(str(video / f"{k:02d}.png"), np.zeros((96, 128, 3), np.uint8))
    child, log = launched("demo.launch.py", f"video:={video}", "engine:=onnxruntime", "port:=0")
    text = wait_for(log, "open http://127.0.0.1:")
    assert "Open the address that the console prints. Drag a box around the object" in text
    wait_for(log, "active: images from")
    time.sleep(2.0)  # longer than the video
    assert child.poll() is None
    page = re.search(r"open (http://\S+)", text)
    assert page is not None
    with urllib.request.urlopen(page.group(1), timeout=20) as answer:
        assert b"siampolar console" in answer.read()
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 0
    started = re.findall(r"process started with pid \[(\d+)\]", log.read_text())
    assert len(started) == 3 and not any(Path("/proc", pid).exists() for pid in started)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("cameras.launch.py", ("cameras:=/nowhere.yaml",), "/nowhere.yaml: No such file"),
        ("tracker.launch.py", ("overlay:=perhaps",), "Valid options are: ['', 'true', 'false']"),
        ("demo.launch.py", ("video:=/x.mp4",), "video:=/x.mp4: there is no such file or folder"),
        (
            "demo.launch.py",
            (f"video:={ROOT}", "headless:=true"),
            "headless:=true needs box:=x,y,w,h on the first frame",
        ),
        ("tracker.launch.py", ("params_file:=/no.yaml",), "params_file:=/no.yaml: no such file"),
    ],
)
def test_a_wrong_argument_is_one_line(
    launched: Any, name: str, arguments: tuple[str, ...], words: str
) -> None:
    child, log = launched(name, *arguments)
    assert child.wait(timeout=60) == 1
    assert words in log.read_text() and "Traceback" not in log.read_text()
    assert nodes_of(child.pid) == []


def nodes_of(launch_pid: int) -> list[str]:
    """The command lines of running nodes that a launch started, if it runs or not."""
    mark = f"SIAMPOLAR_LAUNCH_PID={launch_pid}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another user's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tracker.launch.py", "demo.launch.py"])
def test_a_viewer_that_is_missing_is_refused_before_anything_starts(
    launched: Any, name: str
) -> None:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        child, log = launched(name, "rviz:=true")
        assert child.wait(timeout=60) == 1
        text = log.read_text()
        assert "rviz:=true needs the package rviz2: sudo apt-get install ros-" in text
        assert "process started" not in text and nodes_of(child.pid) == []
    else:
        pytest.skip("rviz2 is installed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("tracker.launch.py", ("console:=true",), "console:=true needs aiohttp"),
        ("demo.launch.py", (), "the console (or give headless:=true) needs aiohttp"),
    ],
)
def test_a_console_without_its_server_is_refused_before_anything_starts(
    launched: Any, name: str, arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['aiohttp'] = None\n")
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    child, log = launched(name, *arguments, PYTHONPATH=path)
    assert child.wait(timeout=60) == 1
    assert f"{words}: pip install aiohttp" in log.read_text()
    assert "process started" not in log.read_text() and nodes_of(child.pid) == []


@pytest.mark.slow
def test_a_bad_camera_keeps_all_from_starting(launched: Any, tmp_path: Path) -> None:
    cameras = write(
        tmp_path,
        "cameras:\n  - {name: a, image: /a}\n  - {name: b, image: /b, params_file: no.yaml}\n",
    )
    child, log = launched("cameras.launch.py", f"cameras:={cameras}")
    assert child.wait(timeout=60) == 1
    assert f"params_file:={tmp_path}/no.yaml: no such file" in log.read_text()
    assert "process started" not in log.read_text() and nodes_of(child.pid) == []


@pytest.mark.slow
def test_nodes_do_not_outlive_a_launch_that_is_killed(launched: Any) -> None:
    child, log = launched("tracker.launch.py", "engine:=onnxruntime")
    wait_for(log, "active: images from")
    child.kill()
    child.wait()
    end = time.monotonic() + 30
    while nodes_of(child.pid):
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_target_3d_launch_passes_its_arguments_on(launched: Any, tmp_path: Path) -> None:
    params = tmp_path / "p.yaml"
    params.write_text("/**:\n  ros__parameters:\n    source: depth\n    max_depth: 8\n")
    child, log = launched(
        "target_3d.launch.py", f"params_file:={params}", "source:=height", "known_height:=1.75",
        "namespace:=robot", "targets:=/front/tracker/targets", "target_id:=3",
    )  # fmt: skip
    # The source given by name wins over the one of the file.
    wait_for(log, "distances from known_height, outlines from /front/tracker/targets")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 0


@pytest.fixture
def pretended_nav2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with Nav2's names whose executables only tell how they were called."""
    prefix = tmp_path / "prefix"
    for package, executable in (
        ("opennav_following", "opennav_following"),
        ("nav2_lifecycle_manager", "lifecycle_manager"),
        ("tf2_ros_py", "none"),
    ):
        for folder in ("share/ament_index/resource_index/packages", f"lib/{package}"):
            (prefix / folder).mkdir(parents=True, exist_ok=True)
        (prefix / "share/ament_index/resource_index/packages" / package).touch()
        stub = prefix / "lib" / package / executable
        stub.write_text('#!/bin/sh\necho "called: $0 $*"\nexec sleep 120\n')
        stub.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}:{os.environ['AMENT_PREFIX_PATH']}")


@pytest.mark.slow
def test_follow_launch_starts_everything_that_follows(pretended_nav2: None, launched: Any) -> None:
    child, log = launched(
        "../examples/follow/follow.launch.py", "image:=/camera/image_raw",
        "depth:=/camera/depth/image_raw", "odom_frame:=odom_2",
    )  # fmt: skip
    wait_for(log, "active: images from /camera/image_raw")
    if importlib.util.find_spec("tf2_ros"):
        wait_for(log, "distances from /camera/depth/image_raw, outlines from /tracker/targets")
    else:
        wait_for(log, "changing frames needs the package tf2_ros")
    wait_for(log, "called: ", count=2)
    text = log.read_text()
    assert re.search(r"called: \S+/opennav_following .*__node:=following_server", text)
    assert f"--params-file {ROOT}/examples/follow/following_server.yaml" in text
    child.send_signal(signal.SIGINT)
    child.wait(timeout=30)


@pytest.mark.slow
def test_follow_launch_without_nav2_starts_nothing(launched: Any) -> None:
    child, log = launched("../examples/follow/follow.launch.py", "image:=/a", "depth:=/b")
    assert child.wait(timeout=60) == 1
    text = log.read_text()
    assert "needs the package opennav_following: sudo apt-get install" in text
    assert "process started" not in text
