"""Training throughput: pairs per second, and the share of the time spent waiting for data.

The first steps load libraries, and the next ones take batches that were made meanwhile; the second
half of the run shows what can be kept up. With --on-processors, a few small steps run where there
is no GPU: that shows only that it runs.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from statistics import harmonic_mean

from gpu_report import NotHere, Report
from gpu_setup import ROOT

_CONFIG = ROOT / "config" / "training" / "siampolar_lite0.yaml"
_WEIGHTS = ROOT / "siampolar_model" / "weights" / "siampolar_lite0" / "weights.safetensors"
_COMMAND = (
    "import sys; from siampolar_training.run.lightning_cli import TrainingCLI; "
    "TrainingCLI(sys.argv[1:])"
)


def run(report: Report, options: Namespace) -> None:
    try:
        import lightning  # noqa: F401
        import torch

        import siampolar_training  # noqa: F401
    except ImportError as error:
        raise NotHere(f"the training extra is not installed: {error}") from None
    if torch.cuda.is_available():
        batch, steps, every = 32, 300, 30
        report.note("gpu", torch.cuda.get_device_name())
    elif not options.on_processors:
        raise NotHere("torch finds no CUDA device")
    else:
        batch, steps, every = 2, 4, 1
        report.on_stand_in = True
        report.note("on processors, because of", "torch finds no CUDA device")
    with tempfile.TemporaryDirectory() as folder:
        photos = options.photos
        if photos is None:
            from support.drawn_photos import photo, write_photos

            photos = Path(folder) / "photos"
            write_photos(photos, [photo(index) for index in range(100)])
        report.note("trained on", str(photos) if options.photos else "100 drawn photographs")
        out = Path(folder) / "run"
        settings = {
            "model.initial_weights": _WEIGHTS,
            "trainer.default_root_dir": out,
            "trainer.log_every_n_steps": every,
            "trainer.val_check_interval": steps,
            "trainer.limit_val_batches": 0,
            "data.sources": f"[{{kind: photos, root: {photos.resolve()}}}]",
            "data.pairs": batch * steps,
            "data.batch": batch,
            "data.clips": 1,
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, "fit", "--config", str(_CONFIG), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(" / ".join(done.stderr.strip().splitlines()[-3:]))
        with (out / "log.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("images_per_s")]
    rates = [float(row["images_per_s"]) for row in rows]
    report.note("batch", batch)
    report.note(f"first {every} steps, with loading libraries, s", every * batch / rates[0])
    report.note(f"pairs per second of the other steps, by {every}", rates[1:])
    report.note(
        "share of the time spent waiting for data", [float(row["waited"]) for row in rows[1:]]
    )
    kept_up = harmonic_mean(rates[len(rates) // 2 :])  # every rate is of as many pairs
    report.note("pairs per second in the second half", kept_up)
    report.check("training reports its throughput", len(rates) >= 4)
