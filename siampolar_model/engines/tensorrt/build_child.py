"""Builds a TensorRT engine: the program of the child process that build.py starts.

The network is strongly typed, so the ONNX file alone says what is computed in which precision:
TensorRT 11 offers nothing else, and 10 does the same.

Takes a request as JSON on the command line and writes JSON lines to standard output: progress,
and in the end the folder of the engine or an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import EngineError
from ...models.folder import TEMPLATE_FILE, ModelFolder
from . import api as trt
from .cache import EngineCache, EngineKey
from .cuda import Cuda
from .engine import SEARCH_FILES, engine_key
from .messages import ERROR_PREFIX, Messages

#: Most scratch memory a kernel may use: enough for networks of this size, and little enough for a
#: Jetson of 8 GB, whose processor and GPU share it.
_WORKSPACE_BYTES = 1 << 30


def build(folder: Path, precision: str, lean: bool, report: Callable[..., None]) -> Path:
    """Build both graphs of a model for this machine and store them.

    Args:
        folder: the model's.
        precision: as in :class:`siampolar_model.engines.base.EngineOptions`.
        lean: build for the lean runtime.
        report: called with ``graph``, ``phase``, ``step`` and ``steps`` by name.

    Returns:
        The engine's folder in the cache.

    Raises:
        EngineError: no TensorRT with a builder, no driver or device, a graph that TensorRT cannot
            build, or a file of the model that is missing or altered.
    """
    if trt.is_lean():
        raise EngineError("the lean TensorRT runtime cannot build engines; install tensorrt")
    gpu = Cuda().gpu
    model = ModelFolder.open(folder)
    key = engine_key(model, precision, gpu, lean=lean)
    cache = EngineCache()
    files = {"template": TEMPLATE_FILE, "search": SEARCH_FILES[key.precision]}
    batches = {"template": (1,), "search": key.batches}
    plans = {}
    for graph, file in files.items():
        plans[graph] = _Build(model.file(file), key, cache).run(
            batches[graph], lambda graph=graph, **progress: report(graph=graph, **progress)
        )
    return cache.write(key, plans)


class _Build:
    """The build of one graph, from an ONNX file to the bytes of a plan."""

    def __init__(self, path: Path, key: EngineKey, cache: EngineCache) -> None:
        self._path, self._key, self._cache = path, key, cache
        self._messages = Messages()
        self._logger = trt.make_logger(self._messages, _to_stderr)

    def run(self, batches: tuple[int, ...], report: Callable[..., None]) -> bytes:
        """Build the plan, with one optimization profile for each batch size.

        Raise cache.RECIPE with every change of a setting here.

        Raises:
            EngineError: TensorRT cannot read the file or cannot build it.
        """
        builder = trt.construct(trt.Builder, self._logger, self._messages)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(self._path.read_bytes()):
            reasons = [
                " ".join(parser.get_error(i).desc().split()) for i in range(parser.num_errors)
            ]
            raise EngineError(f"TensorRT cannot read {self._path}: {'; '.join(reasons)}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32
        config.max_aux_streams = 0  # one stream runs everything, and graphs capture one
        if self._key.lean:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
            # The runtime is installed on the robot; the plan need not contain a copy of it.
            config.set_flag(trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
        for batch in batches:
            profile = builder.create_optimization_profile()
            for i in range(network.num_inputs):
                tensor = network.get_input(i)
                shape = trt.Dims([batch, *trt.shape(tensor.shape)[1:]])
                profile.set_shape(tensor.name, shape, shape, shape)
            config.add_optimization_profile(profile)
        config.progress_monitor = _monitor(report)
        self._use_timing_cache(config)
        self._messages.clear()  # of complaints about an older timing cache, for instance
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineError(f"TensorRT cannot build {self._path}: {self._messages.cause()}")
        self._cache.write_timing(self._key, bytes(config.get_timing_cache().serialize()))
        return bytes(plan)

    def _use_timing_cache(self, config: trt.IBuilderConfig) -> None:
        """Reuse what earlier builds measured; start with an empty cache if that is unusable."""
        kept = config.create_timing_cache(self._cache.read_timing(self._key))
        if kept is None or not config.set_timing_cache(kept, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)


def _to_stderr(is_error: bool, text: str) -> None:
    """Written as it comes: a process that is killed cannot report it later."""
    print(f"{ERROR_PREFIX if is_error else ''}{text}", file=sys.stderr, flush=True)


def _monitor(report: Callable[..., None]) -> trt.IProgressMonitor:
    """Reports the outermost phases only; the ones inside them mean nothing to a user."""

    class Monitor(trt.package().IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                report(phase=phase_name, step=0, steps=num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._steps:
                try:
                    report(phase=phase_name, step=step + 1, steps=self._steps[phase_name])
                except BrokenPipeError:  # the parent has ended: stop
                    return False
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def main() -> int:
    # Libraries print to standard output too: from here on, that goes to standard error.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(**message: Any) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    request = json.loads(sys.argv[1])
    try:
        path = build(Path(request["folder"]), request["precision"], request["lean"], write)
    except (EngineError, ImportError, OSError) as error:
        write(error=str(error))
        return 1
    write(path=str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
