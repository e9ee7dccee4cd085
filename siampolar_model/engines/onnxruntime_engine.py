"""ONNX Runtime: on the CPU in INT8 or fp32, or on what one of its providers runs on."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from ..models.folder import TEMPLATE_FILE, ModelFolder
from .base import Candidates, Engine, EngineOptions, choose_precision
from .cpu import has_int8_dot_product, quota_threads
from .onnx_providers import SEARCH_FILES, installed_provider, open_session
from .thread_choice import ThreadChoice

#: Up to 1.13, results for more than one target are wrong.
_INT8_SINCE = (1, 14)


class OnnxRuntimeEngine(Engine):
    """Runs ``template.onnx`` and a search graph of a model folder with one provider.

    Raises:
        EngineError: ONNX Runtime cannot load a file; the installed one does not have the provider,
            or it cannot start here; this provider, CPU or model cannot run in the precision.
    """

    name = "onnxruntime"

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        self.spec = model.spec
        provider = installed_provider(options.provider)
        obstacles = {name: _obstacle(model, name) for name in provider.precisions}
        self.precision = choose_precision(self.name, options.precision, obstacles)
        threads = options.num_threads or quota_threads()
        search = model.file(SEARCH_FILES[self.precision])
        self._template, _ = open_session(
            model.file(TEMPLATE_FILE), provider, _session_options(threads)
        )
        self._search, share = open_session(search, provider, _session_options(threads))
        if options.provider != "cpu":
            self.remark = f"provider {options.provider}"
            if share is not None:
                mine, nodes = share
                some = f"{mine} of {nodes} nodes, the others on the CPU"
                self.remark += f": {some if mine < nodes else f'all {nodes} nodes'}"
        self.cheap_batches = provider.on_gpu
        self._bound = _BoundSearch(self._search, "cuda") if provider.on_gpu else None
        self._few, self._choice = self._search, None
        cores = threads or len(os.sched_getaffinity(0))
        if options.num_threads is None and options.provider == "cpu" and cores > 1:
            # For one target, see ThreadChoice.
            self._few, _ = open_session(search, provider, _session_options(cores // 2))
            self._choice = ThreadChoice()
        self._features: dict[int, np.ndarray] = {}

    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        feeds = self.template_inputs(crop, box_xyxy, mask)
        self._features[slot] = self._template.run(None, feeds)[0]

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        rows = [self._features[slot] for slot in slots]
        if self._bound is not None:
            return Candidates(*self._bound.run(rows, crops, prior))
        feeds = {"crops": crops, "features": np.concatenate(rows), "prior": prior}
        # IO binding would save 3 of the 8 microseconds that this call costs besides the network.
        choice = self._choice
        if choice is None or len(rows) > 1:
            return Candidates(*self._search.run(None, feeds))
        session = self._few if choice.few else self._search
        started = time.perf_counter()
        found = Candidates(*session.run(None, feeds))
        choice.took(time.perf_counter() - started)
        return found

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)


class _BoundSearch:
    """The search graph with its inputs and outputs bound to a device.

    Template features are copied there only when the targets change; crops and priors on every call.

    Args:
        device: where the inputs lie, in ONNX Runtime's words.
    """

    def __init__(self, session: ort.InferenceSession, device: str) -> None:
        self._session, self._device = session, device
        self._binding = session.io_binding()
        # The arrays themselves are kept, so that no other array can get the address of one.
        self._rows: list[np.ndarray] = []
        self._features: Any = None

    def run(self, rows: list[np.ndarray], crops: np.ndarray, prior: np.ndarray) -> list[np.ndarray]:
        """The graph's outputs for the template features ``rows``, one per crop."""
        if len(rows) != len(self._rows) or any(
            a is not b for a, b in zip(rows, self._rows, strict=True)
        ):
            self._features = self._on_device(np.concatenate(rows))
            self._rows = rows
        self._binding.bind_ortvalue_input("crops", self._on_device(crops))
        self._binding.bind_ortvalue_input("features", self._features)
        self._binding.bind_ortvalue_input("prior", self._on_device(prior))
        for output in self._session.get_outputs():
            self._binding.bind_output(output.name, "cpu")
        self._session.run_with_iobinding(self._binding)
        return list(self._binding.copy_outputs_to_cpu())

    def _on_device(self, values: np.ndarray) -> Any:
        values = np.ascontiguousarray(values)
        return ort.OrtValue.ortvalue_from_numpy(values, self._device, 0)


def _session_options(threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait for the next image by spinning take the core from other processes.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _obstacle(model: ModelFolder, precision: str) -> str | None:
    """Why a search graph cannot be run fast and correctly here; None if it can."""
    if precision == "int8":
        if not has_int8_dot_product():
            # Kernels for older processors add pairs of products in 16 bits, which saturates.
            return "this CPU has no 8-bit dot product (VNNI, or ARM's)"
        version = ort.__version__
        if tuple(int(part) for part in version.split(".")[:2]) < _INT8_SINCE:
            return (
                f"ONNX Runtime {version} computes batches in 8 bits wrongly; install 1.14 or later"
            )
    return model.missing(SEARCH_FILES[precision]) if precision != "fp32" else None
