"""Builds a TensorRT engine: what the child process of build_engine.py runs.

The network is strongly typed, so the ONNX file alone says what is computed in which precision:
TensorRT 11 knows nothing else, and 10 does it alike.

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

#: Scratch memory a layer may ask for; enough for networks of this size, and a Jetson has one
#: memory for everything.
_WORKSPACE_BYTES = 1 << 30


def build(folder: Path, precision: str, lean: bool, report: Callable[..., None]) -> Path:
    """Build both graphs of a model for this machine and store them.

    Args:
        report: is given ``graph``, ``phase``, ``step`` and ``steps`` by name.

    Returns:
        The engine's folder in the cache.

    Raises:
        EngineError: no TensorRT with a builder, driver or device; a graph that cannot be built;
            a file of the model that is missing or altered.
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
    """One graph."""

    def __init__(self, path: Path, key: EngineKey, cache: EngineCache) -> None:
        self._path, self._key, self._cache = path, key, cache
        self._said: list[str] = []
        self._logger = trt.make_logger(self._note)

    def run(self, batches: tuple[int, ...], report: Callable[..., None]) -> bytes:
        builder = trt.Builder(self._logger)
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
            # The runtime is installed; a copy of it inside the plan would be one more program.
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
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            reason = self._said[-1] if self._said else "no reason given"
            raise EngineError(f"TensorRT cannot build {self._path}: {reason}")
        self._cache.write_timing(self._key, bytes(config.get_timing_cache().serialize()))
        return bytes(plan)

    def _use_timing_cache(self, config: trt.IBuilderConfig) -> None:
        """What an earlier build measured is not measured again."""
        kept = config.create_timing_cache(self._cache.read_timing(self._key))
        if kept is None or not config.set_timing_cache(kept, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def _note(self, is_error: bool, text: str) -> None:
        if is_error:
            self._said[:] = [*self._said[-9:], text]
        print(text, file=sys.stderr)


def _monitor(report: Callable[..., None]) -> trt.IProgressMonitor:
    """Reports the outermost phases; those inside them say nothing to a user."""

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
                except BrokenPipeError:  # the parent has gone: stop
                    return False
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def main() -> int:
    # What libraries print must not mix with our lines: from here on, it goes to standard error.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    request = json.loads(sys.argv[1])
    try:
        path = build(Path(request["folder"]), request["precision"], request["lean"], say)
    except (EngineError, ImportError, OSError) as error:
        say(error=str(error))
        return 1
    say(path=str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
