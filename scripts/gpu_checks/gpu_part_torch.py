"""torch on CUDA: the same results as ONNX Runtime, and how fast the search graph is.

With and without a CUDA graph, in fp32 and fp16: what a road without TensorRT would give. What a
machine does only once, such as loading CUDA's libraries, is noted by itself and not timed with it.
"""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any
from unittest.mock import patch

import numpy as np
from gpu_latency import BATCHES, compare, inputs, prepare
from gpu_report import NotHere, Report

_MODEL, _ROUNDS = "siampolar_lite0", 200


def run(report: Report, options: Namespace) -> None:
    try:
        import torch
    except ImportError as error:
        raise NotHere(f"torch cannot be loaded: {error}") from None
    if not torch.cuda.is_available():
        raise NotHere("torch finds no CUDA device")
    from siampolar_model.engines.loading import load_engine
    from siampolar_model.engines.torch_engine import NetworkEngine
    from siampolar_model.models.folder import ModelFolder
    from siampolar_model.network.checkpoint import load_network

    report.note("gpu", torch.cuda.get_device_name())
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    weights = ModelFolder.open(_MODEL).file("weights.safetensors")
    engine = NetworkEngine(load_network(weights).cuda())
    exact = load_engine(_MODEL, "onnxruntime", precision="fp32")
    start = time.perf_counter()
    prepare(engine)
    engine.search(*inputs(engine, 1))
    report.note("first template and search, with loading CUDA's libraries, s", _since(start))
    found = compare(engine, exact)
    report.note("fp32: largest differences from ONNX Runtime", found)
    close = max(found.get("score", 0), found.get("quality", 0)) <= 1e-3
    pixels = max(found.get("box_xyxy", 0), found.get("rays_px", 0)) <= 0.1
    report.check("fp32: results are those of ONNX Runtime", close and pixels)
    prepare(engine)
    for kind in ("fp32", "fp16"):
        for graph in (False, True):
            road = f"{kind}, {'with' if graph else 'without'} a graph"
            times: dict[str, str] = {}
            warming_s = 0.0
            for n in BATCHES:
                with patch("torch.tensor", _Remembered(torch.tensor)):
                    try:
                        times[str(n)], seconds = _latency(torch, engine, n, kind, graph)
                        warming_s += seconds
                    except RuntimeError as error:
                        times[str(n)] = f"failed: {error}"
                # After each number of targets, so that a time limit leaves those before.
                report.note(f"{road}, ms: targets: p50, p95", times)
            report.note(f"{road}: warming up, s", warming_s)


def _since(start: float) -> float:
    return time.perf_counter() - start


class _Remembered:
    """``torch.tensor`` that copies a constant to the device once: a capture allows no copy."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._made: dict[str, Any] = {}

    def __call__(self, *values: Any, **options: Any) -> Any:
        key = repr((values, options))
        if key not in self._made:
            self._made[key] = self._make(*values, **options)
        return self._made[key]


def _latency(torch: Any, engine: Any, n: int, kind: str, graph: bool) -> tuple[str, float]:
    """Of the search graph with its copies in and out; convolutions in ``kind``.

    Returns:
        Median and 95th percentile in ms, and the seconds of what happens only once.
    """
    begun = time.perf_counter()
    slots, crops, prior = inputs(engine, n)
    on_host = torch.from_numpy(crops).pin_memory(), torch.from_numpy(prior).pin_memory()
    on_device = [values.cuda() for values in on_host]
    with torch.inference_mode():
        features = torch.cat([engine._features[slot] for slot in slots])

        def network() -> Any:
            with torch.autocast("cuda", torch.float16, enabled=kind == "fp16", cache_enabled=False):
                return engine._search(on_device[0], features, on_device[1])

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                network()
        torch.cuda.current_stream().wait_stream(side)
        if graph:
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                outputs = network()

            def step() -> Any:
                captured.replay()
                return outputs
        else:
            step = network
        seconds = []
        warming_s = 0.0
        for index in range(_ROUNDS + 10):
            if index == 10:
                warming_s = _since(begun)
            start = time.perf_counter()
            for target, source in zip(on_device, on_host, strict=True):
                target.copy_(source, non_blocking=True)
            [values.cpu() for values in step()]
            seconds.append(_since(start))
    p50, p95 = (float(np.percentile(seconds[10:], q)) * 1e3 for q in (50, 95))
    return f"{p50:.3f}, {p95:.3f}", warming_s
