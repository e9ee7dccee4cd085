"""A model on disk: a folder of files, each listed with its SHA-256 in ``SHA256SUMS``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import EngineError
from .spec import ModelSpec

#: The model's :class:`ModelSpec`, and where the weights come from.
SPEC_FILE = "model.json"

#: The two graphs in fp32 (network/graphs.py).
TEMPLATE_FILE, SEARCH_FILE = "template.onnx", "search.onnx"

#: The search graph with 8-bit convolutions, for processors and (without zero points) for TensorRT,
#: derived from search.onnx by ``siampolar quantize``.
INT8_FILE = "search.int8.onnx"
TENSORRT_INT8_FILE = "search.int8.tensorrt.onnx"

#: The search graph with convolutions in fp16, derived from search.onnx by export/fp16.py.
FP16_FILE = "search.fp16.onnx"

#: The weights for torch: comparison and further training.
WEIGHTS_FILE = "weights.safetensors"

#: What a folder must hold to be a model.
REQUIRED = (SPEC_FILE, TEMPLATE_FILE, SEARCH_FILE)

_SUMS = "SHA256SUMS"

_SHIPPED = Path(__file__).resolve().parents[1] / "weights"

#: Files made from search.onnx, which are worthless when that changes, and what makes them.
_DERIVED = {
    INT8_FILE: "siampolar quantize {folder} --photos PHOTOS",
    TENSORRT_INT8_FILE: "siampolar quantize {folder} --photos PHOTOS",
    FP16_FILE: "siampolar quantize {folder} --precision fp16",
}


def list_models() -> list[str]:
    """Names of the models in this package, sorted.

    Example:
        >>> from siampolar_model import list_models
        >>> list_models()
        ['siampolar_accurate', 'siampolar_lite0']
    """
    return sorted(p.parent.name for p in _SHIPPED.glob(f"*/{_SUMS}"))


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose files were compared with their hashes when it was opened.

    Get one with :meth:`open` or :meth:`write`.

    Attributes:
        path: the folder.
        spec: what a tracker must know about the network.
        hashes: hexadecimal SHA-256 of every listed file, by file name.
    """

    path: Path
    spec: ModelSpec
    hashes: Mapping[str, str]

    @classmethod
    def open(cls, model: str | Path | ModelFolder) -> ModelFolder:
        """A shipped model by its name, or any model by the path of its folder.

        Raises:
            EngineError: unknown, or a file is missing, altered or not listed.
        """
        if isinstance(model, ModelFolder):
            return model
        path = _SHIPPED / model
        if not (path / _SUMS).is_file():
            path = Path(model)
        if not (path / _SUMS).is_file():
            raise EngineError(
                f"model {str(model)!r} is neither shipped ({', '.join(list_models())}) nor a "
                f"folder with {', '.join(REQUIRED)} and {_SUMS}"
            )
        hashes = _read_sums(path / _SUMS)
        if SPEC_FILE not in hashes and not (path / SPEC_FILE).exists():
            raise EngineError(
                f"{path} has no {SPEC_FILE}: an earlier version exported it; export it again: "
                f"siampolar export CHECKPOINT {path}"
            )
        for file in REQUIRED:
            if file not in hashes or not (path / file).is_file():
                raise EngineError(f"{path / file} is missing or not in {_SUMS}; install it again")
        for file, command in _DERIVED.items():
            if (path / file).is_file() and file not in hashes:
                raise EngineError(
                    f"{path / file} is not in {_SUMS}: it was not made from this {SEARCH_FILE}; "
                    f"delete it; {command.format(folder=path)} makes a new one"
                )
        for file, expected in hashes.items():
            found = sha256(path / file) if (path / file).is_file() else expected
            if found != expected:
                raise EngineError(
                    f"{path / file} was altered: SHA-256 is {found}, {_SUMS} says {expected}"
                )
        return cls(path, ModelSpec.read(path / SPEC_FILE), hashes)

    @classmethod
    def write(
        cls, path: Path, spec: ModelSpec, files: Iterable[Path], about: Mapping[str, Any]
    ) -> ModelFolder:
        """Copy files into a folder and make it a model.

        Args:
            path: made if it does not exist. Files of the same names are replaced, those that were
                derived from another search.onnx are deleted, all others stay.
            files: at least template.onnx and search.onnx.
            about: what else belongs into model.json: configuration, training data, scores.

        Raises:
            OSError: a file cannot be copied.
        """
        with TemporaryDirectory() as folder:
            text = json.dumps({**about, "spec": asdict(spec)}, indent=1)
            described = Path(folder) / SPEC_FILE
            described.write_text(text + "\n", encoding="utf-8")
            return cls(path, spec, _install(path, [described, *files], kept={}))

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that are there, in the order of SHA256SUMS."""
        return tuple(file for file in self.hashes if (self.path / file).is_file())

    @property
    def search_sha256(self) -> str:
        """SHA-256 of search.onnx, which tells apart networks of the same name."""
        return self.hashes[SEARCH_FILE]

    def file(self, name: str) -> Path:
        """The path of one file, such as :data:`SEARCH_FILE`; other packages may list their own.

        Raises:
            EngineError: the model does not have it; the message says what makes it.
        """
        missing = self.missing(name)
        if missing is not None:
            raise EngineError(missing)
        return self.path / name

    def missing(self, name: str) -> str | None:
        """Why a file cannot be used and what makes it; None if it is there."""
        path = self.path / name
        if name in self.hashes and path.is_file():
            return None
        command = _DERIVED.get(name)
        if command is None:
            return f"{path} is missing or not in {_SUMS}; export the model again"
        return f"{path} is missing; {command.format(folder=self.path)} makes it"

    def add(self, *files: Path) -> ModelFolder:
        """Copy files into the folder, replacing those of the same names, and list their hashes.

        Raises:
            OSError: a file cannot be copied.
        """
        return ModelFolder(self.path, self.spec, _install(self.path, files, kept=self.hashes))

    def copy_to(self, path: Path) -> ModelFolder:
        """The same model in another folder, see :meth:`write`; in its own, nothing happens.

        Raises:
            OSError: a file cannot be copied.
        """
        if path.exists() and path.samefile(self.path):
            return self
        sources = [self.path / name for name in self.files]
        return ModelFolder(path, self.spec, _install(path, sources, kept={}))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by file name, as ``sha256sum`` writes them."""
    sums = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split(maxsplit=1)
        if len(parts) != 2:
            raise EngineError(f"{path}: line {line!r} is not a SHA-256 and a file name")
        name = parts[1].removeprefix("*")
        if Path(name).name != name:
            raise EngineError(f"{path}: {name!r} is not the name of a file in this folder")
        sums[name] = parts[0]
    return sums


def _install(folder: Path, sources: Iterable[Path], kept: Mapping[str, str]) -> dict[str, str]:
    """Copy files into a folder and list them there, together with those that are kept.

    Old files go first, then the list is replaced, then the new files come. Interrupted at any time,
    the folder lacks files, which opening it reports; it never mixes two models.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=folder) as hidden:
        copies = [Path(shutil.copyfile(path, Path(hidden) / path.name)) for path in sources]
        new = {copy.name: sha256(copy) for copy in copies}
        hashes = {**kept, **new}
        sums = Path(hidden) / _SUMS
        sums.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
        for name in {*_DERIVED, *new}.difference(set(kept) - set(new)):
            (folder / name).unlink(missing_ok=True)
        sums.replace(folder / _SUMS)
        for copy in copies:
            copy.replace(folder / copy.name)
    return hashes
