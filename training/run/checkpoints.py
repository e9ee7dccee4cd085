"""Checkpoints of a run, the last one and the best one: written whole or not at all, and checked
when they are read."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from ..errors import TrainingError

#: Folder of a run's checkpoints, in the run's folder, and their names.
FOLDER, LAST, BEST = "checkpoints", "last.ckpt", "best.ckpt"

#: What the best checkpoint is chosen by: J on held-out videos, or, without any, on the synthetic
#: clips (see clips/moving.py).
SCORE = "score"

#: Key under which a checkpoint describes its run.
ABOUT = "siampolar"

_PREFIX = "model."


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a new file next to the old one, then replaces the old one: a kill leaves a whole file.

    Lightning's own class writes to the system's temporary folder first. If that is on another disk,
    the move to the final place is a copy, which a kill can cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


class LastCheckpoint(Checkpoint):
    """Keeps ``last.ckpt``, from which a run goes on.

    A step that is validated is saved after its validation, so that the score is never lost; the
    last step of a run is always validated.

    Args:
        every: optimizer steps from one save to the next, 1 or more.

    Raises:
        TrainingError: ``every`` is less than 1.
    """

    def __init__(self, every: int = 250) -> None:
        super().__init__()
        if every < 1:
            raise TrainingError(f"checkpoint.every is {every}; it must be 1 or more")
        self._every = every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = is_last_step(trainer, batch_idx)
        if done:
            trainer.should_stop = True  # Lightning validates when it is asked to stop
        every = trainer.val_check_batch
        if trainer.enable_validation and (done or (every and (batch_idx + 1) % every == 0)):
            return
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if done or (stepped and trainer.global_step % self._every == 0):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save(trainer)

    def _save(self, trainer: Any) -> None:
        if not trainer.fast_dev_run:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / FOLDER / LAST, False)


def is_last_step(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a run ends with this step."""
    of_data = batch_idx + 1 == trainer.num_training_batches
    return of_data or trainer.global_step == trainer.max_steps


class BestCheckpoint(ModelCheckpoint):
    """Keeps ``best.ckpt`` of a run's folder: the one with the highest score so far."""

    def __init__(self, run: str | Path) -> None:
        self._path = Path(run).resolve() / FOLDER / BEST
        super().__init__(
            dirpath=self._path.parent,
            filename=self._path.stem,
            monitor=SCORE,
            mode="max",
            save_on_train_epoch_end=False,
            # Only one best checkpoint is kept, without a numbered second one.
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the score of the file in this folder, wherever the folder was when it was
        written; without such a file, as if there had been no score yet."""
        if not self._path.is_file():
            return
        here, scores = str(self._path), list(state_dict["best_k_models"].values())
        best = {here: scores[0]} if scores else {}
        places = {"best_model_path": here, "kth_best_model_path": here, "best_k_models": best}
        super().load_state_dict({**state_dict, "dirpath": self.dirpath, **places})


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a run's checkpoint, on the CPU: at least ``state_dict`` and :data:`ABOUT`.

    Raises:
        TrainingError: there is no file, it is damaged, or it was not written by this package.
    """
    if not Path(path).is_file():
        raise TrainingError(f"{path}: no such checkpoint; train first")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
        saved = None
    if not isinstance(saved, dict) or not saved.keys() >= {"state_dict", ABOUT}:
        raise TrainingError(f"{path}: not a readable checkpoint of a siampolar training")
    return saved


def averaged_weights(checkpoint: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The network's averaged parameters and buffers, as :class:`SiamPolar` names them."""
    return {
        key.removeprefix(_PREFIX): value
        for key, value in checkpoint["state_dict"].items()
        if key.startswith(_PREFIX)
    }
