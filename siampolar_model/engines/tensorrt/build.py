"""Builds TensorRT engines in a child process, with progress.

Minutes of work that holds on to the interpreter and may be killed for want of memory: neither
may happen to a node.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from ...errors import EngineError
from ..base import EngineOptions

#: Module that the child runs.
_CHILD = "siampolar_model.engines.tensorrt.build_child"


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is: ``step`` of ``steps`` in a phase of one of the two graphs."""

    graph: str
    phase: str
    step: int
    steps: int


class EngineBuild:
    """A build that runs beside this process.

    Args:
        folder: the model's.
        precision: as in :class:`siampolar_model.engines.base.EngineOptions`.
        lean: for the lean runtime, to be named by ``engine_path`` there.

    Raises:
        EngineError: an unknown precision.
    """

    def __init__(self, folder: Path, precision: str = "auto", *, lean: bool = False) -> None:
        EngineOptions(precision=precision)  # refused here rather than by the child
        request = {"folder": str(folder.resolve()), "precision": precision, "lean": lean}
        self._path: Path | None = None
        self._errors = TemporaryFile()  # noqa: SIM115 (read at the end, gone with this object)
        self._child = subprocess.Popen(
            [sys.executable, "-m", _CHILD, json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            text=True,
        )

    def progress(self) -> Iterator[BuildProgress]:
        """What the child reports, as it comes; ends with the build.

        Raises:
            EngineError: the build failed.
        """
        assert self._child.stdout is not None
        error = None
        with self._child.stdout as lines:
            for line in lines:
                message = json.loads(line)
                if "error" in message:
                    error = message["error"]
                elif "path" in message:
                    self._path = Path(message["path"])
                else:
                    yield BuildProgress(**message)
        code = self._child.wait()
        if self._path is None:
            raise EngineError(error or f"the engine was not built: {self._last_words(code)}")

    @property
    def path(self) -> Path:
        """The engine's folder, once :meth:`progress` has ended."""
        assert self._path is not None
        return self._path

    def cancel(self) -> None:
        """End the child; a finished one is left alone."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _last_words(self, code: int) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"{lines[-1]} ({ended})" if lines else ended


def build_engine(
    folder: Path,
    precision: str = "auto",
    *,
    lean: bool = False,
    on_progress: Callable[[BuildProgress], None] = lambda progress: None,
) -> Path:
    """Build and wait; the engine's folder.

    Raises:
        EngineError: the build failed.
    """
    build = EngineBuild(folder, precision, lean=lean)
    try:
        for progress in build.progress():
            on_progress(progress)
    finally:
        build.cancel()
    return build.path


def _environment() -> dict[str, str]:
    """This process's, in which the child finds this very package."""
    package = str(Path(__file__).resolve().parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
