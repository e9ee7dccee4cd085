"""Semi-FPN: lateral 1x1 projections and top-down sums, without 3x3 smoothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def lateral(channels: int, width: int) -> nn.Sequential:
    """Learned projection of one backbone level to the common width."""
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))


def top_down(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum of maps, finest first, coarser ones enlarged by repetition: the finest's shape."""
    total = maps[-1]
    for finer in reversed(maps[:-1]):
        enlarged = F.interpolate(total, scale_factor=2.0, mode="nearest")
        total = finer + enlarged[:, :, : finer.shape[2], : finer.shape[3]]
    return total


class Detail(nn.Module):
    """Stride-4 features brought to the head's stride by strided 3x3 convolutions."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while stride > 4:
            layers += [
                nn.Conv2d(channels, width, 3, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels, stride = width, stride // 2
        self.layers = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(features)
        return out
