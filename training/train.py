"""Train a network on synthetic pairs: ``python -m siampolar_training.train CONFIG``.

Small on purpose: one process, one configuration file, checkpoints that resume.
"""

from __future__ import annotations

import argparse
import csv
import math
import pickle
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Subset

from siampolar_model.network.config import load_config
from siampolar_model.network.graphs import normalise
from siampolar_model.network.siampolar import SiamPolar
from siampolar_model.network.yaml_values import check_keys, read_yaml
from siampolar_model.ranges import check_ranges

from .command import run_command
from .losses import head_losses
from .pairs import SyntheticPairs
from .photos import load_photos

BACKBONE_WEIGHTS = ("none", "timm", "package")
LOSSES = ("class", "mask", "box", "quality", "presence")

#: Steps that one row of log.csv is the mean of.
LOG_EVERY = 50

#: Allowed range of every number, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "pairs": (1, 10**9),
    "batch": (1, 4096),
    "learning_rate": (0.0, 1.0),
    "backbone_rate": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "warmup_steps": (0, 10**6),
    "ema": (0.0, 1.0),
    "seed": (0, 2**32 - 1),
    "workers": (0, 256),
    "threads": (1, 256),
    "checkpoint_every": (1, 10**6),
}


_SAVED = ("model", "ema", "step", "optimizer", "schedule")


class TrainingError(ValueError):
    """A run that cannot start or go on; the message names the value and what is allowed."""


