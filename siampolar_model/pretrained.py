"""Finds a model's files, checks them, and loads them into an engine.

A model is a folder with ``template.onnx``, ``search.onnx``, ``SHA256SUMS`` and a model card; for
training and comparison also ``weights.safetensors``.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

from .engines.base import Engine, EngineError

_WEIGHTS = Path(__file__).parent / "weights"

#: Engine name -> (module, class, extra that brings the runtime). Imported only when asked for, so
#: that a robot needs no more than the runtime it uses.
ENGINES: dict[str, tuple[str, str, str]] = {
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine", "cpu"),
    "openvino": ("openvino_engine", "OpenVinoEngine", "openvino"),
    "torch": ("torch_engine", "TorchEngine", "train"),
}

#: What "auto" tries, in this order.
AUTO = ("onnxruntime",)

FILES = ("template.onnx", "search.onnx")


def shipped_models() -> list[str]:
    """Names of the models in this package."""
    return sorted(p.parent.name for p in _WEIGHTS.glob("*/SHA256SUMS"))


def model_folder(name_or_path: str | Path) -> Path:
    """The folder of a shipped model or of one given by its path, with its hashes checked.

    Raises:
        EngineError: unknown, or a file is missing or altered.
    """
    folder = _WEIGHTS / name_or_path
    if not (folder / "SHA256SUMS").is_file():
        folder = Path(name_or_path)
    if not (folder / "SHA256SUMS").is_file():
        raise EngineError(
            f"model {str(name_or_path)!r} is neither shipped ({', '.join(shipped_models())}) nor "
            "a folder with template.onnx, search.onnx and SHA256SUMS"
        )
    expected = _read_sums(folder / "SHA256SUMS")
    for file in FILES:
        if file not in expected or not (folder / file).is_file():
            raise EngineError(f"{folder / file} is missing or not in SHA256SUMS; install it again")
    for file, digest in expected.items():
        path = folder / file
        if path.is_file() and sha256(path) != digest:
            raise EngineError(
                f"{path} was altered: SHA-256 is {sha256(path)}, SHA256SUMS says {digest}"
            )
    return folder


def _read_sums(path: Path) -> dict[str, str]:
    """File name to digest, as ``sha256sum`` writes them."""
    sums = {}
    for line in path.read_text().splitlines():
        parts = line.split(maxsplit=1)
        if len(parts) != 2:
            raise EngineError(f"{path}: line {line!r} is not a SHA-256 and a file name")
        sums[parts[1].lstrip("*")] = parts[0]
    return sums


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_engine(
    name_or_path: str | Path, engine: str = "auto", num_threads: int | None = None
) -> Engine:
    """Load a model into a runtime.

    Args:
        engine: a key of :data:`ENGINES`, or "auto".
        num_threads: threads of the runtime; None: one per core.

    Raises:
        EngineError: unknown or unusable engine, unknown model, missing or altered file.
    """
    names = AUTO if engine == "auto" else (engine,)
    if names[0] not in ENGINES:
        raise EngineError(f"engine {engine!r} is unknown; allowed: auto, {', '.join(ENGINES)}")
    folder = model_folder(name_or_path)
    problems = []
    for name in names:
        module, cls, extra = ENGINES[name]
        try:
            loaded = getattr(importlib.import_module(f".engines.{module}", __package__), cls)
            result: Engine = loaded(folder, num_threads)
        except ImportError as error:
            problems.append(
                f"engine {name} cannot be used: {error}; pip install 'siampolar_ros[{extra}]'"
            )
        except EngineError as error:
            problems.append(str(error))
        else:
            return result
    raise EngineError("; ".join(problems))
