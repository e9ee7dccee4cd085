"""Reads and writes the description in an ONNX file: JSON in its metadata, key ``siampolar``.

It is for people and tests. Engines do not read it: a tracker takes what it needs from
``model.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from ..models.folder import sha256

_KEY = "siampolar"


def read_metadata(model: onnx.ModelProto) -> dict[str, Any]:
    """The description that :func:`write_metadata` wrote; empty if the file has none."""
    found: dict[str, Any] = json.loads(
        next((entry.value for entry in model.metadata_props if entry.key == _KEY), "{}")
    )
    return found


def write_metadata(model: onnx.ModelProto, about: Mapping[str, Any]) -> None:
    """Replace all metadata of a graph, in place, by ``about``."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {_KEY: json.dumps(about)})


def derived_from(source: Path, model: onnx.ModelProto, precision: str) -> dict[str, Any]:
    """Metadata for a graph that was derived in another precision.

    Args:
        source: the file that it was derived from.
        model: the graph in that file.
    """
    return read_metadata(model) | {"precision": precision, "derived_from_sha256": sha256(source)}
