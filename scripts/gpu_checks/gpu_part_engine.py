"""TensorRtEngine from end to end on real CUDA, around a "plan" of one kernel per output.

TensorRT is the stand-in of the tests, whose contexts launch kernels here. Batches, buffers, slots,
graphs and copies are the real ones. Without a device CUDA is the stand-in too: that shows only that
this part runs.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from argparse import Namespace
from ctypes import c_int, c_void_p
from types import ModuleType
from typing import Any

import numpy as np
from gpu_latency import latencies_ms
from gpu_report import NotHere, Report
from gpu_setup import STAND_IN, kernels, open_cuda

_MODEL, _ROUNDS = "siampolar_lite0", 300


def run(report: Report, options: Namespace) -> None:
    try:
        cuda: Any = open_cuda()
    except NotHere as reason:
        report.note("on the stand-in for CUDA, because of", str(reason))
        report.on_stand_in = True
        runtime, launch = _stand_in_cuda()
    else:
        report.note("gpu", str(cuda.gpu))
        runtime, launch = _real_cuda(), kernels(cuda.gpu)
    _install_tensorrt(runtime, launch)
    os.environ["XDG_CACHE_HOME"] = str((options.out / "engine_cache").resolve())
    from siampolar_model.engines.loading import load_engine
    from siampolar_model.engines.tensorrt.build_child import build
    from siampolar_model.models.folder import ModelFolder

    build(ModelFolder.open(_MODEL).path, "fp32", False, lambda **_: None)
    engine = load_engine(_MODEL, "tensorrt", precision="fp32")
    rounds = 20 if report.on_stand_in else _ROUNDS
    report.check(
        "every output of every batch is what the kernels compute", _wrong(engine, rounds) == 0
    )
    if not report.on_stand_in:
        report.note("our layer's own time, ms: targets: p50, p95", latencies_ms(engine, rounds))


def _wrong(engine: Any, rounds: int) -> int:
    """How many outputs are not those of the kernels, over random batches, slots and releases."""
    rng = np.random.default_rng(0)
    template, search, most = (
        engine.spec.template_size,
        engine.spec.search_size,
        engine.spec.max_targets,
    )
    held: dict[int, np.ndarray] = {}

    def encode(slot: int) -> None:
        crop = rng.integers(0, 256, (template, template, 3), np.uint8)
        box = rng.random(4, np.float32)
        engine.encode(slot, crop, box)
        held[slot] = _filled(engine._row_bytes // 4, crop, box)

    for slot in range(most):
        encode(slot)
    wrong = 0
    for index in range(rounds):
        n = int(rng.integers(1, most + 1))
        slots = rng.integers(0, most, n).tolist()
        crops = rng.integers(0, 256, (n, search, search, 3), np.uint8)
        prior = rng.random((n, 6), np.float32)
        found = engine.search(slots, crops, prior)
        for name in ("score", "quality", "box_xyxy", "center_xy", "rays_px"):
            for i, values in enumerate(getattr(found, name).reshape(n, -1)):
                expected = _filled(values.size, crops[i], held[slots[i]])
                wrong += not np.allclose(values, expected, rtol=1e-6)
        if index % 10 == 0:
            engine.release(index % most)
            encode(index % most)
    return wrong


def _filled(row: int, image: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """What the kernel ``fill`` writes into one row."""
    i = np.arange(row)
    image, extra = image.reshape(-1), extra.reshape(-1)
    return image[i % image.size].astype(np.float32) + extra[i % extra.size] + i.astype(np.float32)


def _real_cuda() -> ModuleType:
    """The real runtime with the few names that the stand-in for TensorRT asks its own one for."""
    from cuda.bindings import runtime

    made = ModuleType("cuda.bindings.runtime")
    made.__dict__.update(vars(runtime))
    made.__dict__.update(log=["cudaGetDeviceCount"], device={}, inside=lambda *_: True)
    return made


def _stand_in_cuda() -> tuple[ModuleType, Any]:
    """The stand-in in place of CUDA, and the kernel ``fill`` on it."""
    runtime = _module("cuda.bindings.runtime", "cuda/bindings/runtime.py")
    sys.modules["cuda.bindings.runtime"] = runtime
    runtime.log.append("cudaGetDeviceCount")

    def launch(name: str, grid: Any, block: Any, stream: int, *arguments: Any) -> None:
        out, image, extra, row, row_in, row_extra = (value for value, _ in arguments)
        n = grid[1]

        def array(address: int, kind: Any, size: int) -> np.ndarray:
            return np.ctypeslib.as_array((kind * (n * size)).from_address(address)).reshape(n, size)

        def work() -> None:
            i = np.arange(row)
            images = array(image, ctypes.c_uint8, row_in)[:, i % row_in].astype(np.float32)
            extras = array(extra, ctypes.c_float, row_extra)[:, i % row_extra]
            array(out, ctypes.c_float, row)[:] = images + extras + i.astype(np.float32)

        runtime.enqueue(runtime.stream_of(stream), work)

    return runtime, launch


def _install_tensorrt(runtime: ModuleType, launch: Any) -> None:
    """The stand-in for TensorRT on this CUDA; its contexts launch ``fill`` once per output."""
    kept = sys.modules.get("cuda.bindings.runtime")
    sys.modules["cuda.bindings.runtime"] = runtime
    tensorrt = _module("tensorrt", "tensorrt.py")
    if kept is not None:
        sys.modules["cuda.bindings.runtime"] = kept
    sys.modules["tensorrt"] = tensorrt

    def execute(self: Any, stream: int) -> bool:
        engine = self._engine
        n = self._shapes[engine._inputs[0]][0]

        def row(name: str) -> int:
            return int(np.prod(engine._tensors[name][1][1:]))

        image, extra = engine._inputs[:2]
        for name in engine._outputs:
            size = row(name)
            launch(
                "fill", (-(-size // 128), n, 1), (128, 1, 1), stream,
                (self._addresses[name], c_void_p), (self._addresses[image], c_void_p),
                (self._addresses[extra], c_void_p),
                (size, c_int), (row(image), c_int), (row(extra), c_int),
            )  # fmt: skip
        return True

    tensorrt.IExecutionContext.execute_async_v3 = execute


def _module(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, STAND_IN / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
