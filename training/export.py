"""Turn a checkpoint into a model folder: ``python -m siampolar_training.export CONFIG OUT``."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from siampolar_model.export import export
from siampolar_model.network.config import load_config
from siampolar_model.network.siampolar import SiamPolar

from .command import run_command
from .train import TrainingError, TrainSettings, load_checkpoint, load_settings


def load_ema(settings: TrainSettings) -> tuple[SiamPolar, int]:
    """The averaged network of a run's last checkpoint, and the pairs it has seen.

    Raises:
        ConfigError: a network that cannot be built.
        TrainingError: no checkpoint, a damaged one, or one of another network.
    """
    path = Path(settings.out) / "last.pt"
    saved = load_checkpoint(path)
    model = SiamPolar(load_config(settings.network))
    try:
        model.load_state_dict(saved["ema"])
    except RuntimeError:
        raise TrainingError(f"{path}: belongs to another network than {settings.network}") from None
    return model.eval(), saved["step"] * settings.batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="the run's YAML file, see config/training/")
    parser.add_argument("out", help="model folder to write")
    arguments = parser.parse_args()
    model, pairs = load_ema(load_settings(arguments.config))
    about = {"training": arguments.config, "pairs_seen": pairs, "commit": _commit()}
    print(f"wrote {export(model, arguments.out, about)} after {pairs} pairs")


def _commit() -> str:
    """Commit of this code; "unknown" where it is no clone or git is missing."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


if __name__ == "__main__":
    run_command(main)
