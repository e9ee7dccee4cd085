"""Builds a missing TensorRT engine while the node waits, then starts the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from siampolar_model.engines.tensorrt.build import EngineBuild
from siampolar_model.errors import EngineError
from siampolar_model.models.folder import ModelFolder

from .run import one_line

if TYPE_CHECKING:
    from rclpy.node import Node

#: Seconds between two log lines about one build.
_REPORT_S = 10.0


class EngineBuilder:
    """One build at a time, in a child process that a thread listens to.

    All methods belong to the executor's thread.

    Args:
        on_built: called in the executor's thread when an engine was built.
    """

    def __init__(self, node: Node, on_built: Callable[[], object]) -> None:
        self._logger = node.get_logger()
        self._on_built = on_built
        self._done = node.create_guard_condition(self._finish)
        self._build: EngineBuild | None = None
        self._thread: threading.Thread | None = None
        self._wanted = ("", "")
        self._built: set[tuple[str, str]] = set()  # so that nothing is built twice
        self._error = ""

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self, model: str, precision: str) -> None:
        """Start a build, unless one is running.

        Raises:
            EngineError: unknown model, or what was built is still not found.
        """
        if self.running:
            return
        if (model, precision) in self._built:
            raise EngineError(
                "the TensorRT engine was built but is not found; start the node again"
            )
        self._logger.info("building the TensorRT engine, which takes minutes (build_engine)")
        self._error, self._wanted = "", (model, precision)
        self._build = EngineBuild(ModelFolder.open(model).path, precision)
        self._thread = threading.Thread(target=self._listen, args=(self._build,), daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """End a running build; ``on_built`` is not called any more."""
        if self._build is not None:
            self._build.cancel()
        if self._thread is not None:
            self._thread.join()
        self._build = self._thread = None

    def _listen(self, build: EngineBuild) -> None:
        """Runs in the thread."""
        reported_s = time.monotonic()
        try:
            for at in build.progress():
                if time.monotonic() - reported_s >= _REPORT_S:
                    reported_s = time.monotonic()
                    self._logger.info(f"{at.graph}: {at.phase}, {at.step} of {at.steps}")
        except EngineError as error:
            self._error = one_line(error)
        self._done.trigger()

    def _finish(self) -> None:
        if self._thread is None:
            return  # cancelled in the meantime
        self._thread.join()
        self._build = self._thread = None
        if self._error:
            self._logger.error(f"the TensorRT engine was not built: {self._error}")
        else:
            self._built.add(self._wanted)
            self._logger.info("the TensorRT engine is built")
            self._on_built()
