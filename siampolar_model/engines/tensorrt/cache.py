"""Where built TensorRT engines are stored, and which of them may be loaded.

An engine file is code that TensorRT runs. So engines are neither shipped nor downloaded, and only
those in the user's own cache folder are loaded, if nobody else could have put them there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import EngineError, EngineMissing

#: An engine has one plan for each of these graphs.
GRAPHS = ("template", "search")

#: Number of the settings that build_child.py gives the builder (flags, workspace, profiles).
#: Raise it with every change of them: engines of older settings are not found any more.
RECIPE = 1

_ABOUT = "engine.json"


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built from and for; another value in any field is another engine.

    Attributes:
        model: name of the network.
        onnx_sha256: of the two ONNX files, by graph; they contain shapes and precision.
        precision: what the search graph computes in, for people to read.
        batches: batch sizes that the search graph can run.
        tensorrt: version of TensorRT.
        gpu: see :class:`siampolar_model.engines.tensorrt.cuda.Gpu`.
        lean: built for the lean runtime.
        recipe: see :data:`RECIPE`.
    """

    model: str
    onnx_sha256: Mapping[str, str]
    precision: str
    batches: tuple[int, ...]
    tensorrt: str
    gpu: str
    lean: bool = False
    recipe: int = RECIPE

    @property
    def folder_name(self) -> str:
        """Readable, and different for every key; a folder in the cache."""
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        model = "".join(c if c.isalnum() or c in "._-" else "_" for c in self.model).lstrip(".")
        return f"{model}-{self.precision}-{digest}"

    @property
    def timing_name(self) -> str:
        """File of the timing cache: measurements are valid for one TensorRT on one GPU."""
        digest = hashlib.sha256(f"{self.tensorrt}\n{self.gpu}".encode()).hexdigest()[:16]
        return f"timing-{digest}.cache"


@dataclass(frozen=True, eq=False)
class StoredEngine:
    """An engine's files, read and checked.

    Attributes:
        folder: where they are.
        plans: their contents, by graph.
        about: the content of ``engine.json``: the key's fields and the hashes of the plans.
    """

    folder: Path
    plans: Mapping[str, bytes]
    about: Mapping[str, Any]


class EngineCache:
    """The user's folder of engines, ``~/.cache/siampolar/tensorrt`` or under XDG_CACHE_HOME."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = _default_root() if root is None else root

    def find(self, key: EngineKey) -> StoredEngine:
        """The engine of exactly this key.

        Raises:
            EngineMissing: it was not built.
            EngineError: it may not be loaded, or is damaged.
        """
        folder = self.root / key.folder_name
        if not folder.is_dir():
            raise EngineMissing(
                f"no TensorRT engine of {key.model} in {key.precision} for TensorRT "
                f"{key.tensorrt} on {key.gpu} in {self.root}"
            )
        return self.read(folder)

    def read(self, folder: Path) -> StoredEngine:
        """The engine in a folder of this cache, whatever its key.

        Raises:
            EngineError: the folder is elsewhere, somebody else could have written to it, or its
                files are missing or damaged.
        """
        root, resolved = self.root.resolve(), folder.resolve()
        if resolved.parent != root:
            raise EngineError(
                f"engine {folder} is not in {self.root}: engine files are code, and only those in "
                "the user's own cache folder are loaded (docs/jetson.md)"
            )
        _check_private(root)
        _check_private(resolved)
        try:
            about = json.loads(_read_private(resolved / _ABOUT))
            plans = {graph: _read_private(resolved / f"{graph}.plan") for graph in GRAPHS}
            damaged = [g for g in GRAPHS if about["plan_sha256"][g] != _sha256(plans[g])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"engine {folder} is damaged ({error}); build it again") from None
        if damaged:
            raise EngineError(f"engine {folder} is damaged ({damaged[0]}.plan); build it again")
        return StoredEngine(resolved, plans, about)

    def write(self, key: EngineKey, plans: Mapping[str, bytes]) -> Path:
        """Store an engine, replacing an older one of the same key; it appears whole or not at all.

        Raises:
            EngineError: others can write to the cache folder.
            OSError: this process cannot.
        """
        self._make_root()
        about = asdict(key) | {"plan_sha256": {g: _sha256(plan) for g, plan in plans.items()}}
        folder = self.root / key.folder_name
        with TemporaryDirectory(prefix=".new-", dir=self.root) as hidden:
            new = Path(hidden) / "engine"
            new.mkdir(mode=0o700)
            for graph, plan in plans.items():
                _write_private(new / f"{graph}.plan", plan)
            _write_private(new / _ABOUT, json.dumps(about, indent=1).encode())
            _sync(new)
            if folder.exists():
                folder.replace(Path(hidden) / "old")
            new.replace(folder)
            _sync(self.root)
        return folder

    def read_timing(self, key: EngineKey) -> bytes:
        """The timing cache of earlier builds; empty if there is none."""
        path = self.root / key.timing_name
        if not path.exists():
            return b""
        _check_private(self.root)
        return _read_private(path)

    def write_timing(self, key: EngineKey, data: bytes) -> None:
        """Store a timing cache, whole or not at all."""
        self._make_root()
        with TemporaryDirectory(prefix=".new-", dir=self.root) as hidden:
            new = Path(hidden) / "timing"
            _write_private(new, data)
            new.replace(self.root / key.timing_name)

    def _make_root(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(self.root.resolve())


def _default_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    home = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return home / "siampolar" / "tensorrt"


def _check_private(path: Path) -> None:
    _check_status(path, path.stat())


def _check_status(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise EngineError(
            f"{path} belongs to user {status.st_uid}, not to {os.geteuid()}: engine files are "
            "code, and only your own are loaded"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EngineError(
            f"{path} can be written by others: engine files are code; chmod go-w {path}"
        )


def _read_private(path: Path) -> bytes:
    """Content of a regular file that only this user can write; checked on the opened file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EngineError(f"{path} is not a file")
        _check_status(path, status)
        return file.read()


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)  # a robot may lose power at any time
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names no file
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
