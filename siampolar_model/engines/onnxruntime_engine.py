"""ONNX Runtime on the CPU, in INT8 or fp32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ..errors import EngineError
from ..models.folder import INT8_FILE, SEARCH_FILE, TEMPLATE_FILE, ModelFolder
from .base import Candidates, Engine, EngineOptions, choose_precision
from .cpu import has_int8_dot_product, quota_threads

#: Up to 1.13, results for more than one target are wrong.
_INT8_SINCE = (1, 14)


class OnnxRuntimeEngine(Engine):
    """Runs ``template.onnx`` and ``search.onnx`` (or ``search.int8.onnx``) of a model folder.

    Raises:
        EngineError: ONNX Runtime cannot load a file, or this CPU or model cannot run in the
            precision.
    """

    name = "onnxruntime"

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        self.spec = model.spec
        obstacles = {"int8": _int8_obstacle(model), "fp32": None}
        self.precision = choose_precision(self.name, options.precision, obstacles)
        session = ort.SessionOptions()
        session.log_severity_level = 3
        # Threads that wait for the next image by spinning take the core from other processes.
        session.add_session_config_entry("session.force_spinning_stop", "1")
        threads = options.num_threads or quota_threads()
        if threads is not None:
            session.intra_op_num_threads = threads
        search = INT8_FILE if self.precision == "int8" else SEARCH_FILE
        self._template = _session(model.file(TEMPLATE_FILE), session)
        self._search = _session(model.file(search), session)
        self._features: dict[int, np.ndarray] = {}

    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        feeds = self.template_inputs(crop, box_xyxy, mask)
        self._features[slot] = self._template.run(None, feeds)[0]

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        feeds = {
            "crops": crops,
            "features": np.concatenate([self._features[slot] for slot in slots]),
            "prior": prior,
        }
        # IO binding would save 3 of the 8 microseconds that this call costs besides the network.
        return Candidates(*self._search.run(None, feeds))

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)


def _int8_obstacle(model: ModelFolder) -> str | None:
    """Why the INT8 file cannot be run fast and correctly here; None if it can."""
    if not has_int8_dot_product():
        # Kernels for older processors add pairs of products in 16 bits, which saturates.
        return "this CPU has no 8-bit dot product (VNNI, or ARM's)"
    version = ort.__version__
    if tuple(int(part) for part in version.split(".")[:2]) < _INT8_SINCE:
        return f"ONNX Runtime {version} computes batches in 8 bits wrongly; install 1.14 or later"
    return model.missing(INT8_FILE)


def _session(path: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has one exception class per status code
        reason = str(error).splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot load {path}: {reason}") from error
