"""What an ONNX file says about itself: JSON in its metadata under the key ``siampolar``.

For people and tests. Engines do not read it: what a tracker must know stands in ``model.json``.
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
    """What :func:`write_metadata` wrote; empty if it wrote nothing."""
    found: dict[str, Any] = json.loads(
        next((entry.value for entry in model.metadata_props if entry.key == _KEY), "{}")
    )
    return found


def write_metadata(model: onnx.ModelProto, about: Mapping[str, Any]) -> None:
    """Replace all metadata of a graph, in place."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {_KEY: json.dumps(about)})


def derived_from(source: Path, model: onnx.ModelProto, precision: str) -> dict[str, Any]:
    """Metadata of a graph in another precision.

    Args:
        source: the file it is made from.
        model: the graph in that file.
    """
    return read_metadata(model) | {"precision": precision, "derived_from_sha256": sha256(source)}
