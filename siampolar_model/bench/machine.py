"""What a measurement ran on, to be written next to its figures."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import numpy as np

from ..engines.cpu import cpu_flags, cpu_name
from .results import Machine

# Runtimes of the engines, by the names of their distributions.
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "torch")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that results depend on."""
    import cv2  # here, so that the command is listed where OpenCV is missing

    found = {"siampolar_ros": _version("siampolar_ros") or "not installed"}
    found |= {"python": platform.python_version(), "numpy": np.__version__}
    found["opencv"] = cv2.__version__
    for name in _RUNTIMES:
        version = _version(name)
        if version is not None:
            found[name] = version
    return found


def machine() -> Machine:
    """The processor that this process runs on."""
    return Machine(cpu_name(), tuple(cpu_flags()), len(os.sched_getaffinity(0)))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
