"""What a measurement ran on, to be written beside its figures."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import cv2
import numpy as np

from ..engines.cpu import cpu_flags, cpu_name

# Runtimes of the engines, by the names of their distributions.
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "torch")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that results depend on."""
    found = {"siampolar_ros": _version("siampolar_ros") or "not installed"}
    found |= {"python": platform.python_version(), "numpy": np.__version__}
    found["opencv"] = cv2.__version__
    for name in _RUNTIMES:
        version = _version(name)
        if version is not None:
            found[name] = version
    return found


def machine() -> dict[str, Any]:
    """Processor, its instructions for networks, and number of cores that this process may use."""
    return {
        "cpu": cpu_name(),
        "cpu_flags": list(cpu_flags()),
        "cores": len(os.sched_getaffinity(0)),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
