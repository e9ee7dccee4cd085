"""Weights to start from: another run's checkpoint, or the weights of a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..errors import TrainingError
from .checkpoints import averaged_weights, read_checkpoint


def load_fitting(model: nn.Module, path: str | Path) -> tuple[int, int]:
    """Take over the tensors whose name and shape fit; the others stay as they are.

    Where the maps of a correlation are one more than there, its weights start at zero, so that at
    first the others give what they gave.

    Args:
        path: ``*.ckpt`` of a run (its averaged weights), or ``weights.safetensors`` of a model.

    Returns:
        How many tensors were taken, and how many the network has.

    Raises:
        TrainingError: no such file, a damaged one, or one of which nothing fits.
    """
    path = Path(path)
    state = model.state_dict()
    found = _tensors(path)
    fitting = {k: _widened(k, v, state[k]) for k, v in found.items() if k in state}
    fitting = {k: v for k, v in fitting.items() if v.shape == state[k].shape}
    if not fitting:
        raise TrainingError(f"{path}: none of its {len(found)} tensors fits this network")
    model.load_state_dict({**state, **fitting})
    return len(fitting), len(state)


def _widened(key: str, weight: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The weight (O, C, 1, 1) that mixes a correlation's maps with zeros for maps that follow
    those it knows, if these are all that it lacks; any other tensor as it is."""
    mixes = key.endswith(".fuse.0.weight") and len(weight) == len(wanted)
    if not mixes or weight.shape[1] >= wanted.shape[1]:
        return weight
    new = torch.zeros_like(wanted)
    new[:, : weight.shape[1]] = weight
    return new


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".ckpt":
        return averaged_weights(read_checkpoint(path))
    try:
        return load_file(path)
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such file of weights") from None
    except (SafetensorError, OSError):
        raise TrainingError(f"{path}: neither a .ckpt nor a readable .safetensors") from None
