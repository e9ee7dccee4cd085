"""Losses of the head, each averaged over the positives of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from siampolar_model.network.head import HeadMaps, lengths_px


def focal(logit: torch.Tensor, target: torch.Tensor, alpha: float = 0.5) -> torch.Tensor:
    """Sum of ``-alpha_t (1 - p_t)^2 log p_t`` (Lin et al. 2017, eq. 5)."""
    p = torch.sigmoid(logit)
    entropy = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    alpha_t = alpha * target + (1 - alpha) * (1 - target)
    return (alpha_t * (1 - p_t) ** 2 * entropy).sum()


def polar_iou(rays: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``log(sum max(d, d*)^2 / sum min(d, d*)^2)`` per row: -log of the polygons' IoU.

    PolarMask (Xie et al. 2020, eq. 8) without dropping the square.

    Args:
        rays, target: (P, R), lengths in one unit, above 0.
    """
    larger = torch.maximum(rays, target).square().sum(1)
    smaller = torch.minimum(rays, target).square().sum(1)
    return torch.log(larger / smaller)


def box_iou(ltrb: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``1 - IoU`` per row of two boxes about the same point, given as distances (P, 4)."""
    overlap = torch.minimum(ltrb, target)
    inter = (overlap[:, 0] + overlap[:, 2]) * (overlap[:, 1] + overlap[:, 3])

    def area(d: torch.Tensor) -> torch.Tensor:
        return (d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3])

    return 1 - inter / (area(ltrb) + area(target) - inter)


def head_losses(maps: HeadMaps, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The four parts, to be summed with their weights.

    Args:
        batch: ``cells`` (N, P), ``weight`` (N, P), ``rays_px`` (N, P, R), ``ltrb_px`` (N, P, 4),
            see :class:`training.targets.Targets`.
    """
    weight = batch["weight"].flatten()
    positive = weight > 0
    n, p = batch["cells"].shape
    sample = torch.arange(n).repeat_interleave(p)[positive]
    cell = batch["cells"].flatten()[positive]
    weight = weight[positive]
    count = max(len(weight), 1)
    total = weight.sum().clamp(min=1e-6)

    logit = maps.class_logit.float().flatten(1)
    target = torch.zeros_like(logit)
    target[sample, cell] = 1

    def at_positives(maps_nchw: torch.Tensor) -> torch.Tensor:
        return maps_nchw.float().flatten(2)[sample, :, cell]

    rays = lengths_px(at_positives(maps.log_rays))
    ltrb = lengths_px(at_positives(maps.log_ltrb))
    true_rays = batch["rays_px"].flatten(0, 1)[positive]
    true_ltrb = batch["ltrb_px"].flatten(0, 1)[positive]
    quality = at_positives(maps.quality_logit)[:, 0]
    return {
        "class": focal(logit, target) / count,
        "mask": (polar_iou(rays, true_rays) * weight).sum() / total,
        "box": (box_iou(ltrb, true_ltrb) * weight).sum() / total,
        "quality": F.binary_cross_entropy_with_logits(quality, weight, reduction="sum") / count,
    }
