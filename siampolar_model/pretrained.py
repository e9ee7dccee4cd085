"""Finds a model's files, checks them, and loads them into an engine.

A model is a folder with ``template.onnx``, ``search.onnx``, ``SHA256SUMS`` and a model card; for
8 bits also ``search.int8.onnx``, for TensorRT in half precision ``search.fp16.onnx``, for training
and comparison ``weights.safetensors``.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

from .engines.base import (
    FP16_FILE,
    INT8_FILE,
    TENSORRT_INT8_FILE,
    Engine,
    EngineError,
    EngineOptions,
)

_WEIGHTS = Path(__file__).parent / "weights"

#: Engine name -> (module, class, extra that brings the runtime), the fastest first. Imported only
#: when asked for, so that a robot needs no more than the runtime it uses.
ENGINES: dict[str, tuple[str, str, str]] = {
    "tensorrt": ("tensorrt_engine", "TensorRtEngine", "tensorrt"),
    "openvino": ("openvino_engine", "OpenVinoEngine", "openvino"),
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine", "cpu"),
    "torch": ("torch_engine", "TorchEngine", "train"),
}

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
    for file, again in (
        (INT8_FILE, "siampolar quantize"),
        (TENSORRT_INT8_FILE, "siampolar quantize"),
        (FP16_FILE, f"python -m siampolar_model.precision {folder}"),
    ):
        if (folder / file).is_file() and file not in expected:
            raise EngineError(
                f"{folder / file} is not in SHA256SUMS: it was not made from this search.onnx; "
                f"delete it; {again} makes a new one"
            )
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


def load_engine(name_or_path: str | Path, engine: str = "auto", **options: Any) -> Engine:
    """Load a model into a runtime.

    Args:
        engine: a key of :data:`ENGINES`; "auto": the first of them that can be loaded.
        options: fields of :class:`siampolar_model.engines.base.EngineOptions`.

    Returns:
        The engine, whose ``choice`` says in one line what was taken and, for "auto", why nothing
        before it was.

    Raises:
        EngineError: unknown or unusable engine or option, unknown model, missing or altered file.
        ProcessUnusable: the GPU failed for good in this process; "auto" takes no other engine then.
    """
    if engine != "auto" and engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is unknown; allowed: auto, {', '.join(ENGINES)}")
    settings = EngineOptions(**options)
    folder = model_folder(name_or_path)
    if engine != "auto":
        loaded = _load(engine, folder, settings)
        loaded.choice = f"{loaded.spec.name} runs on {engine} in {loaded.precision}"
        return loaded
    obstacles = []
    for name in ENGINES:
        try:
            loaded = _load(name, folder, settings)
        except EngineError as error:
            obstacles.append(str(error))
            continue
        before = f"; before it: {'; '.join(obstacles)}" if obstacles else ""
        loaded.choice = (
            f"{loaded.spec.name} runs on {name} in {loaded.precision}, the first of "
            f"{', '.join(ENGINES)} that can{before}"
        )
        return loaded
    raise EngineError("; ".join(obstacles))


def _load(name: str, folder: Path, options: EngineOptions) -> Engine:
    module, cls, extra = ENGINES[name]
    try:
        loaded: Engine = getattr(import_module(f".engines.{module}", __package__), cls)(
            folder, options
        )
    except ImportError as error:
        raise EngineError(
            f"engine {name} cannot be used: {error}; pip install '.[{extra}]' in siampolar_ros's "
            "folder"
        ) from error
    return loaded
