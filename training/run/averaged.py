"""Averaged weights of a checkpoint, and where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from siampolar_model.network.config import config_from_dict
from siampolar_model.network.siampolar import SiamPolar

from ..errors import TrainingError
from .checkpoints import ABOUT, averaged_weights, read_checkpoint


def load_averaged(path: str | Path) -> tuple[SiamPolar, dict[str, Any]]:
    """The averaged network of a checkpoint in eval mode, and what its files should say of it.

    Returns:
        The second: ``pairs_seen``, ``data`` (what pairs were made of and how), ``settings`` of the
        training, name and SHA-256 of its ``initial_weights`` or None, its ``commit``, and
        ``scores`` on the synthetic clips, empty if it was not validated at this step.

    Raises:
        TrainingError: no checkpoint, a damaged one, or one that this version cannot read.
    """
    saved = read_checkpoint(path)
    about = dict(saved[ABOUT])
    try:
        model = SiamPolar(config_from_dict(about.pop("network")))
        model.load_state_dict(averaged_weights(saved))
    except (KeyError, RuntimeError, ValueError):
        message = f"{path}: was trained with another version of this package"
        raise TrainingError(message) from None
    return model.eval(), about
