"""A dense map of what is inside the target, and rays read from it.

Regressing the length of every ray from one cell's features rounds outlines off: necks, legs and
wheels are lost. A map at stride 4 or 2 keeps them, and the best-overlap rule turns it into rays
about any centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .head import tower
from .neck import lateral

#: Samples along a ray that is drawn.
SAMPLES = 32

#: The points that may replace a centre: a grid of this many rows and columns in the box.
PLACES = 6

#: Side of the window, in pixels of the search crop, whose mean tells how far a point is inside, and
#: by how much another point must be better than the cell itself.
WINDOW_PX, CELL_BONUS = 24.0, 0.25

#: How far beyond the box a ray may reach: this share of the distance to its side ...
REACH = 1.2
#: ... plus this many pixels of the search crop.
REACH_PX = 4.0

#: A target that has changed since its template is drawn fainter: the map is raised until its best
#: place in the box reaches this, from so little at least.
FULL, FAINT = 0.9, 0.2

#: The IoU q of the best-overlap rule that is expected of a map.
EXPECTED_IOU = 0.8


class MaskMap(nn.Module):
    """Fused features brought to finer strides with lateral backbone features (semi-FPN upwards).

    Args:
        channels: of the fused features at the head's stride.
        finer: channels of the backbone at half the head's stride, a quarter, ...
        widths: channels at the head's stride and at every finer one.
        convs: 3x3 convolutions at the head's stride.
    """

    def __init__(
        self, channels: int, finer: Sequence[int], widths: Sequence[int], convs: int
    ) -> None:
        super().__init__()
        self.context, _ = tower(channels, widths[0], convs)
        self.laterals = nn.ModuleList(
            lateral(c, width) for c, width in zip(finer, widths[:-1], strict=True)
        )
        self.refine = nn.ModuleList(tower(coarse, fine, 2)[0] for coarse, fine in pairwise(widths))
        self.out = nn.Conv2d(widths[-1], 1, 3, padding=1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.constant_(self.out.bias, -2.0)  # type: ignore[arg-type]  # most is outside

    def forward(self, fused: torch.Tensor, finer: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, 1, h, w) from features (N, C, H, W) and backbone features, coarse to fine."""
        x = self.context(fused)
        for project, refine, features in zip(self.laterals, self.refine, finer, strict=True):
            enlarged = F.interpolate(x, scale_factor=2.0, mode="nearest")
            side = int(features.shape[2])
            x = refine(torch.relu(enlarged[:, :, :side, :side] + project(features)))
        logit: torch.Tensor = self.out(x)
        return logit


