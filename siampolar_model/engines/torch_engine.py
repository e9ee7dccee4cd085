"""torch, for comparison: runs the exported weights through the network they came from.

Not for robots: it needs the training extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..errors import EngineError
from ..network.checkpoint import load_network
from ..network.graphs import SearchGraph, TemplateGraph, spec_of
from ..network.siampolar import SiamPolar
from .base import Candidates, Engine, EngineOptions, choose_precision


class TorchEngine(Engine):
    """Runs a network in torch fp32.

    Args:
        folder: a model folder that holds ``weights.safetensors`` besides the ONNX files.
    """

    name = "torch"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        self.precision = choose_precision(self.name, options.precision, {"fp32": None})
        path = folder / "weights.safetensors"
        if not path.is_file():
            raise EngineError(f"{path} is missing; export the model again")
        model = load_network(path)
        if options.num_threads is not None:
            torch.set_num_threads(options.num_threads)
        self._load(model)

    @classmethod
    def of(cls, model: SiamPolar) -> TorchEngine:
        """Engine around a network in memory, on its device (validation during training)."""
        engine = cls.__new__(cls)
        engine._load(model)
        return engine

    def _load(self, model: SiamPolar) -> None:
        model = model.eval()
        self.spec = spec_of(model)
        self._device = next(model.parameters()).device
        self._template = TemplateGraph(model)
        self._search = SearchGraph(model).to(self._device)
        self._features: dict[int, torch.Tensor] = {}

    @torch.inference_mode()
    def encode(
        self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        inputs = self.template_inputs(crop, box_xyxy, mask)
        self._features[slot] = self._template(**{k: self._tensor(v) for k, v in inputs.items()})

    @torch.inference_mode()
    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        features = torch.cat([self._features[slot] for slot in slots])
        out = self._search(self._tensor(crops), features, self._tensor(prior))
        return Candidates(*(values.cpu().numpy() for values in out))

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def release(self, slot: int) -> None:
        self._features.pop(slot, None)
