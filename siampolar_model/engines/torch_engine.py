"""torch, for comparison: runs the exported weights through the network they came from.

Not for robots: it needs the training extra.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import EngineError
from ..models.folder import WEIGHTS_FILE, ModelFolder
from ..network.checkpoint import load_network
from ..network.graphs import SearchGraph, TemplateGraph, spec_of
from ..network.siampolar import SiamPolar
from .base import Candidates, Engine, EngineOptions, choose_precision


class NetworkEngine(Engine):
    """Runs a network that is in memory, on its device, in fp32 (validation during training)."""

    name = "torch"

    def __init__(self, network: SiamPolar) -> None:
        network = network.eval()
        self.spec = spec_of(network)
        self._device = next(network.parameters()).device
        self.cheap_batches = self._device.type != "cpu"
        self._template = TemplateGraph(network)
        self._search = SearchGraph(network).to(self._device)
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


class TorchEngine(NetworkEngine):
    """Runs the ``weights.safetensors`` of a model folder in fp32, on the CPU or on CUDA.

    Raises:
        EngineError: the model has no such file, another precision is wanted, or torch finds no CUDA
            device.
    """

    def __init__(self, model: ModelFolder, options: EngineOptions) -> None:
        precision = choose_precision(self.name, options.precision, {"fp32": None})
        if options.num_threads is not None:
            torch.set_num_threads(options.num_threads)
        if options.provider not in ("cpu", "cuda"):
            raise EngineError(
                f"engine torch takes the providers cpu and cuda, not {options.provider}"
            )
        if options.provider == "cuda" and not torch.cuda.is_available():
            raise EngineError("engine torch cannot use provider cuda: torch finds no CUDA device")
        super().__init__(load_network(model.file(WEIGHTS_FILE)).to(options.provider))
        self.spec = model.spec  # with what is known of the weights, not of the network alone
        if options.provider == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # 10 bits of a factor are not fp32
            self.remark = f"provider cuda: {torch.cuda.get_device_name()}"
        self.precision = precision
