"""What a measurement ran on, to be written beside its figures."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

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


def machine() -> dict[str, str | int]:
    """Processor and number of cores that this process may use."""
    return {"cpu": _cpu_name(), "cores": len(os.sched_getaffinity(0))}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
