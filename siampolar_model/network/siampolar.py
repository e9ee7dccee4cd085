"""The whole network (SiamPolar, arXiv 2110.14773): two backbones, correlation, neck, head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from .backbones import Backbone
from .config import NetworkConfig
from .correlation import CORRELATION_MODULES, describe, pool_box
from .head import HeadMaps, PolarHead
from .mask_map import MaskMap
from .neck import Detail, lateral, top_down
from .presence import Presence


class SiamPolar(nn.Module):
    """Asymmetric Siamese tracker that draws its target as rays.

    Args:
        config: what to build.
        weights: where backbone weights come from, see :class:`Backbone`.
    """

    def __init__(self, config: NetworkConfig, weights: str = "none") -> None:
        super().__init__()
        self.config = config
        #: Finer strides whose features the dense map takes in, coarse to fine.
        self.map_strides = [
            config.stride >> (i + 1) for i in range(len(config.map.widths) - 1 if config.map else 0)
        ]
        self.strides = sorted({*config.levels, *self.map_strides, *((4,) if config.detail else ())})
        self.search_backbone = Backbone(config.search_backbone, self.strides, weights)
        self.template_backbone = Backbone(config.template_backbone, config.levels, weights)
        channels = dict(zip(self.strides, self.search_backbone.channels, strict=True))
        self.detail = Detail(channels[4], config.width, config.stride) if config.detail else None
        # The backbones share no channel order, so each has its own projection; the
        # template's costs nothing while tracking.
        self.search_laterals = nn.ModuleList(
            lateral(channels[s], config.width) for s in config.levels
        )
        self.template_laterals = nn.ModuleList(
            lateral(c, config.width) for c in self.template_backbone.channels
        )
        correlation = CORRELATION_MODULES[config.correlation]
        self.correlations = nn.ModuleList(correlation(config.width) for _ in config.levels)
        self.head = PolarHead(config.width, config.head, rays=config.map is None)
        self.mask_map = (
            MaskMap(
                config.width,
                [channels[s] for s in self.map_strides],
                config.map.widths,
                config.map.convs,
            )
            if config.map
            else None
        )
        self.presence = Presence(config.width) if config.presence else None

    def template(self, image: torch.Tensor, box_xyxy: torch.Tensor) -> torch.Tensor:
        """Features of a target.

        Args:
            image: normalised RGB (N, 3, T, T).
            box_xyxy: (N, 4), the target's box in crop pixels.

        Returns:
            (N, levels, C, K*K + 1): the parts of the box and their mean, per level.
        """
        features = self.template_backbone(image)
        described = [
            describe(pool_box(project(level), box_xyxy, stride))
            for project, level, stride in zip(
                self.template_laterals, features, self.config.levels, strict=True
            )
        ]
        return torch.stack(described, 1)

    def search(self, image: torch.Tensor, template: torch.Tensor) -> HeadMaps:
        """Maps of the head for normalised RGB (N, 3, S, S) and features of N targets."""
        features = dict(zip(self.strides, self.search_backbone(image), strict=True))
        projected = [
            project(features[stride])
            for project, stride in zip(self.search_laterals, self.config.levels, strict=True)
        ]
        fused = top_down(
            [
                correlate(level, template[:, i])
                for i, (correlate, level) in enumerate(
                    zip(self.correlations, projected, strict=True)
                )
            ]
        )
        if self.detail is not None:
            fused = fused + self.detail(features[4])
        maps: HeadMaps = self.head(fused)
        if self.mask_map is not None:
            finer = [features[stride] for stride in self.map_strides]
            maps = replace(maps, mask_logit=self.mask_map(fused, finer))
        if self.presence is not None:
            logit = self.presence(maps.class_logit, fused, projected[0], template[:, 0, :, -1])
            maps = replace(maps, presence_logit=logit)
        return maps

    def forward(
        self, template_image: torch.Tensor, box_xyxy: torch.Tensor, search_image: torch.Tensor
    ) -> HeadMaps:
        return self.search(search_image, self.template(template_image, box_xyxy))

    def train(self, mode: bool = True) -> SiamPolar:
        """Training mode, except that the backbones' batch norms keep their ImageNet statistics."""
        super().train(mode)
        for backbone in (self.search_backbone, self.template_backbone):
            for module in backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def cell_centers(config: NetworkConfig) -> torch.Tensor:
    """Centres (H*W, 2) as x, y of the head's cells in search-crop pixels, row by row."""
    at = (torch.arange(config.map_size) + 0.5) * config.stride
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)
