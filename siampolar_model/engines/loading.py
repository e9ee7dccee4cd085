"""Finds a model's files, checks them, and loads them into an engine.

A model is a folder with ``template.onnx``, ``search.onnx``, ``SHA256SUMS`` and a model card; for
8 bits also ``search.int8.onnx``, for TensorRT in half precision ``search.fp16.onnx``, for training
and comparison ``weights.safetensors``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..models.folder import model_folder
from .base import Engine, EngineOptions

#: Engine name -> (module, class, extra that brings the runtime), the fastest first. Imported only
#: when asked for, so that a robot needs no more than the runtime it uses.
ENGINES: dict[str, tuple[str, str, str]] = {
    "tensorrt": ("tensorrt.engine", "TensorRtEngine", "tensorrt"),
    "openvino": ("openvino_engine", "OpenVinoEngine", "openvino"),
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine", "cpu"),
    "torch": ("torch_engine", "TorchEngine", "train"),
}


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

    Example:
        >>> from siampolar_model import Tracker, load_engine
        >>> engine = load_engine("siampolar_lite0", "onnxruntime", precision="fp32", num_threads=1)
        >>> engine.choice
        'siampolar_lite0 runs on onnxruntime in fp32'
        >>> tracker = Tracker(engine)
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
        loaded: Engine = getattr(import_module(f".{module}", __package__), cls)(folder, options)
    except ImportError as error:
        raise EngineError(
            f"engine {name} cannot be used: {error}; pip install '.[{extra}]' in siampolar_ros's "
            "folder"
        ) from error
    return loaded
