"""What a run reports: mean loss parts, images a second, the share of time spent waiting."""

from __future__ import annotations

import csv
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from .checkpoints import is_last_step


class CsvLog(Logger):
    """Appends rows to ``log.csv``.

    Lightning's CSVLogger deletes the file when a run goes on. Here rows of steps that are done
    again are dropped, the others stay.

    Args:
        folder: made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "log.csv"
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: the run's config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        assert step is not None
        row = {"step": str(step), **{k: f"{v:.5g}" for k, v in metrics.items()}}
        if self._columns is None or not row.keys() <= set(self._columns):
            rows = [one for one in self._read() if self._columns or int(one["step"]) < step]
            self._columns = list(dict.fromkeys(key for one in [*rows, row] for key in one))
            self._write([*rows, row])
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            # A kill may have cut the last line short.
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def _write(self, rows: list[dict[str, str]]) -> None:
        assert self._columns is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)


class RunLog(Callback):
    """Reports every ``log_every_n_steps`` steps to all loggers, and to the bar or the terminal.

    Values are means over the steps since the last report, and over all processes. ``waited`` is
    the share of the time in which the loop waited for data; validation counts for nothing.

    Args:
        lines: print one line per report (where no progress bar is shown).
    """

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._sums: dict[str, torch.Tensor] = {}
        self._steps, self._images = 0, 0
        self._started, self._waited_s = 0.0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        self._sums = {}
        self._steps, self._images = 0, 0
        self._started, self._waited_s = time.perf_counter(), _waited_s(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning divides the loss by the batches of an accumulation, and only that.
        whole = {**outputs, "loss": outputs["loss"] * trainer.accumulate_grad_batches}
        for key, value in whole.items():
            self._sums[key] = value.detach() + self._sums.get(key, 0)
        self._steps += 1
        self._images += len(batch["search"]) * trainer.world_size
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (batch_idx + 1) % every and not is_last_step(trainer, batch_idx):
            return
        means = torch.stack(list(self._sums.values())).float() / self._steps
        means = trainer.strategy.reduce(means, reduce_op="mean")
        row = dict(zip(self._sums, means.tolist(), strict=True))
        seconds = time.perf_counter() - self._started
        row["images_per_s"] = self._images / seconds
        row["waited"] = (_waited_s(trainer) - self._waited_s) / seconds
        pl_module.log_dict(row, prog_bar=True, logger=False)
        row["learning_rate"] = trainer.optimizers[0].param_groups[-1]["lr"]
        self._report(trainer, row)
        self._begin(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started += time.perf_counter() - self._paused
        scores = {
            key: float(value)
            for key, value in trainer.callback_metrics.items()
            if key.startswith(("clips_", "video_"))
        }
        self._report(trainer, scores)

    def _report(self, trainer: Trainer, row: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(row, trainer.global_step)
        if self._lines and trainer.is_global_zero:
            values = " ".join(f"{key} {value:.4g}" for key, value in row.items())
            print(f"step {trainer.global_step}: {values}", flush=True)


def _waited_s(trainer: Trainer) -> float:
    return float(getattr(trainer.train_dataloader, "waited_s", 0.0))
