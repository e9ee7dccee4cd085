"""Losses of the network's outputs; those at cells are averaged over the batch's positives."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from siampolar_model.network.head import HeadMaps, lengths_px

from .distributed import normaliser


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


def map_loss(logit: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Dense map, over the samples that show the target: cross-entropy of all cells plus dice.

    ``4 * mean(BCE) + 1 - 2 sum(p m) / (sum(p^2) + sum(m^2))``; the dice part (Milletari et al.
    2016, eq. 3) weighs small targets like large ones. Samples without the target are left out:
    presence is scored separately, and a map that learns to stay empty for them also stays empty
    for a target that has turned away from its template.

    Args:
        logit: (N, 1, h, w).
        mask: (N, S, S), 1 inside the visible target.
    """
    stride = -(-mask.shape[1] // logit.shape[2])
    # The last cells may reach over the border: they are the mean of what they cover.
    target = F.avg_pool2d(
        mask[:, None].float(), stride, ceil_mode=True, count_include_pad=False
    ).flatten(1)
    logit = logit.float().flatten(1)
    p = torch.sigmoid(logit)
    entropy = F.binary_cross_entropy_with_logits(logit, target, reduction="none").mean(1)
    overlap = 2 * (p * target).sum(1)
    size = p.square().sum(1) + target.square().sum(1)
    present = (target.sum(1) > 0).float()
    parts = 4 * entropy + 1 - overlap / size.clamp(min=1e-6)
    return (parts * present).sum() / normaliser(present.sum())


def head_losses(maps: HeadMaps, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The parts, to be summed with their weights; "template" and "presence" if they are scored.

    With P the positive cells of all samples, w their attainable IoU and q what
    their quality should be (see labels.py):

    - class: ``sum over all cells of focal / |P|``,
    - mask: ``sum_P w polar_iou / sum_P w``, or :func:`map_loss` where rays are read from a map,
    - box: ``sum_P w (1 - IoU) / sum_P w`` (Yu et al. 2016, without the logarithm),
    - quality: ``sum_P BCE(quality, q) / |P|`` (as FCOS's centerness, Tian et al. 2019),
    - template: :func:`map_loss` of the template's mask,
    - presence: ``BCE(presence, 1 if anything of the target is in sight else 0)``, the mean over
      the samples.

    Args:
        batch: ``cells``, ``weight`` and ``quality`` (N, P), ``rays_px`` (N, P, R), ``ltrb_px``
            (N, P, 4), see :class:`siampolar_training.data.labels.Labels`, ``mask`` (N, S, S) and
            ``template_mask`` (N, T, T).
    """
    weight = batch["weight"].flatten()
    positive = weight > 0
    n, p = batch["cells"].shape
    sample = torch.arange(n, device=positive.device).repeat_interleave(p)[positive]
    cell = batch["cells"].flatten()[positive]
    weight = weight[positive]
    count, total = normaliser(positive.sum()), normaliser(weight.sum(), least=1e-6)

    logit = maps.class_logit.float().flatten(1)
    target = torch.zeros_like(logit)
    target[sample, cell] = 1

    def at_positives(maps_nchw: torch.Tensor) -> torch.Tensor:
        return maps_nchw.float().flatten(2)[sample, :, cell]

    ltrb = lengths_px(at_positives(maps.log_ltrb))
    true_ltrb = batch["ltrb_px"].flatten(0, 1)[positive]
    quality = at_positives(maps.quality_logit)[:, 0]
    true_quality = batch["quality"].flatten()[positive]
    if maps.mask_logit is not None:
        mask_part = map_loss(maps.mask_logit, batch["mask"])
    else:
        assert maps.log_rays is not None
        rays = lengths_px(at_positives(maps.log_rays))
        true_rays = batch["rays_px"].flatten(0, 1)[positive]
        mask_part = (polar_iou(rays, true_rays) * weight).sum() / total
    parts = {
        "class": focal(logit, target) / count,
        "mask": mask_part,
        "box": (box_iou(ltrb, true_ltrb) * weight).sum() / total,
        "quality": F.binary_cross_entropy_with_logits(quality, true_quality, reduction="sum")
        / count,
    }
    if maps.template_mask_logit is not None:
        parts["template"] = map_loss(maps.template_mask_logit, batch["template_mask"])
    if maps.presence_logit is not None:
        present = batch["mask"].flatten(1).any(1).float()
        parts["presence"] = F.binary_cross_entropy_with_logits(maps.presence_logit.float(), present)
    return parts
