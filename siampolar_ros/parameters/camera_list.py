"""The YAML list of cameras.launch.py; knows no ROS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from siampolar_model.errors import SiampolarError

#: Arguments of tracker.launch.py that a camera may have, besides its namespace.
KEYS = (
    "image", "camera_info", "params_file", "engine", "model", "image_transport", "overlay",
    "num_threads",
)  # fmt: skip

_EXAMPLE = "cameras: [{name: front, image: /front/image_raw}]"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


class CameraListError(SiampolarError, ValueError):
    """A list that cannot be used; the message names the file, the entry and what is allowed."""


def read_cameras(path: str | Path) -> list[dict[str, str]]:
    """Arguments of tracker.launch.py for each camera of a file, ``namespace`` and ``image`` first.

    A relative ``params_file`` is relative to the folder of the list.

    Raises:
        CameraListError: the file is missing or not YAML, or an entry is not allowed.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CameraListError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraListError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    entries = content.get("cameras") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries or len(content) != 1:
        raise CameraListError(f"{path}: needs one key with a list, such as: {_EXAMPLE}")
    cameras = [_read(path, number, entry) for number, entry in enumerate(entries, 1)]
    names = [camera["namespace"] for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise CameraListError(f"{path}: two cameras are called {name!r}")
    return cameras


def _read(path: Path, number: int, entry: Any) -> dict[str, str]:
    where = f"{path}: camera {number}"
    if not isinstance(entry, dict):
        raise CameraListError(f"{where} is {entry!r}; it needs name and image, as in: {_EXAMPLE}")
    unknown = sorted(set(map(str, entry)) - {"name", *KEYS})
    if unknown:
        raise CameraListError(
            f"{where} has {', '.join(unknown)}; allowed are name, {', '.join(KEYS)}"
        )
    values = {key: _text(where, key, value) for key, value in entry.items()}
    if not _NAME.fullmatch(values.get("name", "")):
        raise CameraListError(
            f"{where} is called {values.get('name', '')!r}; a name has letters, digits and _, "
            "does not begin with a digit, and may have several parts between /"
        )
    if not values.get("image"):
        raise CameraListError(f"{where} has no image; give its topic, such as /front/image_raw")
    if values.get("params_file"):
        values["params_file"] = str(path.resolve().parent / values["params_file"])
    return {"namespace": values.pop("name"), **values}


def _text(where: str, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise CameraListError(f"{where}: {key} is {value!r}; it must be text")
    return str(value)
