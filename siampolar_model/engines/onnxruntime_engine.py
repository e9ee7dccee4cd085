"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from .base import Candidates, Engine, EngineError, ModelSpec


class OnnxRuntimeEngine(Engine):
    """Runs ``template.onnx`` and ``search.onnx`` of a model folder.

    Raises:
        EngineError: a file that ONNX Runtime cannot load, or without our metadata.
    """

    name = "onnxruntime"

    def __init__(self, folder: Path, num_threads: int | None = None) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if num_threads is not None:
            options.intra_op_num_threads = num_threads
        self._template = _session(folder / "template.onnx", options)
        self._search = _session(folder / "search.onnx", options)
        metadata = self._search.get_modelmeta().custom_metadata_map
        self.spec = ModelSpec.from_metadata(metadata.get("siampolar"), folder / "search.onnx")
        self._features: dict[int, np.ndarray] = {}

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        feeds = {"crop": crop[None], "box_xyxy": box_xyxy[None]}
        self._features[slot] = self._template.run(None, feeds)[0]

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        feeds = {
            "crops": crops,
            "features": np.concatenate([self._features[slot] for slot in slots]),
            "prior": prior,
        }
        return Candidates(*self._search.run(None, feeds))

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)


def _session(path: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has one exception class per status code
        reason = str(error).splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot load {path}: {reason}") from error
