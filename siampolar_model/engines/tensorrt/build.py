"""Builds TensorRT engines in a child process, with progress.

A build takes minutes, blocks the interpreter, and may be killed if memory runs out: none of that
may happen to a node.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from ...errors import EngineError
from ..base import EngineOptions
from .messages import ERROR_PREFIX

#: Module that the child runs.
_CHILD = "siampolar_model.engines.tensorrt.build_child"


@dataclass(frozen=True)
class BuildProgress:
    """Progress of a build: ``step`` of ``steps`` in a phase of one of the two graphs."""

    graph: str
    phase: str
    step: int
    steps: int


class EngineBuild:
    """A build that runs in a process of its own.

    Args:
        folder: the model's.
        precision: as in :class:`siampolar_model.engines.base.EngineOptions`.
        lean: build for the lean runtime, where ``engine_path`` names the engine.

    Raises:
        EngineError: an unknown precision.
    """

    def __init__(self, folder: Path, precision: str = "auto", *, lean: bool = False) -> None:
        EngineOptions(precision=precision)  # refused here rather than by the child
        if precision == "int8":
            from .engine import INT8_IS_EXPERIMENTAL

            logging.getLogger(__name__).warning(INT8_IS_EXPERIMENTAL)
        request = {"folder": str(folder.resolve()), "precision": precision, "lean": lean}
        self._path: Path | None = None
        self._errors = TemporaryFile()  # noqa: SIM115 (read at the end, removed with this object)
        self._child = subprocess.Popen(
            [sys.executable, "-m", _CHILD, json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            text=True,
        )

    def progress(self) -> Iterator[BuildProgress]:
        """What the child reports, as it happens; ends with the build.

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
        """End the child, if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _last_words(self, code: int) -> str:
        """Why a child ended without a report: TensorRT's first error, or Python's last line."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        words = next((line for line in lines if line.startswith(ERROR_PREFIX)), "".join(lines[-1:]))
        return f"{words} ({ended})" if words else ended


def build_engine(
    folder: Path,
    precision: str = "auto",
    *,
    lean: bool = False,
    on_progress: Callable[[BuildProgress], None] = lambda progress: None,
) -> Path:
    """Build, wait, and return the engine's folder.

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
    """This process's environment, with the path on which the child finds this package."""
    package = str(Path(__file__).resolve().parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
