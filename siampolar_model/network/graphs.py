"""The two graphs that are exported: plain uint8 crops in, K candidates out.

Everything that a runtime can do stands inside, so that Python does as little as possible.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..models.spec import ModelSpec
from .backbones import Backbone, ChannelStatistics
from .head import HeadMaps, lengths_px
from .mask_map import OutlineReader
from .siampolar import SiamPolar, cell_centers

#: Targets in one batch; the graph takes any number, buffers do not.
MAX_TARGETS = 16

#: A candidate is the best one of this many cells a side; a target is about nine cells wide.
PEAK_CELLS = 5

#: Weight of all other cells when candidates are ordered: they come last, in an order of their own.
_FILLS_UP = 1e-3


def normalise(crops: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """BGR uint8 (N, H, W, 3) to normalised RGB float32 (N, 3, H, W), channels last."""
    mean, std = (torch.tensor(values, device=crops.device).flip(0) * 255 for values in statistics)
    scaled = (crops.float() - mean) / std
    # [2, 1, 0] as slices: reversing with a step or an index is a Gather or worse in ONNX.
    b, g, r = scaled.unbind(3)
    return torch.stack([r, g, b], 1).contiguous(memory_format=torch.channels_last)


def backbone_input(crops: torch.Tensor, backbone: Backbone) -> torch.Tensor:
    """BGR uint8 (N, H, W, 3) to what a backbone takes, float32 (N, 3, H, W)."""
    if not backbone.takes_bgr:
        return normalise(crops, backbone.statistics)
    mean = torch.tensor(backbone.statistics[0], device=crops.device).flip(0) * 255
    return (crops.float() - mean).permute(0, 3, 1, 2)


class TemplateGraph(nn.Module):
    """Template crop and box to features, once per target."""

    def __init__(self, model: SiamPolar) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, crop: torch.Tensor, box_xyxy: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """uint8 BGR (N, T, T, 3), (N, 4) in crop pixels and, of a network with ``given_mask``,
        cells of a mask (N, t, t) to features (N, L, C, D); see ``models.spec.mask_cells``."""
        image = backbone_input(crop, self.model.template_backbone)
        return self.model.template(image, box_xyxy, mask)


class SearchGraph(nn.Module):
    """Search crops, features and priors to the best K candidates of each target."""

    def __init__(self, model: SiamPolar) -> None:
        super().__init__()
        self.model = model
        config = model.config
        self.outlines = config.map is not None and config.map.outlines
        self.reader = (
            OutlineReader(
                config.head.rays,
                -(-config.search_size // config.map_stride) * config.map_stride,
                config.map_stride,
            )
            if config.map
            else None
        )
        self.register_buffer("centers", cell_centers(config), persistent=False)
        self.centers: torch.Tensor

    def forward(
        self, crops: torch.Tensor, features: torch.Tensor, prior: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """One batch of targets.

        Args:
            crops: uint8 BGR (N, S, S, 3).
            features: (N, L, C, D).
            prior: (N, 6), see :class:`siampolar_model.engines.base.Prior`.

        Returns:
            score and quality (N, K), box_xyxy (N, K, 4), center_xy (N, K, 2), rays_px (N, K, R);
            of a network whose map has ``outlines``, also mask (N, h, w) and mask_gain (N, K). The
            fields of :class:`siampolar_model.engines.base.Candidates`, in their order.
        """
        image = backbone_input(crops, self.model.search_backbone)
        return self.decode(self.model.search(image, features), prior)

    def decode(self, maps: HeadMaps, prior: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Apply the prior and take the best K cells."""
        score = torch.sigmoid(maps.class_logit.float()).flatten(1)
        if maps.presence_logit is not None:
            # Two opinions of equal weight, from a place and from the whole crop.
            present = torch.sigmoid(maps.presence_logit.float()).unsqueeze(1)
            score = torch.sqrt(score * present)
        quality = torch.sigmoid(maps.quality_logit.float()).flatten(1)
        ltrb = lengths_px(maps.log_ltrb.float()).flatten(2)
        weight, penalty, width, height, x, y = prior.unsqueeze(2).unbind(1)  # each (N, 1)

        # Scale and aspect penalty of SiamRPN (Li et al. 2018, eq. 13), on the box's own size.
        w, h = ltrb[:, 0] + ltrb[:, 2], ltrb[:, 1] + ltrb[:, 3]
        size, old_size = _context(w, h), _context(width, height)
        aspect, old_aspect = w / h, width / height
        change = _at_least_one(size / old_size) * _at_least_one(aspect / old_aspect)
        kept = score * quality.sqrt() * torch.exp((1 - change) * penalty)

        # Hann window about the expected place, one search crop wide.
        span = float(self.model.config.search_size)
        window = _hann((self.centers[:, 0] - x) / span) * _hann((self.centers[:, 1] - y) / span)
        chosen = kept * (1 - weight) + window * weight * kept.detach().amax(1, keepdim=True)
        count = self.model.config.candidates
        if count > 1:
            # Only the best cell of its surroundings is a candidate, so two of them are two places.
            side = self.model.config.map_size
            nearby = F.max_pool2d(chosen.view(-1, 1, side, side), PEAK_CELLS, 1, PEAK_CELLS // 2)
            peak = (chosen >= nearby.flatten(1)).to(chosen.dtype)
            # What is no peak fills up the list where there are too few, and counts for nothing.
            chosen, score = chosen * (peak + _FILLS_UP * (1 - peak)), score * peak
        best = torch.topk(chosen, count, dim=1).indices

        def take(values: torch.Tensor) -> torch.Tensor:
            """(N, C, H*W) at the best cells: (N, K, C)."""
            index = best.unsqueeze(1).expand(-1, values.shape[1], -1)
            return torch.gather(values, 2, index).transpose(1, 2)

        centers = self.centers.t().unsqueeze(0).expand(score.shape[0], -1, -1)
        center_xy = take(centers)
        sides = take(ltrb)
        box_xyxy = torch.cat([center_xy - sides[:, :, :2], center_xy + sides[:, :, 2:]], 2)
        found = torch.gather(score, 1, best), torch.gather(quality, 1, best), box_xyxy
        if self.reader is None:
            assert maps.log_rays is not None
            return *found, center_xy, lengths_px(take(maps.log_rays.float().flatten(2)))
        assert maps.mask_logit is not None
        outlines = self.reader(maps.mask_logit.float(), center_xy, box_xyxy)
        return *found, *(outlines if self.outlines else outlines[:2])


def _context(width: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
    pad = (width + height) / 2
    return torch.sqrt((width + pad) * (height + pad))


def _at_least_one(ratio: torch.Tensor) -> torch.Tensor:
    return torch.maximum(ratio, 1 / ratio)


def _hann(distance: torch.Tensor) -> torch.Tensor:
    return 0.5 + 0.5 * torch.cos(2 * math.pi * distance.clamp(-0.5, 0.5))


def spec_of(model: SiamPolar) -> ModelSpec:
    """What a tracker must know about a network."""
    config = model.config
    return ModelSpec(
        name=config.name,
        template_size=config.template_size,
        search_size=config.search_size,
        search_factor=config.search_factor,
        n_rays=config.head.rays,
        max_targets=MAX_TARGETS,
        takes_mask=config.given_mask,
        gives_mask=config.map is not None and config.map.outlines,
    )
