"""OpenVINO on the CPU, in INT8, bf16 or fp32."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from ..errors import EngineError
from ..models.folder import INT8_FILE, SEARCH_FILE, TEMPLATE_FILE, ModelFolder
from .base import Candidates, Engine, EngineOptions, Prior, choose_precision
from .cpu import has_int8_dot_product, quota_threads
from .thread_choice import ThreadChoice

#: This variable keeps oneDNN, where OpenVINO's kernels come from, from using newer instructions.
#: OpenVINO's own list of what the processor can do does not take it into account.
_MAX_ISA = "ONEDNN_MAX_CPU_ISA"
_WITHOUT_DOT_PRODUCT = ("SSE41", "AVX", "AVX2", "AVX512_CORE")
_WITHOUT_BF16 = (*_WITHOUT_DOT_PRODUCT, "AVX2_VNNI", "AVX512_CORE_VNNI")


class OpenVinoEngine(Engine):
    """Runs ``template.onnx`` and ``search.onnx`` (or ``search.int8.onnx``) of a model folder.

    Raises:
        EngineError: OpenVINO cannot load a file, or this CPU or model cannot run in the precision.
    """

    name = "openvino"

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        self.spec = model.spec
        core = _core()
        self.precision = choose_precision(
            self.name,
            options.precision,
            {
                "int8": _no_int8_instructions() or model.missing(INT8_FILE),
                "bf16": _no_bf16_instructions(core),
                "fp32": None,
            },
        )
        # The precision of floating-point layers is always given: OpenVINO itself would choose bf16
        # where the CPU has it. An INT8 graph has such layers too, and they are faster in bf16.
        rest = "f32" if self.precision == "fp32" or _no_bf16_instructions(core) else "bf16"
        properties: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": rest,
            # A pinned thread cannot leave a core that another process keeps busy.
            "ENABLE_CPU_PINNING": False,
        }
        threads = options.num_threads or quota_threads()
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        template_path = model.file(TEMPLATE_FILE)
        path = model.file(INT8_FILE if self.precision == "int8" else SEARCH_FILE)
        template, search = _read(core, template_path), _read(core, path)
        # Always fp32: the template is encoded only once per target.
        exact = {**properties, "INFERENCE_PRECISION_HINT": "f32"}
        self._template = _requests(core, template, exact, 1, template_path)[0]
        # One target per call: with fixed shapes OpenVINO fuses more and infers no shapes at run
        # time. Several parallel calls on one core each are faster than one batch on all cores.
        search.reshape({port.any_name: [1, *_row(port)] for port in search.inputs})
        count, size = self.spec.max_targets, self.spec.search_size
        features = next(port for port in search.inputs if port.any_name == "features")
        self._crops = np.zeros((count, size, size, 3), np.uint8)
        self._rows = np.zeros((count, *_row(features)), np.float32)
        self._prior = np.ones((count, len(Prior._fields)), np.float32)
        self._outputs = [np.empty((count, *_row(port)), np.float32) for port in search.outputs]
        self._single = _requests(core, search, properties, 1, path)[0]
        self._bind(self._single, 0)
        all_threads = self._single.get_compiled_model().get_property("INFERENCE_NUM_THREADS")
        streams = min(all_threads, 4)
        parallel = {**properties, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
        self._parallel = _requests(core, search, parallel, count, path)
        for row, request in enumerate(self._parallel):
            self._bind(request, row)
        self._run(count)  # the first call of every request is slow
        # A call of several has fewer threads to itself.
        choose = options.num_threads is None and streams > 1
        self._choice = ThreadChoice() if choose else None
        self._features: dict[int, np.ndarray] = {}

    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        self._template.infer(self.template_inputs(crop, box_xyxy, mask))
        self._features[slot] = self._template.get_output_tensor(0).data[0].copy()

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n = len(slots)
        self._crops[:n] = crops
        self._prior[:n] = prior
        for row, slot in enumerate(slots):
            self._rows[row] = self._features[slot]
        self._run(n)
        return Candidates(*(output[:n].copy() for output in self._outputs))

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)

    def _bind(self, request: Any, row: int) -> None:
        """Let a request read and write one row of our buffers."""
        for name, values in (
            ("crops", self._crops),
            ("features", self._rows),
            ("prior", self._prior),
        ):
            request.set_tensor(name, ov.Tensor(values[row : row + 1], shared_memory=True))
        for index, values in enumerate(self._outputs):
            request.set_output_tensor(index, ov.Tensor(values[row : row + 1], shared_memory=True))

    def _run(self, count: int) -> None:
        """Search the first rows."""
        if count == 1:
            self._run_one()
            return
        for request in self._parallel[:count]:
            request.start_async()
        for request in self._parallel[:count]:
            request.wait()

    def _run_one(self) -> None:
        """Search the first row, on the number of threads that is faster at the moment."""
        choice = self._choice
        few = choice is not None and choice.few
        started = time.perf_counter()
        # Without share_outputs, each output would first be copied into a dictionary.
        (self._parallel[0] if few else self._single).infer(share_outputs=True)
        if choice is not None:
            choice.took(time.perf_counter() - started)


@functools.cache
def _core() -> ov.Core:
    """The only core of this process, kept until it ends.

    Each core sets the thread's stack for signals (sigaltstack) to its own memory and restores the
    previous one when it is freed. If two cores are freed in the order of their creation, the second
    restores the freed memory of the first, and the next signal, Ctrl-C for instance, crashes the
    process (OpenVINO 2026.4).
    """
    return ov.Core()


def _no_int8_instructions() -> str | None:
    """Why int8 cannot run here; None if it can. Kernels for older processors saturate."""
    if not has_int8_dot_product():
        return "this CPU has no 8-bit dot product (VNNI, or ARM's)"
    return _ruled_out(_WITHOUT_DOT_PRODUCT)


def _no_bf16_instructions(core: Any) -> str | None:
    """Why bf16 cannot run here; None if it can."""
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


def _requests(
    core: Any, model: Any, properties: dict[str, Any], count: int, path: Path
) -> list[Any]:
    try:
        compiled = core.compile_model(model, "CPU", properties)
        return [compiled.create_infer_request() for _ in range(count)]
    except RuntimeError as error:
        raise _cannot_load(path, error) from error


def _cannot_load(path: Path, error: RuntimeError) -> EngineError:
    # The first lines only name a place in OpenVINO's sources.
    return EngineError(f"OpenVINO cannot load {path}: {str(error).strip().splitlines()[-1]}")


def _row(port: Any) -> list[int]:
    """Shape of an input or output without the batch."""
    return [dimension.get_length() for dimension in list(port.partial_shape)[1:]]
