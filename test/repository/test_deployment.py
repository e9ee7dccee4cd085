"""What deployment/ and docs/deployment.md promise."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from siampolar_ros.parameters import interfaces as interface_table

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENT = ROOT / "deployment"

# What the policy's camera and tracker are called; the nodes' own names are remapped to them.
CALLED = {
    "image": ("/camera/image_raw", "/camera/image_raw/compressed"),
    "the tracker's images": ("/camera/image_raw", "/camera/image_raw/compressed"),
    "camera_info": ("/camera/camera_info",),
}

# What rclpy gives every node, and every lifecycle node besides.
EVERY_NODE = {
    ("out", "/rosout"),
    ("out", "/parameter_events"),
    ("in", "/parameter_events"),
    ("in", "/clock"),
    *(
        ("service", f"~/{name}")
        for name in (
            "describe_parameters", "get_parameter_types", "get_parameters", "list_parameters",
            "set_parameters", "set_parameters_atomically", "get_type_description",
        )
    ),
}  # fmt: skip
LIFE_CYCLE = {
    ("out", "~/transition_event"),
    *(
        ("service", f"~/{name}")
        for name in (
            "change_state", "get_state", "get_available_states", "get_available_transitions",
            "get_transition_graph",
        )
    ),
}  # fmt: skip


def allowed(node: str) -> list[tuple[str, str]]:
    """The policy's rows for a node: kind as in the table of interfaces, and name."""
    policy = ElementTree.parse(DEPLOYMENT / "sros2_policy.xml").getroot()
    (enclave,) = (one for one in policy.iter("enclave") if one.get("path") == f"/{node}")
    (profile,) = enclave.iter("profile")
    assert profile.attrib == {"ns": "/", "node": node}
    kinds = {"publish": "out", "subscribe": "in", "reply": "service", "request": "calls"}
    rows = []
    for group in profile:
        for attribute, value in group.attrib.items():
            assert value == "ALLOW"
            rows += [(kinds[attribute], str(one.text)) for one in group]
    return rows


@pytest.mark.parametrize(
    ("node", "table", "every"),
    [
        ("tracker", interface_table.TRACKER, EVERY_NODE | LIFE_CYCLE),
        ("console", interface_table.CONSOLE, EVERY_NODE),
    ],
)
def test_the_policy_allows_what_a_node_needs_and_no_more(
    node: str, table: tuple[interface_table.Interface, ...], every: set[tuple[str, str]]
) -> None:
    needed = set(every)
    for row in table:
        name = row.name.replace("TRACKER/", "/tracker/")
        needed |= {(row.kind, one) for one in CALLED.get(name, (name,))}
    rows = allowed(node)
    assert len(rows) == len(set(rows))
    assert set(rows) == needed


def test_what_every_node_has_is_what_rclpy_gives() -> None:
    """With the rclpy that is installed, which may be younger than Humble's."""
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from rclpy.lifecycle import LifecycleNode
    from rclpy.node import Node

    rclpy.init(args=[])
    try:
        for kind, every in ((Node, EVERY_NODE), (LifecycleNode, EVERY_NODE | LIFE_CYCLE)):
            node = kind("bare")
            name = ("bare", "/")
            found = {
                *(("out", one) for one, _ in node.get_publisher_names_and_types_by_node(*name)),
                *(("in", one) for one, _ in node.get_subscriber_names_and_types_by_node(*name)),
                *(("service", one) for one, _ in node.get_service_names_and_types_by_node(*name)),
            }
            node.destroy_node()
            assert {(what, one.replace("/bare/", "~/")) for what, one in found} <= every
    finally:
        rclpy.shutdown()


def test_the_unit_is_valid() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "verify", DEPLOYMENT / "siampolar-tracker.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "siampolar" in line]
    assert done.returncode == 0 and ours == [], done.stderr


@pytest.mark.parametrize(
    "page", ["deployment/siampolar-tracker.service", "docs/deployment.md", "docs/jetson.md"]
)
def test_engines_are_built_where_the_service_looks(page: str) -> None:
    unit = (DEPLOYMENT / "siampolar-tracker.service").read_text()
    user, folder, cache = (
        re.search(pattern, unit, re.M)[1]  # type: ignore[index]
        for pattern in (r"^User=(\S+)", r"^WorkingDirectory=(\S+)", r"XDG_CACHE_HOME=%C(\S+)")
    )
    said = re.sub(r"\s*\\\n#?\s*", " ", (ROOT / page).read_text())  # one command over two lines
    environment = f"env XDG_CACHE_HOME=/var/cache{cache}"
    assert f"sudo -u {user} {environment} {folder}/venv/bin/siampolar build-engine\n" in said


@pytest.mark.parametrize("name", ["jazzy", "jetpack6", "jetpack7"])
def test_the_images_copy_and_install_what_there_is(name: str) -> None:
    text = (DEPLOYMENT / f"{name}.Dockerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.M):
        assert (ROOT / source).exists(), source
    extras = re.findall(r"src/siampolar_ros\[([a-z,]+)\]", text)
    assert extras and "console" in extras[0].split(",")
    declared = (ROOT / "pyproject.toml").read_text()
    for extra in extras[0].split(","):
        assert re.search(rf"^{extra} = \[", declared, re.M), extra
    launched = re.findall(r'"(\w+\.launch\.py)"', text)
    assert launched and all((ROOT / "launch" / one).is_file() for one in launched)


@pytest.mark.parametrize("name", ["jetpack6", "jetpack7"])
def test_rosdep_leaves_opencv_alone_on_a_jetson(name: str) -> None:
    text = (DEPLOYMENT / f"{name}.Dockerfile").read_text()
    installs = [line for line in text.splitlines() if "rosdep install" in line]
    assert installs and all('--skip-keys "python3-opencv"' in line for line in installs)


def test_nothing_is_unpickled() -> None:
    """torch.load only with weights_only, no pickle, no yaml.load, no allow_pickle, no eval."""
    paths = [p for part in ("siampolar_model", "siampolar_ros", "training", "launch")
             for p in sorted((ROOT / part).rglob("*.py"))]  # fmt: skip
    assert len(paths) > 50
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if called == "torch.load":
                assert given.get("weights_only") == "True", f"{path}:{node.lineno}"
            unsafe = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system"}
            assert called not in unsafe, f"{path}:{node.lineno}"
            assert given.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
            assert given.get("shell", "False") == "False", f"{path}:{node.lineno}"
