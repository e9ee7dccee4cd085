"""OpenVINO on the CPU, in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from .base import Candidates, Engine, EngineError, ModelSpec


class OpenVinoEngine(Engine):
    """Runs ``template.onnx`` and ``search.onnx`` of a model folder.

    Raises:
        EngineError: a file that OpenVINO cannot load, or without our metadata.
    """

    name = "openvino"

    def __init__(self, folder: Path, num_threads: int | None = None) -> None:
        # fp32 is said explicitly: where the CPU has bf16, OpenVINO would take that by itself.
        options: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if num_threads is not None:
            options["INFERENCE_NUM_THREADS"] = num_threads
        core = ov.Core()
        requests = []
        for file in ("template.onnx", "search.onnx"):
            try:
                model = core.read_model(str(folder / file))
                compiled = core.compile_model(model, "CPU", options)
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                raise EngineError(f"OpenVINO cannot load {folder / file}: {reason}") from error
            requests.append(compiled.create_infer_request())
        self._template, self._search = requests
        path = ["framework", "siampolar"]
        text = str(model.get_rt_info(path).value) if model.has_rt_info(path) else None
        self.spec = ModelSpec.from_metadata(text, folder / "search.onnx")
        self._features: dict[int, np.ndarray] = {}

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        self._template.infer({"crop": crop[None], "box_xyxy": box_xyxy[None]})
        self._features[slot] = self._template.get_output_tensor(0).data.copy()

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        features = np.concatenate([self._features[slot] for slot in slots])
        # Inputs are read in place and outputs copied: the request's memory is used again.
        found = self._search.infer(
            {"crops": crops, "features": features, "prior": prior}, share_inputs=True
        )
        return Candidates(*(np.array(found[i]) for i in range(5)))

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)
