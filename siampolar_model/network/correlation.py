"""How the template's features tell the search features what to look for.

A template is described by ``KERNEL x KERNEL`` average features of equal parts of its box (so
nothing outside the box enters), plus their mean; where a mask says what of the box is the target,
by averages of that alone, and of what surrounds it, and (with a ridge) by the direction that tells
the two apart. No convolution has weights that depend on the input: correlations are matrix
products or sums of shifted slices, which every runtime can batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

#: Parts a side of the template; odd, so that a correlation map is not shifted.
KERNEL = 5

#: Columns of a description: the parts, then the mean, then (with a mask) the background, then (with
#: a ridge) the direction and its offset, see ridge.py.
PARTS = KERNEL * KERNEL
_BACKGROUND, _DIRECTION, _OFFSET = PARTS + 1, PARTS + 2, PARTS + 3

#: A part with less of the target than this share is filled up with the target's mean.
_SHARE = 0.1

#: Norm of a template's 25 parts together, so that one part's norm is about 1.
TEMPLATE_NORM = 5.0


def cell_overlap(low: torch.Tensor, high: torch.Tensor, cells: int) -> torch.Tensor:
    """Length of each of ``cells`` unit cells that intervals cover: (...,) to (..., cells)."""
    edges = torch.arange(cells, device=low.device, dtype=low.dtype)
    inside = torch.minimum(high[..., None], edges + 1) - torch.maximum(low[..., None], edges)
    return inside.clamp(min=0)


def pool_box(features: torch.Tensor, box_xyxy: torch.Tensor, stride: int) -> torch.Tensor:
    """Mean feature of each of KERNEL x KERNEL equal parts of a box.

    Two matrix products with the overlap of parts and cells, so exact for any box.

    Args:
        features: (N, C, H, W), a cell for every ``stride`` pixels of the template crop.
        box_xyxy: (N, 4) in crop pixels.

    Returns:
        (N, C, KERNEL, KERNEL).
    """

    def overlap(low: torch.Tensor, high: torch.Tensor, cells: int) -> torch.Tensor:
        part = torch.arange(KERNEL, device=features.device, dtype=features.dtype)
        low, high = low / stride, torch.maximum(high / stride, low / stride + 1e-3)
        step = ((high - low) / KERNEL)[:, None]
        start = low[:, None] + part * step
        weight = cell_overlap(start, start + step, cells)
        return weight / weight.sum(2, keepdim=True).clamp(min=1e-6)  # N, KERNEL, cells

    box_xyxy = box_xyxy.to(features.dtype)
    rows = overlap(box_xyxy[:, 1], box_xyxy[:, 3], features.shape[2])
    columns = overlap(box_xyxy[:, 0], box_xyxy[:, 2], features.shape[3])
    return rows[:, None] @ features @ columns[:, None].transpose(2, 3)


def describe(pooled: torch.Tensor) -> torch.Tensor:
    """Parts and mean of a template: (N, C, K, K) to (N, C, K*K + 1)."""
    parts = pooled.flatten(2)
    parts = F.normalize(parts.flatten(1), dim=1).view_as(parts) * TEMPLATE_NORM
    return torch.cat([parts, parts.mean(2, keepdim=True)], 2)


def weighted_mean(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean (N, C) of (N, C, H, W), weighted with (N, 1, H, W)."""
    weight = weight.flatten(2)
    total: torch.Tensor = (features.flatten(2) * weight).sum(2)
    return total / weight.sum(2).clamp(min=1e-3)


def describe_masked(
    features: torch.Tensor, mask: torch.Tensor, box_xyxy: torch.Tensor, stride: int
) -> torch.Tensor:
    """Parts, mean and background of a template of which a mask is the target.

    Args:
        features: (N, C, H, W), a cell for every ``stride`` pixels of the template crop.
        mask: (N, 1, H, W), share of the target in each cell, 0 outside the box.
        box_xyxy: (N, 4) in crop pixels.

    Returns:
        (N, C, K*K + 2).
    """
    mean = weighted_mean(features, mask).unsqueeze(2)
    background = weighted_mean(features, 1 - mask).unsqueeze(2)
    target = pool_box(features * mask, box_xyxy, stride).flatten(2)
    share = pool_box(mask, box_xyxy, stride).flatten(2)
    parts = (target + _SHARE * mean) / (share + _SHARE)
    norm = parts.flatten(1).norm(dim=1).clamp(min=1e-6)[:, None, None]
    return torch.cat([parts, mean, background], 2) * (TEMPLATE_NORM / norm)


