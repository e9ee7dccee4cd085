"""Turn a checkpoint into a model folder: ``python -m siampolar_training.export CONFIG OUT``."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import torch

from siampolar_model.export import export
from siampolar_model.network.config import load_config
from siampolar_model.network.siampolar import SiamPolar

from .train import TrainSettings, load_settings


def load_ema(settings: TrainSettings) -> tuple[SiamPolar, int]:
    """The averaged network of a run's last checkpoint, and the pairs it has seen."""
    saved = torch.load(Path(settings.out) / "last.pt", weights_only=True)
    model = SiamPolar(load_config(settings.network))
    model.load_state_dict(saved["ema"])
    return model.eval(), saved["step"] * settings.batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="the run's YAML file, see config/training/")
    parser.add_argument("out", help="model folder to write")
    arguments = parser.parse_args()
    model, pairs = load_ema(load_settings(arguments.config))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    about = {"training": arguments.config, "pairs_seen": pairs, "commit": commit}
    print(f"wrote {export(model, arguments.out, about)} after {pairs} pairs")


if __name__ == "__main__":
    main()
