"""Averaged weights: what is validated, kept and exported."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging


class Ema(WeightAveraging):
    """Exponential moving average of all parameters and buffers.

    Lightning's callback keeps it, exchanges it for the weights during validation, and saves it as
    the checkpoint's ``state_dict``. Early on the average forgets faster: after n steps the decay
    is at most ``(1 + n) / (10 + n)``.

    Args:
        decay: share of the average that a step keeps, in [0, 1].
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=self._update)
        self._decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # The module is not on its device yet.
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    @torch.no_grad()
    def _update(
        self, average: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor | int
    ) -> None:
        if not average[0].is_floating_point():
            torch._foreach_copy_(average, current)
            return
        n = int(steps)
        torch._foreach_lerp_(average, current, 1 - min(self._decay, (1 + n) / (10 + n)))

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # Outside training the average, which is what was loaded, is all there is.
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
