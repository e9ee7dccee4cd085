"""Polar head: where the target is, its box, and the length of its rays at every cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .config import HeadConfig

#: Length in pixels of an untrained ray or box side: about the target's radius in a search crop.
BASE_PX = 32.0


@dataclass(frozen=True)
class HeadMaps:
    """What the head says at every cell of an (H, W) map, in search-crop pixels.

    Attributes:
        class_logit, quality_logit: (N, 1, H, W).
        log_ltrb: (N, 4, H, W), logarithm of the distances to the box's sides over BASE_PX.
        log_rays: (N, R, H, W), logarithm of the ray lengths over BASE_PX.
    """

    class_logit: torch.Tensor
    quality_logit: torch.Tensor
    log_ltrb: torch.Tensor
    log_rays: torch.Tensor


def lengths_px(logarithm: torch.Tensor) -> torch.Tensor:
    """Logarithms of the head to lengths in pixels, between 1 and about 1,000."""
    return BASE_PX * torch.exp(logarithm.clamp(-3.4657, 3.4657))


def _tower(channels: int, width: int, depth: int) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
    return nn.Sequential(*layers), channels


class PolarHead(nn.Module):
    """Three branches of 3x3 convolutions: class, box, and mask (rays and quality)."""

    def __init__(self, channels: int, config: HeadConfig) -> None:
        super().__init__()
        self.class_tower, c = _tower(channels, config.width, config.class_convs)
        self.class_out = nn.Conv2d(c, 1, 3, padding=1)
        self.box_tower, c = _tower(channels, config.width, config.box_convs)
        self.box_out = nn.Conv2d(c, 4, 3, padding=1)
        self.mask_tower, c = _tower(channels, config.width, config.mask_convs)
        self.rays_out = nn.Conv2d(c, config.rays, 3, padding=1)
        self.quality_out = nn.Conv2d(c, 1, 3, padding=1)
        for out in (self.class_out, self.box_out, self.rays_out, self.quality_out):
            nn.init.normal_(out.weight, std=0.01)
            # Few cells are positive (RetinaNet, Lin et al. 2017, section 4.1).
            bias = -4.0 if out is self.class_out else 0.0
            out.bias = nn.Parameter(torch.full((out.out_channels,), bias))

    def forward(self, features: torch.Tensor) -> HeadMaps:
        mask = self.mask_tower(features)
        return HeadMaps(
            class_logit=self.class_out(self.class_tower(features)),
            quality_logit=self.quality_out(mask),
            log_ltrb=self.box_out(self.box_tower(features)),
            log_rays=self.rays_out(mask),
        )
