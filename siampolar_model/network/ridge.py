"""The direction that tells a target from what surrounds it, fitted to one template.

Ridge regression from features to +1 on the target and -1 elsewhere, both weighted the same however
small the target is. With equal weights its solution is Fisher's discriminant: the two means'
difference, turned away from directions in which the features vary anyway.
"""

from __future__ import annotations

import torch

from .correlation import weighted_mean

#: Added to the variance of every direction, as a share of the mean variance: so that few cells
#: with many channels have a solution, and no direction without any variance decides.
_RIDGE = 0.05

#: Steps of Newton's iteration; every one squares the error. With _RIDGE as it is, the largest
#: eigenvalue is at most a few thousand times the smallest.
_STEPS = 18


def scatter_and_difference(
    features: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the regression needs to know of one level.

    Args:
        features: (N, C, H, W).
        mask: (N, 1, H, W), share of the target in each cell.

    Returns:
        The covariance of the features about the middle of both means, with the ridge (N, C, C);
        half the difference of the means (N, C); and their middle (N, C). All float32.
    """
    features, mask = features.float(), mask.float()
    target, rest = weighted_mean(features, mask), weighted_mean(features, 1 - mask)
    middle = (target + rest) / 2
    weight = sum(
        (share / share.sum(2, keepdim=True).clamp(min=1e-3)) / 2
        for share in (mask.flatten(2), (1 - mask).flatten(2))
    )
    centered = features.flatten(2) - middle.unsqueeze(2)
    covariance = (centered * weight) @ centered.transpose(1, 2)
    channels = int(features.shape[1])
    ridge = _RIDGE / channels * (centered.square() * weight).sum((1, 2))
    # A floor, for a template of one colour alone, whose features do not vary.
    ridge = ridge.clamp(min=1e-6)[:, None, None]
    identity = torch.eye(channels, device=features.device)
    return covariance + ridge * identity, (target - rest) / 2, middle


def solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``matrix x = right`` for symmetric positive definite (M, C, C) and (M, C): (M, C).

    ONNX has no solver: what is exported takes :func:`solve_by_products`.
    """
    if torch.jit.is_tracing():
        return solve_by_products(matrix, right)
    solution: torch.Tensor = torch.linalg.solve(matrix, right)
    return solution


def solve_by_products(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The same with matrix products alone: an inverse by Newton's iteration (Schulz 1933), and one
    step of refinement, after which the error is that of a solver.

    Args:
        matrix: its largest eigenvalue is at most a few thousand times the smallest.
    """
    identity = torch.eye(int(matrix.shape[1]), device=matrix.device)
    # No eigenvalue is larger than the largest sum of a row.
    inverse = identity / matrix.abs().sum(2).amax(1)[:, None, None]
    for _ in range(_STEPS):
        inverse = inverse @ (2 * identity - matrix @ inverse)
    column = right.unsqueeze(2)
    first = inverse @ column
    return (first + inverse @ (column - matrix @ first)).squeeze(2)


def discriminants(features: list[torch.Tensor], masks: list[torch.Tensor]) -> list[torch.Tensor]:
    """Direction and offset of every level, (N, C, 2) each: ``direction . x + offset`` is near +1
    where features x look like the target and near -1 where they look like what surrounds it.

    Args:
        features: of each level (N, C, H, W), one C for all.
        masks: of each level (N, 1, H, W), share of the target in each cell.

    Returns:
        The direction, and the offset repeated over the channels.
    """
    with torch.autocast(features[0].device.type, enabled=False):
        known = [scatter_and_difference(*one) for one in zip(features, masks, strict=True)]
        matrix, difference, middle = (torch.stack(part, 1) for part in zip(*known, strict=True))
        solution = solve(matrix.flatten(0, 1), difference.flatten(0, 1)).view_as(difference)
        offset = -(solution * middle).sum(2, keepdim=True).expand_as(solution)
        both = torch.stack([solution, offset], 3)  # N, levels, C, 2
    return list(both.unbind(1))
