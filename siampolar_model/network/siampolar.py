"""The whole network (SiamPolar, arXiv 2110.14773): two backbones, correlation, neck, head."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from .backbones import Backbone
from .config import NetworkConfig
from .correlation import (
    CORRELATION_MODULES,
    PARTS,
    FusedCorrelation,
    describe,
    describe_masked,
    pool_box,
)
from .head import HeadMaps, PolarHead
from .mask_map import MaskMap
from .neck import Detail, lateral, top_down
from .presence import Presence
from .ridge import discriminants
from .template_mask import TemplateMask, coverage, target_share, with_given

#: How many of the template's strides, the finest first, draw its mask: 4, 8 and 16.
_DRAWN = 3


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
        self.template_strides = (
            [2**i for i in range(2, config.levels[-1].bit_length())]
            if config.template_mask
            else list(config.levels)
        )
        self.template_backbone = Backbone(config.template_backbone, self.template_strides, weights)
        channels = dict(zip(self.strides, self.search_backbone.channels, strict=True))
        self.detail = Detail(channels[4], config.width, config.stride) if config.detail else None
        # The backbones share no channel order, so each has its own projection; the
        # template's costs nothing while tracking.
        self.search_laterals = nn.ModuleList(
            lateral(channels[s], config.width) for s in config.levels
        )
        self.template_laterals = nn.ModuleList(
            lateral(c, config.width)
            for c, stride in zip(
                self.template_backbone.channels, self.template_strides, strict=True
            )
            if stride in config.levels
        )
        self.template_mask = (
            TemplateMask(self.template_backbone.channels[:_DRAWN], self.template_strides[:_DRAWN])
            if config.template_mask
            else None
        )
        correlation = CORRELATION_MODULES[config.correlation]
        self.correlations = nn.ModuleList(
            correlation(config.width, background=config.template_mask, ridge=config.ridge)
            for _ in config.levels
        )
        for correlate, stride in zip(self.correlations, config.levels, strict=True):
            if stride > 16 and isinstance(correlate, FusedCorrelation):
                correlate.start_faintly()
        # Of an FPN's smoothed levels the head reads the finest.
        self.smooth = (
            nn.Conv2d(config.width, config.width, 3, padding=1) if config.neck == "fpn" else None
        )
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

    def template(
        self, image: torch.Tensor, box_xyxy: torch.Tensor, given: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features of a target.

        Args:
            image: normalised RGB (N, 3, T, T).
            box_xyxy: (N, 4), the target's box in crop pixels.
            given: (N, t, t), share of the target in each cell of the template's finest stride,
                below 0 where it is not known; None: nowhere.

        Returns:
            (N, levels, C, D): the parts of the target, their mean and, where it is told apart, the
            background and the direction that tells them apart, per level.
        """
        return self.template_and_mask(image, box_xyxy, given)[0]

    def template_and_mask(
        self, image: torch.Tensor, box_xyxy: torch.Tensor, given: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The same, and what of the crop was taken for the target: logits (N, 1, t, t), or None."""
        features = dict(zip(self.template_strides, self.template_backbone(image), strict=True))
        levels = [
            (project(features[stride]), stride)
            for project, stride in zip(self.template_laterals, self.config.levels, strict=True)
        ]
        if self.template_mask is None:
            described = [describe(pool_box(level, box_xyxy, stride)) for level, stride in levels]
            return torch.stack(described, 1), None
        logit = self.template_mask(list(features.values())[:_DRAWN], box_xyxy)
        finest = self.template_strides[0]
        h, w = int(logit.shape[2]), int(logit.shape[3])
        share = target_share(logit)
        if given is not None:
            share = with_given(share, given)
        mask = share * coverage(box_xyxy.to(logit.dtype), finest, h, w)
        masks = [
            F.avg_pool2d(mask, stride // finest, ceil_mode=True, count_include_pad=False)
            for _, stride in levels
        ]
        described = [
            describe_masked(level, share, box_xyxy, stride)
            for (level, stride), share in zip(levels, masks, strict=True)
        ]
        if self.config.ridge:
            told = discriminants([level for level, _ in levels], masks)
            described = [torch.cat(both, 2) for both in zip(described, told, strict=True)]
        return torch.stack(described, 1), logit

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
        if self.smooth is not None:
            fused = self.smooth(fused)
        if self.detail is not None:
            fused = fused + self.detail(features[4])
        maps: HeadMaps = self.head(fused)
        if self.mask_map is not None:
            finer = [features[stride] for stride in self.map_strides]
            maps = replace(maps, mask_logit=self.mask_map(fused, finer))
        if self.presence is not None:
            logit = self.presence(maps.class_logit, fused, projected[0], template[:, 0, :, PARTS])
            maps = replace(maps, presence_logit=logit)
        return maps

    def forward(
        self,
        template_image: torch.Tensor,
        box_xyxy: torch.Tensor,
        search_image: torch.Tensor,
        given: torch.Tensor | None = None,
    ) -> HeadMaps:
        template, logit = self.template_and_mask(template_image, box_xyxy, given)
        return replace(self.search(search_image, template), template_mask_logit=logit)

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
