"""The shell lines that README, docs and deployment/ print: well formed and true of this package."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from siampolar_ros.parameters.reference import NODES
from siampolar_ros.parameters.table import parameters_of

yaml = pytest.importorskip("yaml", reason="needs pyyaml")

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMPOSE = yaml.safe_load((ROOT / "deployment" / "compose.yaml").read_text())

#: The files that a line sources exist on the reader's machine only.
NOT_HERE = "SC1090,SC1091"

#: What ros2 launch and ros2 run take themselves.
OF_ROS = {"use_sim_time"}


def blocks() -> Iterator[tuple[str, str]]:
    """Where each block of shell lines stands, and its text."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in re.finditer(r"^```(?:sh|bash)[^\n]*\n(.*?)^```$", text, re.M | re.S):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", found.group(1)


def ros_lines() -> list[tuple[str, list[str]]]:
    """Every ``ros2`` command of the pages, in running text too, and of compose.yaml, as words."""
    lines = [
        (where, line) for where, text in blocks() for line in text.replace("\\\n", " ").splitlines()
    ]
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        where = str(page.relative_to(ROOT))
        lines += [(where, " ".join(one.split())) for one in re.findall(r"`(ros2\s[^`]+)`", prose)]
    found = []
    for where, line in lines:
        words = shlex.split(line, comments=True)
        if "ros2" in words and len(words) - words.index("ros2") > 2:
            found.append((where, words[words.index("ros2") :]))
    for name, service in COMPOSE["services"].items():
        found.append((f"compose.yaml: {name}", shlex.split(service["command"])))
    return found


def test_there_are_lines_to_check() -> None:
    assert len(list(blocks())) > 20 and len(ros_lines()) > 20


@pytest.mark.parametrize(("where", "text"), [pytest.param(*one, id=one[0]) for one in blocks()])
def test_shellcheck_finds_nothing(where: str, text: str) -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if shellcheck is None:
        pytest.skip("needs shellcheck (extra dev)")
    done = subprocess.run(
        [shellcheck, "--shell=bash", f"--exclude={NOT_HERE}", "--format=gcc", "-"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{where}: {done.stdout}"


@pytest.mark.parametrize("script", ["deployment/entrypoint.sh", ".ci/run", "scripts/with_env"])
def test_shellcheck_finds_nothing_in_our_scripts(script: str) -> None:
    test_shellcheck_finds_nothing(script, (ROOT / script).read_text())


def problem_of(words: list[str]) -> str:
    """What is not true in a ``ros2`` command; empty if everything is."""
    verb, rest = words[1], words[2:]
    if verb == "launch" and rest[0] == "siampolar_ros":
        return launch_problem(rest[1], rest[2:])
    if verb == "run" and rest[0] == "siampolar_ros":
        return run_problem(rest[1], rest[2:])
    if verb == "param" and rest[0] == "set" and rest[1] == "/tracker":
        return "" if rest[2] in names_of("tracker") else f"no parameter {rest[2]}"
    topics = {row.name.replace("~", "/tracker") for row in NODES["tracker"][1]}
    if verb in ("topic", "service"):
        for word in rest[1:]:
            if word.startswith("/tracker/") and word not in topics:
                return f"no topic or service {word}"
    return ""


def launch_problem(name: str, arguments: list[str]) -> str:
    path = ROOT / "launch" / name
    if not path.is_file():
        return f"no launch file {name}"
    for word in arguments:
        argument = word.partition(":=")[0]
        if ":=" in word and not re.search(rf'"{argument}"', path.read_text()):
            return f"{name} has no argument {argument}"
    return ""


def run_problem(node: str, arguments: list[str]) -> str:
    if node not in NODES:
        return f"no node {node}"
    for flag, word in itertools.pairwise(arguments):
        name = word.partition(":=")[0]
        if flag == "-p" and name not in names_of(node) | OF_ROS:
            return f"{node} has no parameter {name}"
    return ""


def names_of(node: str) -> set[str]:
    return {one.name for one in parameters_of(NODES[node][2])}


@pytest.mark.parametrize(
    ("where", "words"), [pytest.param(*one, id=f"{one[0]} {one[1][:4]}") for one in ros_lines()]
)
def test_ros_commands_name_what_there_is(where: str, words: list[str]) -> None:
    assert not problem_of(words), f"{where}: {' '.join(words)}"


@pytest.mark.parametrize(
    "line",
    [
        "ros2 launch siampolar_ros trakcer.launch.py",
        "ros2 launch siampolar_ros tracker.launch.py topic:=/x",
        "ros2 run siampolar_ros trakcer",
        "ros2 run siampolar_ros tracker --ros-args -p trackingscore:=0.6",
        "ros2 param set /tracker trackingscore 0.6",
        "ros2 topic echo /tracker/target",
    ],
)
def test_a_mistake_would_be_found(line: str) -> None:
    assert problem_of(shlex.split(line))


def test_shared_memory_goes_with_one_user() -> None:
    """Fast DDS shares memory only between processes of one user."""
    for where, text in blocks():
        for line in text.replace("\\\n", " ").splitlines():
            if "--ipc" in line:
                assert "--user" in line, where
    for name, service in COMPOSE["services"].items():
        assert service["ipc"] == service["network_mode"] == "host", name
        assert service["user"] == COMPOSE["x-ros"]["user"], name
        assert service["environment"]["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds.xml")
