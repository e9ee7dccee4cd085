"""What all tests share: where optional data lies, and what must be present on this run."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A change is judged by the same examples every time; everywhere else new ones are looked for.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SIAMPOLAR_DATA", ROOT.parent / "shared" / "data"))


def pytest_configure(config: pytest.Config) -> None:
    """Let children be interrupted, and refuse to run without what the caller promised, so that
    no skip hides a broken setup.

    A shell starts what it runs in the background with SIGINT ignored, and children inherit that.

    Tests of optional parts skip where those are not installed; ``make test`` names in
    SIAMPOLAR_REQUIRE (module names, comma-separated) what its environment does hold.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    required = [name for name in os.environ.get("SIAMPOLAR_REQUIRE", "").split(",") if name]
    missing = [name for name in required if not _importable(name)]
    if missing:
        raise pytest.UsageError(
            f"SIAMPOLAR_REQUIRE names {', '.join(missing)}, which cannot be imported here"
        )


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A node_rig.Rig in a ROS context of its own."""
    from support.node_rig import ros_rig  # needs ROS

    with ros_rig(monkeypatch) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; skips where mounting one is not allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    # Lazily: PyAV does not close a file whose header it could not write.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Find optional data by name, such as ``shared_data("davis-dev")``; skips where it is absent.

    Data lies in ``../shared/data`` next to the repository, or where SIAMPOLAR_DATA says.
    """

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"data {name!r} not found in {DATA}; SIAMPOLAR_DATA names another folder")
        return path

    return find
