"""Train a network on synthetic pairs: ``python -m siampolar_training.train CONFIG``.

Small on purpose: one process, one configuration file, checkpoints that resume.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml
from torch.utils.data import DataLoader, Subset

from siampolar_model.network.config import load_config
from siampolar_model.network.graphs import normalise
from siampolar_model.network.siampolar import SiamPolar

from .losses import head_losses
from .pairs import SyntheticPairs
from .photos import load_photos


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
    frozen: tuple[str, ...] = ()
    loss_weights: tuple[tuple[str, float], ...] = (
        ("class", 1.0),
        ("mask", 1.0),
        ("box", 1.0),
        ("quality", 0.3),
    )
    checkpoint_every: int = 250


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
    """Run (or resume) a training; returns the checkpoint's path."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    network = load_config(settings.network)
    model = SiamPolar(network, settings.backbone_weights).to(memory_format=torch.channels_last)
    model.template_backbone.freeze([""])
    model.search_backbone.freeze(settings.frozen)
    model.train()
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, settings), weight_decay=settings.weight_decay
    )
    total = settings.pairs // settings.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, total, settings.warmup_steps)
    )
    ema = ModelEma(model, settings.ema)
    checkpoint, first = out / "last.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        ema.state = saved["ema"]
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    pairs = SyntheticPairs(
        load_photos(settings.photos, validation=False),
        network,
        length=total * settings.batch,
        seed=settings.seed,
    )
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
        sums: dict[str, float] = {}
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
                sums[key] = sums.get(key, 0.0) + value.item()
            if step % 50 == 0 or step == total:
                seconds = time.perf_counter() - started
                done = 50 if step % 50 == 0 else step % 50
                row = {k: round(v / done, 4) for k, v in sums.items()}
                rate = round(done * settings.batch / seconds, 1)
                log.writerow([step, *row.values(), rate, round(waited / seconds, 3)])
                file.flush()
                print(
                    f"{step}/{total} {row} {rate} images/s, waited {waited / seconds:.0%}",
                    flush=True,
                )
                sums, waited, started = {}, 0.0, time.perf_counter()
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


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write whole or not at all, so that a kill leaves the last checkpoint usable."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _single_threaded(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def load_settings(path: str | Path) -> TrainSettings:
    """Read a training configuration; unknown keys are refused by name."""
    values = yaml.safe_load(Path(path).read_text())
    known = set(TrainSettings.__dataclass_fields__)
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}; allowed: {sorted(known)}")
    values["frozen"] = tuple(values.get("frozen", ()))
    if "loss_weights" in values:
        values["loss_weights"] = tuple(values["loss_weights"].items())
    return TrainSettings(**values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="YAML file, see config/training/")
    train(load_settings(parser.parse_args().config))


if __name__ == "__main__":
    main()
