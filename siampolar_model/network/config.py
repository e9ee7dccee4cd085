"""What a network is made of, read from a YAML file in config/network/."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

CORRELATIONS = ("depthwise", "pixelwise", "repeated", "constant")
RAYS = (36, 72, 180)
STRIDES = (8, 16, 32)


class ConfigError(ValueError):
    """A configuration that cannot be built; the message names the value and what is allowed."""


@dataclass(frozen=True)
class HeadConfig:
    """Depth of the three branches (3x3 convolutions before the last one) and their width."""

    width: int = 96
    class_convs: int = 2
    box_convs: int = 2
    mask_convs: int = 3
    rays: int = 72

    def __post_init__(self) -> None:
        if self.rays not in RAYS:
            raise ConfigError(f"head.rays {self.rays} is not one of {RAYS}")


@dataclass(frozen=True)
class NetworkConfig:
    """A whole network.

    Attributes:
        search_backbone, template_backbone: names in timm; the template's is usually shallower.
        levels: strides that are correlated and summed; the head works at the first one.
        width: channels of every level after its lateral 1x1.
        detail: add stride-4 features, brought to the head's stride by one strided 3x3.
        search_factor: side of the search window over the side of the template window.
    """

    name: str
    search_backbone: str
    template_backbone: str
    levels: tuple[int, ...] = (8, 16)
    width: int = 96
    correlation: str = "depthwise"
    detail: bool = False
    head: HeadConfig = field(default_factory=HeadConfig)
    template_size: int = 127
    search_size: int = 255
    search_factor: float = 1.7
    candidates: int = 8

    def __post_init__(self) -> None:
        if self.correlation not in CORRELATIONS:
            raise ConfigError(f"correlation {self.correlation!r} is not one of {CORRELATIONS}")
        if not self.levels or list(self.levels) != sorted(set(self.levels) & set(STRIDES)):
            raise ConfigError(f"levels {self.levels} must be ascending strides out of {STRIDES}")
        if not 1.0 < self.search_factor <= 4.0:
            raise ConfigError(f"search_factor {self.search_factor} must lie in (1, 4]")

    @property
    def stride(self) -> int:
        """Stride of the map on which the head draws."""
        return self.levels[0]

    @property
    def map_size(self) -> int:
        """Cells a side of that map."""
        return -(-self.search_size // self.stride)


def _checked(cls: type, values: dict[str, Any], where: str) -> dict[str, Any]:
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; allowed: {sorted(known)}")
    return values


def config_from_dict(values: dict[str, Any], where: str = "network") -> NetworkConfig:
    """Build a configuration from plain values, refusing unknown keys."""
    values = dict(_checked(NetworkConfig, values, where))
    if "head" in values:
        values["head"] = HeadConfig(**_checked(HeadConfig, values["head"], f"{where}.head"))
    if "levels" in values:
        values["levels"] = tuple(values["levels"])
    return NetworkConfig(**values)


def load_config(path: str | Path) -> NetworkConfig:
    """Read one YAML file of config/network/."""
    return config_from_dict(yaml.safe_load(Path(path).read_text()), str(path))