def _part_maps(search: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """Similarity of every place with every part: (N, parts, H, W)."""
    h, w = _map_size(search)
    return (parts.transpose(1, 2) @ search.flatten(2)).view(-1, int(parts.shape[2]), h, w)


def _map_size(maps: torch.Tensor) -> tuple[int, int]:
    """Height and width as plain numbers, which are constants in an exported graph."""
    return int(maps.shape[2]), int(maps.shape[3])


def _shifts(height: int, width: int) -> list[tuple[int, slice, slice]]:
    """Part index with the slices of a map padded by KERNEL // 2 that align it with the centre."""
    return [
        (row * KERNEL + column, slice(row, row + height), slice(column, column + width))
        for row in range(KERNEL)
        for column in range(KERNEL)
    ]


def _padded(maps: torch.Tensor) -> torch.Tensor:
    return F.pad(maps, [KERNEL // 2] * 4)


class RepeatedCorrelation(nn.Module):
    """SiamPolar's repeated cross-correlation (arXiv 2110.14773, section 3.2) as it was meant.

    One correlation map c is repeated over all channels and re-weights the search features:
    ``A = H*W * softmax(tau * c)`` over positions (mean 1), ``out = alpha*E + beta*(A*E)``.
    No convolution follows (peeling). The authors' code takes the softmax over the repeated
    channels instead, which is the constant 1/C.
    """

    def __init__(self, width: int, *, background: bool = False, ridge: bool = False) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(5.0))
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.beta = nn.Parameter(torch.tensor(0.1))

    def forward(self, search: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
        h, w = _map_size(search)
        parts = F.normalize(template[:, :, :PARTS], dim=1)
        maps = _padded(_part_maps(F.normalize(search, dim=1), parts))
        slices = [maps[:, k, rows, columns] for k, rows, columns in _shifts(h, w)]
        c = torch.stack(slices, 0).mean(0).flatten(1)
        attention = (h * w) * torch.softmax(self.tau * c, 1).view(-1, 1, h, w)
        return self.alpha * search + self.beta * (attention * search)


class ConstantCorrelation(nn.Module):
    """What the authors' code computes: the template changes nothing. Only for ablation."""

    def __init__(self, width: int, *, background: bool = False, ridge: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, search: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
        return self.scale * search


class FusedCorrelation(nn.Module):
    """Search features, the same gated by the template's mean, and a correlation, mixed by a 1x1.

    Args:
        background: the template knows its background, and the likeness with it is one map more.
        ridge: it knows the direction that tells it from its background; the score along it is
            another one.
    """

    def __init__(
        self, width: int, correlation_channels: int, background: bool, ridge: bool
    ) -> None:
        super().__init__()
        self.background, self.ridge = background, ridge
        correlation_channels += background + ridge
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * width + correlation_channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def start_faintly(self) -> None:
        """Give little at first: a level that is added to trained ones must not drown them."""
        nn.init.constant_(self.fuse[1].weight, 0.1)  # type: ignore[arg-type]

    def correlate(self, search: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, search: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
        gate = torch.tanh(template[:, :, PARTS])[:, :, None, None]
        maps = [search, search * gate, self.correlate(search, template[:, :, :PARTS])]
        if self.background:
            maps.append(_part_maps(search, template[:, :, _BACKGROUND : _BACKGROUND + 1]))
        if self.ridge:
            along = _part_maps(search, template[:, :, _DIRECTION : _DIRECTION + 1])
            maps.append(along + template[:, :1, _OFFSET, None, None])
        out: torch.Tensor = self.fuse(torch.cat(maps, 1))
        return out


class DepthwiseCorrelation(FusedCorrelation):
    """Each channel correlated with its own K x K kernel (SiamRPN++, Li et al. 2019)."""

    def __init__(self, width: int, *, background: bool = False, ridge: bool = False) -> None:
        super().__init__(width, width, background, ridge)

    def correlate(self, search: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        padded = _padded(search)
        h, w = _map_size(search)
        out = torch.zeros_like(search)
        for k, rows, columns in _shifts(h, w):
            out = out + padded[:, :, rows, columns] * parts[:, :, k, None, None]
        return out


class PixelwiseCorrelation(FusedCorrelation):
    """Every place compared with every part of the template (LightTrack, Yan et al. 2021).

    One matrix product; about 25 times less memory traffic than the depth-wise sum.
    """

    def __init__(self, width: int, *, background: bool = False, ridge: bool = False) -> None:
        super().__init__(width, PARTS, background, ridge)

    def correlate(self, search: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        return _part_maps(search, parts)


CORRELATION_MODULES: dict[str, type[nn.Module]] = {
    "depthwise": DepthwiseCorrelation,
    "pixelwise": PixelwiseCorrelation,
    "repeated": RepeatedCorrelation,
    "constant": ConstantCorrelation,
}
