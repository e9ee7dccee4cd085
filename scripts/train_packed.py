"""Trains a model from a pack of data in a given time, and exports it: one command on a rented GPU.

    python scripts/train_packed.py PACK.tar OUT [--minutes 8] [--config NAME] [--network NAME]
        [--pairs N] [--batch 64] [--clips 8] [--weights FILE.safetensors]

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
WEIGHTS = ROOT / "siampolar_model" / "weights" / "siampolar_lite0" / "weights.safetensors"

#: The rate is measured over this many steps, by the slowest third of them.
MEASURED_STEPS = 60
#: Steps before, by the number of workers: the first ones load libraries (half a minute on a machine
#: that has just started), and the next ones use up the batches that were made meanwhile.
UNMEASURED_STEPS = 8
#: Of the time that is left then; starting, validation, export and a slower rate take the rest.
SHARE = 0.7

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
    training, networks = files_of("training"), files_of("network")
    parser.add_argument(
        "--config", default="siampolar_lite0", choices=training, help="a file of config/training"
    )
    parser.add_argument(
        "--network", choices=networks, help="a file of config/network, if not the configuration's"
    )
    parser.add_argument("--pairs", type=int, help="instead of what fits into the time")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--weights", type=Path, help="default: siampolar_lite0's, as far as fit")
    parser.add_argument(
        "--clips", type=int, default=8, help="validation clips of held-out photographs; 0: none"
    )
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
        fit(options, sources, run, pairs, every=20)
    checkpoint = next(
        path
        for name in ("best", "last")
        if (path := run / "checkpoints" / f"{name}.ckpt").is_file()
    )
    python(_EXPORT, checkpoint, options.out / "model")
    print(f"{options.out / 'model'} after {time.monotonic() - started:.0f} s")
    return 0


def files_of(folder: str) -> list[str]:
    """The names in a folder of config, without their endings."""
    return sorted(path.stem for path in (ROOT / "config" / folder).glob("*.yaml"))


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
    """Pairs per second of a short training when it runs evenly."""
    steps = UNMEASURED_STEPS * len(os.sched_getaffinity(0)) + MEASURED_STEPS
    fit(options, sources, run, options.batch * steps, every=MEASURED_STEPS // 3, validates=False)
    with (run / "log.csv").open(newline="") as file:
        rates = [float(row["images_per_s"]) for row in csv.DictReader(file) if row["images_per_s"]]
    shutil.rmtree(run)
    return min(rates[-3:])


def fit(
    options: argparse.Namespace,
    sources: str,
    run: Path,
    pairs: int,
    *,
    every: int,
    validates: bool = True,
) -> None:
    """Train in a process of its own."""
    steps = max(1, pairs // options.batch)
    settings = {
        "model.initial_weights": (options.weights or WEIGHTS).resolve(),
        "trainer.default_root_dir": run.resolve(),
        "trainer.log_every_n_steps": max(1, min(every, steps // 3)),
        "trainer.val_check_interval": max(1, steps // 4),
        "trainer.limit_val_batches": 1.0 if validates else 0,
        "data.sources": sources,
        "data.pairs": steps * options.batch,
        "data.batch": options.batch,
        "data.clips": options.clips,
    }
    if options.network is not None:
        settings["model.network"] = ROOT / "config" / "network" / f"{options.network}.yaml"
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    config = ROOT / "config" / "training" / f"{options.config}.yaml"
    python(_FIT, "fit", "--config", config, *arguments)


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
