"""Weights of a network with its configuration, in one safetensors file (no pickle)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from ..errors import ConfigError
from .config import NetworkConfig, config_from_dict
from .siampolar import SiamPolar


def save_network(path: str | Path, model: SiamPolar) -> None:
    """Write all parameters and buffers, and the configuration as metadata."""
    state = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    # safetensors' own save_file makes a file that only its owner may read.
    Path(path).write_bytes(save(state, metadata={"network": json.dumps(asdict(model.config))}))


def load_network(path: str | Path) -> SiamPolar:
    """Build the network that a file describes and load its weights strictly, in eval mode."""
    with safe_open(str(path), framework="pt") as file:
        config = config_from_dict(json.loads(file.metadata()["network"]), str(path))
        state: dict[str, torch.Tensor] = {
            key: file.get_tensor(key)
            for key in file.keys()  # noqa: SIM118 (it is not a mapping)
        }
    model = SiamPolar(config)
    model.load_state_dict(state)
    return model.eval()


def with_config(model: SiamPolar, config: NetworkConfig) -> SiamPolar:
    """The same weights in another configuration, in eval mode.

    Raises:
        ConfigError: it needs other weights.
    """
    other, state = SiamPolar(config), model.state_dict()
    needed = other.state_dict()
    wrong = sorted(
        name
        for name in needed.keys() | state.keys()
        if name not in needed or name not in state or needed[name].shape != state[name].shape
    )
    if wrong:
        raise ConfigError(
            f"{config.name} needs other weights than {model.config.name}: {len(wrong)} differ, "
            f"such as {wrong[0]}"
        )
    other.load_state_dict(state)
    return other.eval()
