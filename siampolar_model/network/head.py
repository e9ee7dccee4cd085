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
        log_rays: (N, R, H, W), logarithm of the ray lengths over BASE_PX; None with a dense map.
        mask_logit: (N, 1, h, w), whether a place is inside the target, at the dense map's stride;
            None without one.
        presence_logit: (N,), whether the target is in the crop at all; None if not scored.
        template_mask_logit: (N, 1, t, t), what of the template crop is the target; None if not
            drawn.
    """

    class_logit: torch.Tensor
    quality_logit: torch.Tensor
    log_ltrb: torch.Tensor
    log_rays: torch.Tensor | None = None
    mask_logit: torch.Tensor | None = None
    presence_logit: torch.Tensor | None = None
    template_mask_logit: torch.Tensor | None = None


def lengths_px(logarithm: torch.Tensor) -> torch.Tensor:
    """Logarithms of the head to lengths in pixels, between 1 and about 1,000."""
    return BASE_PX * torch.exp(logarithm.clamp(-3.4657, 3.4657))


def tower(channels: int, width: int, depth: int) -> tuple[nn.Sequential, int]:
    """3x3 convolutions with batch norm and ReLU, and the channels that come out."""
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
    """Branches of 3x3 convolutions: class, box, and rays unless they are read from a dense map.

    Quality belongs to the branch that knows the target's extent.
    """

    def __init__(self, channels: int, config: HeadConfig, *, rays: bool = True) -> None:
        super().__init__()
        self.class_tower, c = tower(channels, config.width, config.class_convs)
        self.class_out = nn.Conv2d(c, 1, 3, padding=1)
        self.box_tower, c = tower(channels, config.width, config.box_convs)
        self.box_out = nn.Conv2d(c, 4, 3, padding=1)
        outs = [self.class_out, self.box_out]
        if rays:
            self.mask_tower, c = tower(channels, config.width, config.mask_convs)
            self.rays_out = nn.Conv2d(c, config.rays, 3, padding=1)
            outs.append(self.rays_out)
        self.quality_out = nn.Conv2d(c, 1, 3, padding=1)
        self.draws_rays = rays
        #: The last convolutions of box and quality as one; only in exported graphs.
        self.box_and_quality_out: nn.Conv2d | None = None
        for out in (*outs, self.quality_out):
            nn.init.normal_(out.weight, std=0.01)
            # Few cells are positive (RetinaNet, Lin et al. 2017, section 4.1).
            bias = -4.0 if out is self.class_out else 0.0
            out.bias = nn.Parameter(torch.full((out.out_channels,), bias))

    def join_outs(self) -> None:
        """Give box and quality one convolution if both read the box branch: runtimes compute
        sixteen channels at a time, so one channel costs as much as all five."""
        if self.draws_rays:
            return
        outs = (self.box_out, self.quality_out)
        joined = nn.Conv2d(self.box_out.in_channels, 5, 3, padding=1)
        with torch.no_grad():
            joined.weight.copy_(torch.cat([out.weight for out in outs]))
            biases = [out.bias for out in outs if out.bias is not None]
            assert joined.bias is not None
            joined.bias.copy_(torch.cat(biases))
        self.box_and_quality_out = joined

    def forward(self, features: torch.Tensor) -> HeadMaps:
        """Maps of (N, C, H, W) features."""
        box = self.box_tower(features)
        if self.box_and_quality_out is not None:
            both = self.box_and_quality_out(box)
            return HeadMaps(
                class_logit=self.class_out(self.class_tower(features)),
                quality_logit=both[:, 4:],
                log_ltrb=both[:, :4],
            )
        mask = self.mask_tower(features) if self.draws_rays else None
        return HeadMaps(
            class_logit=self.class_out(self.class_tower(features)),
            quality_logit=self.quality_out(box if mask is None else mask),
            log_ltrb=self.box_out(box),
            log_rays=None if mask is None else self.rays_out(mask),
        )
