"""The whole network (SiamPolar, arXiv 2110.14773): two backbones, correlation, neck, head."""

from __future__ import annotations

import torch
from torch import nn

from .backbones import Backbone
from .config import NetworkConfig
from .correlation import CORRELATION_MODULES, describe, pool_box
from .head import HeadMaps, PolarHead
from .neck import Detail, lateral, top_down


class SiamPolar(nn.Module):
    """Asymmetric Siamese tracker that draws its target as rays.

    Args:
        config: what to build.
        weights: where backbone weights come from, see :class:`Backbone`.
    """

    def __init__(self, config: NetworkConfig, weights: str = "none") -> None:
        super().__init__()
        self.config = config
        strides = ((4,) if config.detail else ()) + config.levels
        self.search_backbone = Backbone(config.search_backbone, strides, weights)
        self.template_backbone = Backbone(config.template_backbone, config.levels, weights)
        channels = self.search_backbone.channels
        if config.detail:
            self.detail: nn.Module | None = Detail(channels[0], config.width, config.stride)
            channels = channels[1:]
        else:
            self.detail = None
        # The backbones share no channel order, so each has its own projection; the
        # template's costs nothing while tracking.
        self.search_laterals = nn.ModuleList(lateral(c, config.width) for c in channels)
        self.template_laterals = nn.ModuleList(
            lateral(c, config.width) for c in self.template_backbone.channels
        )
        correlation = CORRELATION_MODULES[config.correlation]
        self.correlations = nn.ModuleList(correlation(config.width) for _ in config.levels)
        self.head = PolarHead(config.width, config.head)

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
            describe(pool_box(project(level), box_xyxy, self.config.template_size))
            for project, level in zip(self.template_laterals, features, strict=True)
        ]
        return torch.stack(described, 1)

    def search(self, image: torch.Tensor, template: torch.Tensor) -> HeadMaps:
        """Maps of the head for normalised RGB (N, 3, S, S) and features of N targets."""
        features = self.search_backbone(image)
        extra = self.detail(features.pop(0)) if self.detail is not None else None
        maps = [
            correlate(project(level), template[:, i])
            for i, (project, correlate, level) in enumerate(
                zip(self.search_laterals, self.correlations, features, strict=True)
            )
        ]
        total = top_down(maps)
        out: HeadMaps = self.head(total if extra is None else total + extra)
        return out

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
