"""Finds a model's files, checks them, and loads them into an engine.

A model is a folder with ``template.onnx``, ``search.onnx``, ``SHA256SUMS`` and a model card.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

from .engines.base import Engine, EngineError

_WEIGHTS = Path(__file__).parent / "weights"

#: Engine name -> (module, class); "auto" takes the first that loads. Imported only when asked
#: for, so that a robot needs no more than the runtime it uses.
ENGINES: dict[str, tuple[str, str]] = {
    "onnxruntime": ("onnxruntime_engine", "OnnxRuntimeEngine"),
    "torch": ("torch_engine", "TorchEngine"),
}
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
    expected = {}
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, file = line.split(maxsplit=1)
        expected[file] = digest
    for file in FILES:
        path = folder / file
        if not path.is_file():
            raise EngineError(f"{path} is missing; install the package again")
        actual = sha256(path)
        if actual != expected.get(file):
            raise EngineError(
                f"{path} was altered: SHA-256 is {actual}, {folder / 'SHA256SUMS'} says "
                f"{expected.get(file, 'nothing')}"
            )
    return folder


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
        module, cls = ENGINES[name]
        try:
            loaded = getattr(importlib.import_module(f".engines.{module}", __package__), cls)
        except ImportError as error:
            problems.append(f"engine {name} cannot be used: {error}")
            continue
        result: Engine = loaded(folder, num_threads)
        return result
    raise EngineError("; ".join(problems))