@dataclass(frozen=True)
class TrainSettings:
    """One training run; every field can stand in the YAML file."""

    network: str
    photos: str
    out: str
    pairs: int
    batch: int = 16
    learning_rate: float = 1e-3
    backbone_rate: float = 1.5e-4
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    ema: float = 0.999
    seed: int = 1
    workers: int = 2
    threads: int = 2
    backbone_weights: str = "package"
    initial_weights: str = ""
    frozen: tuple[str, ...] = ()
    loss_weights: tuple[tuple[str, float], ...] = (
        ("class", 1.0),
        ("mask", 1.0),
        ("box", 1.0),
        ("quality", 0.3),
        ("presence", 0.5),
    )
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        for name in ("network", "photos", "out"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise TrainingError(f"{name} is {value!r}; it must be a path")
        try:
            check_ranges(self, SETTING_RANGES)
        except ValueError as error:
            raise TrainingError(str(error)) from None
        if self.pairs < self.batch:
            raise TrainingError(f"pairs is {self.pairs}; it must fill a batch of {self.batch}")
        if self.backbone_weights not in BACKBONE_WEIGHTS:
            raise TrainingError(
                f"backbone_weights {self.backbone_weights!r} is not one of {BACKBONE_WEIGHTS}"
            )
        for pattern in self.frozen:
            try:
                re.compile(pattern)
            except (re.error, TypeError):
                raise TrainingError(
                    f"frozen {pattern!r} is no regular expression of parameter names"
                ) from None
        for loss, weight in self.loss_weights:
            if loss not in LOSSES:
                raise TrainingError(f"loss_weights: unknown loss {loss!r}; allowed: {LOSSES}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight >= 0:
                raise TrainingError(f"loss_weights: {loss} is {weight!r}; it must be 0 or more")
        for loss in LOSSES:
            if loss not in dict(self.loss_weights):
                raise TrainingError(f"loss_weights: the loss {loss!r} is missing")


class ModelEma:
    """Exponential moving average of all parameters and buffers."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model: torch.nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            mean = self.state[key]
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def _parameter_groups(model: SiamPolar, settings: TrainSettings) -> list[dict[str, Any]]:
    backbone = [p for p in model.search_backbone.parameters() if p.requires_grad]
    ours = {id(p) for p in backbone}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in ours]
    return [
        {"params": backbone, "lr": settings.backbone_rate},
        {"params": rest, "lr": settings.learning_rate},
    ]


def train(settings: TrainSettings) -> Path:
    """Run (or resume) a training; returns the checkpoint's path.

    Raises:
        ConfigError, DataError: a network or photographs that cannot be used.
        TrainingError: a checkpoint that is damaged or of another network.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    network = load_config(settings.network)
    total = settings.pairs // settings.batch
    pairs = SyntheticPairs(
        load_photos(settings.photos, validation=False),
        network,
        length=total * settings.batch,
        seed=settings.seed,
    )
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    model = SiamPolar(network, settings.backbone_weights).to(memory_format=torch.channels_last)
    if settings.initial_weights:
        taken = load_fitting(model, settings.initial_weights)
        print(f"{taken} of {len(model.state_dict())} tensors from {settings.initial_weights}")
    model.template_backbone.freeze([""])
    model.search_backbone.freeze(settings.frozen)
    model.train()
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, settings), weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, total, settings.warmup_steps)
    )
    ema = ModelEma(model, settings.ema)
    checkpoint, first = out / "last.pt", 0
    if checkpoint.exists():
        saved = load_checkpoint(checkpoint)
        try:
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
        except (RuntimeError, ValueError, KeyError):
            raise TrainingError(
                f"{checkpoint}: its network or frozen parts are not those of this run; "
                "give another folder as `out`"
            ) from None
        ema.state = saved["ema"]
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    loader: DataLoader[dict[str, torch.Tensor]] = DataLoader(
        Subset(pairs, range(first * settings.batch, len(pairs))),  # type: ignore[arg-type]
        batch_size=settings.batch,
        num_workers=settings.workers,
        worker_init_fn=_single_threaded,
        prefetch_factor=4 if settings.workers else None,
    )
    weights = dict(settings.loss_weights)
    with (out / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        if not file.tell():
            log.writerow(["step", *LOSSES, "images_per_s", "waited"])
        sums, summed = dict.fromkeys(LOSSES, 0.0), 0
        waited, started, asked = 0.0, time.perf_counter(), time.perf_counter()
        for step, batch in enumerate(loader, start=first + 1):
            waited += time.perf_counter() - asked
            template = normalise(batch["template"], model.template_backbone.statistics)
            search = normalise(batch["search"], model.search_backbone.statistics)
            with torch.autocast("cpu", torch.bfloat16):
                maps = model(template, batch["box_xyxy"], search)
            losses = head_losses(maps, batch)
            loss = torch.stack([weights[k] * v for k, v in losses.items()]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            ema.update(model, step)
            for key, value in losses.items():
                sums[key] += value.item()
            summed += 1
            if step % LOG_EVERY == 0 or step == total:
                seconds = time.perf_counter() - started
                row = {k: round(v / summed, 4) for k, v in sums.items()}
                rate = round(summed * settings.batch / seconds, 1)
                log.writerow([step, *row.values(), rate, round(waited / seconds, 3)])
                file.flush()
                print(
                    f"{step}/{total} {row} {rate} images/s, waited {waited / seconds:.0%}",
                    flush=True,
                )
                sums, summed = dict.fromkeys(LOSSES, 0.0), 0
                waited, started = 0.0, time.perf_counter()
            if step % settings.checkpoint_every == 0 or step == total:
                _save(
                    checkpoint,
                    {
                        "model": model.state_dict(),
                        "ema": ema.state,
                        "step": step,
                        "optimizer": optimizer.state_dict(),
                        "schedule": schedule.state_dict(),
                    },
                )
            asked = time.perf_counter()
    return checkpoint


def load_fitting(model: SiamPolar, path: str) -> int:
    """Take over the tensors of a weights.safetensors whose name and shape fit; how many."""
    state = model.state_dict()
    fitting = {k: v for k, v in load_file(path).items() if k in state and v.shape == state[k].shape}
    model.load_state_dict({**state, **fitting})
    return len(fitting)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What a run saved last.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint; train first")
    try:
        saved = torch.load(path, weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
        saved = None
    if not isinstance(saved, dict) or not saved.keys() >= set(_SAVED):
        raise TrainingError(f"{path}: not a readable checkpoint")
    return saved


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write whole or not at all, so that a kill leaves the last checkpoint usable."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _single_threaded(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def load_settings(path: str | Path) -> TrainSettings:
    """Read a training configuration.

    Raises:
        TrainingError: not YAML, an unknown or missing key, or a value that is not allowed.
        OSError: the file cannot be read.
    """
    values = read_yaml(path, TrainingError)
    check_keys(TrainSettings, values, str(path), TrainingError)
    for name, kind in (("frozen", list), ("loss_weights", dict)):
        if not isinstance(values.get(name, kind()), kind):
            shape = "list" if kind is list else "group"
            raise TrainingError(f"{path}: {name} is {values[name]!r}; it must be a {shape}")
    values["frozen"] = tuple(values.get("frozen", ()))
    if "loss_weights" in values:
        values["loss_weights"] = tuple(values["loss_weights"].items())
    try:
        return TrainSettings(**values)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="YAML file, see config/training/")
    train(load_settings(parser.parse_args().config))


if __name__ == "__main__":
    run_command(main)
