"""OpenVINO on the CPU, in INT8, bf16 or fp32."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from ..cpu import has_int8_dot_product
from .base import (
    INT8_FILE,
    PRIOR_COLUMNS,
    Candidates,
    Engine,
    EngineError,
    EngineOptions,
    ModelSpec,
    choose_precision,
    int8_obstacle,
)

#: Keeps oneDNN, from which OpenVINO's kernels come, from newer instructions; OpenVINO itself lists
#: what the processor has.
_MAX_ISA = "ONEDNN_MAX_CPU_ISA"
_WITHOUT_DOT_PRODUCT = ("SSE41", "AVX", "AVX2", "AVX512_CORE")
_WITHOUT_BF16 = (*_WITHOUT_DOT_PRODUCT, "AVX2_VNNI", "AVX512_CORE_VNNI")


class OpenVinoEngine(Engine):
    """Runs ``template.onnx`` and ``search.onnx`` (or ``search.int8.onnx``) of a model folder.

    Raises:
        EngineError: a file that OpenVINO cannot load or without our metadata, or a precision
            that this CPU or model does not have.
    """

    name = "openvino"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        core = ov.Core()
        self.precision = choose_precision(
            self.name,
            options.precision,
            {
                "int8": _int8_instructions() or int8_obstacle(folder),
                "bf16": _bf16_instructions(core),
                "fp32": None,
            },
        )
        properties: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Said explicitly: where the CPU has bf16, OpenVINO would take that by itself, also
            # for what an INT8 graph leaves in floating point.
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
        }
        if options.num_threads is not None:
            properties["INFERENCE_NUM_THREADS"] = options.num_threads
        template = _read(core, folder / "template.onnx")
        path = folder / (INT8_FILE if self.precision == "int8" else "search.onnx")
        search = _read(core, path)
        self.spec = _spec(search, path)
        # Templates are encoded once a target: always in fp32.
        exact = {**properties, "INFERENCE_PRECISION_HINT": "f32"}
        self._template = _request(core, template, exact, folder / "template.onnx")
        batches = _request(core, search, properties, path)
        # With known shapes OpenVINO fuses more and infers no shapes anew for every image.
        one = search.clone()
        one.reshape({i.any_name: [1, *_row(i)] for i in search.inputs})
        single = _request(core, one, properties, path)
        n = self.spec.max_targets
        features = next(i for i in search.inputs if i.any_name == "features")
        self._inputs: dict[str, np.ndarray] = {
            "crops": np.empty((n, self.spec.search_size, self.spec.search_size, 3), np.uint8),
            "features": np.empty((n, *_row(features)), np.float32),
            "prior": np.empty((n, PRIOR_COLUMNS), np.float32),
        }
        self._outputs = [np.empty((n, *_row(output)), np.float32) for output in search.outputs]
        self._bound = {1: self._bind(single, 1)}
        self._batches = batches
        self._features: dict[int, np.ndarray] = {}

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        self._template.infer({"crop": crop[None], "box_xyxy": box_xyxy[None]})
        self._features[slot] = self._template.get_output_tensor(0).data[0].copy()

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n = len(slots)
        self._inputs["crops"][:n] = crops
        self._inputs["prior"][:n] = prior
        for i, slot in enumerate(slots):
            self._inputs["features"][i] = self._features[slot]
        request = self._bound[1] if n == 1 else self._bind(self._batches, n)
        # Not sharing outputs would copy each of them into a dictionary first.
        request.infer(share_outputs=True)
        return Candidates(*(output[:n].copy() for output in self._outputs))

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)

    def _bind(self, request: Any, n: int) -> Any:
        """Let a request read and write the first n rows of our buffers."""
        for name, values in self._inputs.items():
            request.set_tensor(name, ov.Tensor(values[:n], shared_memory=True))
        for index, values in enumerate(self._outputs):
            request.set_output_tensor(index, ov.Tensor(values[:n], shared_memory=True))
        return request


def _int8_instructions() -> str | None:
    """Why not; None: nothing stands in the way. Kernels for older processors saturate."""
    if not has_int8_dot_product():
        return "this CPU has no 8-bit dot product (VNNI, or ARM's)"
    return _ruled_out(_WITHOUT_DOT_PRODUCT)


def _bf16_instructions(core: Any) -> str | None:
    """Likewise."""
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "this CPU has no bf16 instructions"
    return _ruled_out(_WITHOUT_BF16)


def _ruled_out(names: tuple[str, ...]) -> str | None:
    wanted = os.environ.get(_MAX_ISA, "").upper()
    return f"{_MAX_ISA}={wanted} rules it out" if wanted in names else None


def _read(core: Any, path: Path) -> Any:
    try:
        return core.read_model(str(path))
    except RuntimeError as error:
        raise _cannot_load(path, error) from error


def _request(core: Any, model: Any, properties: dict[str, Any], path: Path) -> Any:
    try:
        return core.compile_model(model, "CPU", properties).create_infer_request()
    except RuntimeError as error:
        raise _cannot_load(path, error) from error


def _cannot_load(path: Path, error: RuntimeError) -> EngineError:
    # The first lines only say where in OpenVINO.
    return EngineError(f"OpenVINO cannot load {path}: {str(error).strip().splitlines()[-1]}")


def _spec(model: Any, path: Path) -> ModelSpec:
    place = ["framework", "siampolar"]
    text = str(model.get_rt_info(place).value) if model.has_rt_info(place) else None
    return ModelSpec.from_metadata(text, path)


def _row(port: Any) -> list[int]:
    """Shape of an input or output without the batch."""
    return [dimension.get_length() for dimension in list(port.partial_shape)[1:]]
