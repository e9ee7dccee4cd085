"""YAML files as plain values, and whether a dataclass can be made of them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: str | Path, error: type[ValueError]) -> Any:
    """What a YAML file holds.

    Raises:
        error: the file is not YAML.
        OSError: it cannot be read.
    """
    try:
        return yaml.safe_load(Path(path).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise error(f"{path}: not YAML ({' '.join(str(problem).split())})") from None


def keys_of(cls: type) -> str:
    """The keys that a dataclass takes, for messages."""
    return ", ".join(f.name for f in fields(cls))


def check_keys(cls: type, values: Any, where: str, error: type[ValueError]) -> None:
    """Refuse values whose keys do not make a dataclass.

    Raises:
        error: no group, or an unknown or missing key; it names the place and what is allowed.
    """
    known = {f.name: f for f in fields(cls)}
    if not isinstance(values, dict):
        raise error(f"{where}: is {values!r}; it must be a group of {keys_of(cls)}")
    for key in values:
        if key not in known:
            raise error(f"{where}: unknown key {key!r}; allowed: {keys_of(cls)}")
    for name, one in known.items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise error(f"{where}: the key {name!r} is missing")
