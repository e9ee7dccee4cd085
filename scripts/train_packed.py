"""Trains a model from a pack of data in a given time, and exports it: one command on a rented GPU.

    python scripts/train_packed.py PACK.tar OUT [--minutes 8] [--network NAME] [--pairs N]
        [--batch 64] [--weights FILE.safetensors]

PACK.tar comes from scripts/pack_training_data.py. A short run measures the pairs per second; the
training then takes as many pairs as fit into the time, so that its learning rate ends at 0. OUT
gets the run (log, checkpoints) and the model folder OUT/model.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "training" / "siampolar_lite0.yaml"

#: Steps of the run that measures, and the share of the time that is left for training: starting,
#: validation and export take the rest.
PROBE_STEPS, SHARE = 60, 0.75

_FIT = (
    "import sys; from siampolar_training.run.lightning_cli import TrainingCLI; "
    "TrainingCLI(sys.argv[1:])"
)
_EXPORT = (
    "import sys; from pathlib import Path; from siampolar_training.cli.export import export; "
    "export(Path(sys.argv[1]), Path(sys.argv[2]))"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--network", default="siampolar_lite0", help="a file of config/network")
    parser.add_argument("--pairs", type=int, help="instead of what fits into the time")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--weights", type=Path, help="default: the shipped model's, as far as fit")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with tarfile.open(options.pack) as tar:
            tar.extractall(data, filter="data")
        sources = sources_of(data)
        pairs = options.pairs
        if pairs is None:
            rate = measured_rate(options, sources, data / "probe")
            left = options.minutes * 60 - (time.monotonic() - started)
            pairs = max(options.batch, int(rate * left * SHARE))
            print(f"{rate:.0f} pairs per second: {pairs} pairs in {left:.0f} s", flush=True)
        run = options.out / "run"
        fit(options, sources, run, pairs, clips=8)
    checkpoint = next(
        path
        for name in ("best", "last")
        if (path := run / "checkpoints" / f"{name}.ckpt").is_file()
    )
    python(_EXPORT, checkpoint, options.out / "model")
    print(f"{options.out / 'model'} after {time.monotonic() - started:.0f} s")
    return 0


def sources_of(data: Path) -> str:
    """The configuration's ``data.sources`` for what a pack held."""
    entries = [
        f"{{kind: photos, root: {folder}, weight: 3}}" for folder in sorted(data.glob("photos*"))
    ]
    if (data / "davis").is_dir():
        entries.append(f"{{kind: davis, root: {data / 'davis'}, hold_out: 5, weight: 4}}")
    if not entries:
        raise SystemExit("the pack holds neither photographs nor videos")
    return f"[{', '.join(entries)}]"


def measured_rate(options: argparse.Namespace, sources: str, run: Path) -> float:
    """Pairs per second of a short training, without its start."""
    fit(options, sources, run, options.batch * PROBE_STEPS, clips=1)
    with (run / "log.csv").open(newline="") as file:
        rates = [float(row["images_per_s"]) for row in csv.DictReader(file) if row["images_per_s"]]
    shutil.rmtree(run)
    return sorted(rates[1:] or rates)[len(rates[1:] or rates) // 2]


def fit(options: argparse.Namespace, sources: str, run: Path, pairs: int, *, clips: int) -> None:
    steps = max(1, pairs // options.batch)
    weights = options.weights
    if weights is None:
        weights = ROOT / "siampolar_model" / "weights" / "siampolar_lite0" / "weights.safetensors"
    settings = {
        "model.network": ROOT / "config" / "network" / f"{options.network}.yaml",
        "model.initial_weights": weights.resolve(),
        "trainer.default_root_dir": run.resolve(),
        "trainer.log_every_n_steps": max(1, min(20, steps // 3)),
        "trainer.val_check_interval": max(1, steps // 4),
        "trainer.limit_val_batches": 0 if clips == 1 else 1.0,
        "data.sources": sources,
        "data.pairs": steps * options.batch,
        "data.batch": options.batch,
        "data.clips": clips,
    }
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    python(_FIT, "fit", "--config", CONFIG, *arguments)


def python(code: str, *arguments: object) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
