"""The demo's clip on machines without pip, without a network, and with the clip in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siampolar_ros.demo import default_clip
from siampolar_ros.demo.default_clip import ClipError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An interpreter without pip, as Debian and Ubuntu ship it."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(command, check=True)
    return tmp_path / "bare" / "bin" / "python"


def ask(python: Path, cache: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """Ask for the clip in a process that sees nothing but the standard library and our package."""
    code = "from siampolar_ros.demo.default_clip import *\ntry: print(default_clip().path)\n"
    code += "except ClipError as error: raise SystemExit(str(error))"
    environment = {
        "PATH": "/usr/bin:/bin",
        "XDG_CACHE_HOME": str(cache),
        "PYTHONPATH": ":".join(map(str, (*path, ROOT))),
    }
    kept = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k == "HOME"}
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, env={**kept, **environment}
    )


def test_what_is_in_the_cache_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_clip, "_run", lambda command: pytest.fail("ran something"))
    kept = tmp_path / "siampolar_ros" / "bikes.mp4"
    kept.parent.mkdir()
    kept.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_clip.default_clip().path == kept


def test_without_pip_and_venv_it_says_what_to_give_instead(bare: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "venv"
    broken.mkdir(parents=True)
    (broken / "__main__.py").write_text("raise SystemExit('no ensurepip')")
    (broken / "__init__.py").touch()
    done = ask(bare, tmp_path, broken.parent)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "neither pip nor venv is installed: sudo apt-get install python3-venv" in line
    assert "give your own video and a box x,y,w,h on its first frame" in line


def test_without_a_network_it_says_what_to_give_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ClipError, match=r"cannot be downloaded .*; give your own video"):
        default_clip._find(tmp_path)
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.slow
def test_an_interpreter_without_pip_gets_the_clip(bare: Path, tmp_path: Path) -> None:
    done = ask(bare, tmp_path)
    if "No matching distribution" in done.stderr:
        pytest.skip(f"no package index: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    clip = Path(done.stdout.splitlines()[-1])
    assert clip == tmp_path / "siampolar_ros" / "bikes.mp4" and clip.stat().st_size > 400_000