class RayReader(nn.Module):
    """Ray lengths about given centres by the best-overlap rule (polar.best_overlap_rays).

    Args:
        rays: how many.
        map_px: side of the map in search-crop pixels.
    """

    def __init__(self, rays: int, map_px: float) -> None:
        super().__init__()
        self.map_px = map_px
        angle = 2 * math.pi * torch.arange(rays) / rays
        step = torch.arange(SAMPLES)
        constants = {
            "cos": torch.cos(angle),
            "sin": torch.sin(angle),
            # Where samples lie, as a share of the reach.
            "at": (step + 0.5) / SAMPLES,
            # Column d sums the area of samples 0..d, in units of a squared step.
            "area": torch.triu(torch.ones(SAMPLES, SAMPLES)) * (step + 0.5)[:, None],
            "swept": (step + 1.0).square() / 2,
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        self.cos: torch.Tensor
        self.sin: torch.Tensor
        self.at: torch.Tensor
        self.area: torch.Tensor
        self.swept: torch.Tensor

    def forward(
        self,
        mask: torch.Tensor,
        center_xy: torch.Tensor,
        ltrb_px: torch.Tensor,
        gain: torch.Tensor,
    ) -> torch.Tensor:
        """Read rays of N targets about K centres each.

        A ray ends where ``(1 + q) * inside - q * swept`` is largest, q being the IoU expected;
        there the map falls through ``q / (1 + q)``, and the ray is set to the exact crossing.

        Args:
            mask: (N, 1, h, w), in [0, 1].
            center_xy: (N, K, 2), search-crop pixels.
            ltrb_px: (N, K, 4), the box about each centre; rays end near it.
            gain: (N, K), what the map is multiplied with.

        Returns:
            rays_px (N, K, R).
        """
        side = ltrb_px * REACH + REACH_PX
        left, top, right, bottom = side.unsqueeze(3).unbind(2)
        across = torch.where(self.cos > 0, right, left) / self.cos.abs().clamp(min=1e-3)
        down = torch.where(self.sin > 0, bottom, top) / self.sin.abs().clamp(min=1e-3)
        reach = torch.minimum(across, down)  # N, K, R
        radius = reach.unsqueeze(3) * self.at
        x = center_xy[:, :, 0, None, None] + radius * self.cos[:, None]
        y = center_xy[:, :, 1, None, None] + radius * self.sin[:, None]
        grid = torch.stack([x, y], 4) * (2 / self.map_px) - 1  # N, K, R, T, 2
        k, rays = int(grid.shape[1]), int(grid.shape[2])
        seen = F.grid_sample(
            mask,
            grid.flatten(1, 2),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        inside = (seen.view(-1, k, rays, SAMPLES) * gain[:, :, None, None]).clamp(max=1.0)
        q = EXPECTED_IOU
        most, last = ((1 + q) * (inside @ self.area) - q * self.swept).max(3, keepdim=True)
        # The crossing between the last sample inside and the next one.
        edge = q / (1 + q)
        before = torch.gather(inside, 3, last)
        after = torch.gather(torch.cat([inside[..., 1:], inside[..., -1:]], 3), 3, last)
        beyond = ((before - edge) / (before - after).clamp(min=1e-3)).clamp(0, 1)
        step_px = reach / SAMPLES
        length = step_px * (last.to(seen.dtype) + 0.5 + beyond).squeeze(3)
        drawn = torch.where(most.squeeze(3) > 0, length, torch.zeros_like(length))
        return drawn.clamp(min=1.0)


class OutlineReader(nn.Module):
    """Outlines of boxed candidates.

    The cell with the best score lies near the middle of the target, which for a swan is water.
    Where that cell is not inside, a point of the box that is takes its place.
    """

    def __init__(self, rays: int, map_px: float, stride: int) -> None:
        super().__init__()
        self.rays = RayReader(rays, map_px)
        self.map_px = map_px
        # An even number of cells, so that every second window lies about the corner of four cells,
        # which is the middle of a cell of the map of means.
        self.window = 2 * max(round(WINDOW_PX / stride / 2), 1)
        at = (torch.arange(PLACES) + 0.5) / PLACES
        y, x = torch.meshgrid(at, at, indexing="ij")
        self.register_buffer("shares", torch.stack([x, y], -1).view(-1, 2), persistent=False)
        self.shares: torch.Tensor
        bonus = torch.zeros(1 + PLACES**2)
        bonus[0] = CELL_BONUS
        self.register_buffer("bonus", bonus, persistent=False)
        self.bonus: torch.Tensor

    def forward(
        self, mask_logit: torch.Tensor, cell_xy: torch.Tensor, box_xyxy: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Centres and rays of candidates, and the map that they are read from.

        Args:
            mask_logit: (N, 1, h, w).
            cell_xy: (N, K, 2), centres of the candidates' cells.
            box_xyxy: (N, K, 4).

        Returns:
            Centres (N, K, 2) and rays_px (N, K, R) in search-crop pixels; how far each place is
            inside (N, h, w), in [0, 1]; and what that is multiplied with for a candidate (N, K).
        """
        low, size = box_xyxy[:, :, :2], box_xyxy[:, :, 2:] - box_xyxy[:, :, :2]
        grid = low.unsqueeze(2) + size.unsqueeze(2) * self.shares
        places = torch.cat([cell_xy.unsqueeze(2), grid], 2)  # N, K, P, 2
        mask = torch.sigmoid(mask_logit)
        nearby = F.avg_pool2d(mask, self.window, stride=2, padding=self.window // 2 - 1)
        inside = F.grid_sample(
            nearby, places * (2 / self.map_px) - 1, padding_mode="border", align_corners=False
        ).squeeze(1)
        best = (inside + self.bonus).argmax(2, keepdim=True).unsqueeze(3)
        center_xy = torch.gather(places, 2, best.expand(-1, -1, -1, 2)).squeeze(2)
        ltrb_px = torch.cat([center_xy - low, box_xyxy[:, :, 2:] - center_xy], 2)
        gain = (FULL / inside.amax(2).clamp(min=FAINT)).clamp(min=1.0)
        rays_px = self.rays(mask, center_xy, ltrb_px.clamp(min=1.0), gain)
        return center_xy, rays_px, mask.squeeze(1), gain
