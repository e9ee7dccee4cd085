"""Folders of models: the shipped ones, their files and their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import EngineError

#: The search graph with 8-bit convolutions, for processors and (without zero points) for TensorRT,
#: derived from search.onnx by ``siampolar quantize``.
INT8_FILE = "search.int8.onnx"
TENSORRT_INT8_FILE = "search.int8.tensorrt.onnx"

#: The search graph with convolutions in fp16, derived from search.onnx by precision.py.
FP16_FILE = "search.fp16.onnx"

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"

FILES = ("template.onnx", "search.onnx")


def list_models() -> list[str]:
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
            f"model {str(name_or_path)!r} is neither shipped ({', '.join(list_models())}) nor "
            "a folder with template.onnx, search.onnx and SHA256SUMS"
        )
    expected = _read_sums(folder / "SHA256SUMS")
    for file in FILES:
        if file not in expected or not (folder / file).is_file():
            raise EngineError(f"{folder / file} is missing or not in SHA256SUMS; install it again")
    for file, again in (
        (INT8_FILE, "siampolar quantize"),
        (TENSORRT_INT8_FILE, "siampolar quantize"),
        (FP16_FILE, f"siampolar quantize {folder} --precision fp16"),
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
