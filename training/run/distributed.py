"""What makes several processes train exactly as one with the same global batch.

DistributedDataParallel averages gradients over processes. That is the gradient of one process only
if every loss is divided by a count of the global batch, and if batch norms see the global batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def n_processes() -> int:
    """Processes of this run, 1 where it is not distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def normaliser(count: torch.Tensor, least: float = 1.0) -> torch.Tensor:
    """What to divide a loss's sum by, of something counted in each process's part of the batch.

    With ``S_r`` the sum of a loss in process r and ``n_r`` its count, each of W processes divides
    by ``sum(n_r) / W``; the mean that DistributedDataParallel takes is then
    ``sum(S_r) / sum(n_r)``, as in one process.

    Args:
        least: the whole count is taken to be at least this.
    """
    total = count.detach().float()
    if n_processes() > 1:
        total = total.clone()
        dist.all_reduce(total)
    return total.clamp(min=least) / n_processes()


class _SumOverProcesses(torch.autograd.Function):
    """Sum; its gradient is the sum of the gradients, for every process uses the result.

    ``torch.distributed.nn.functional.all_reduce`` is deprecated.
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _SumOverProcesses.forward(ctx, gradients[0])


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, which must be equally large.

    ``torch.nn.SyncBatchNorm`` is the same on a GPU and refuses to run on a CPU.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or n_processes() == 1:
            return super().forward(x)
        values = x.float()
        count = values.numel() // values.shape[1] * n_processes()
        mean = _sum(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _sum(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.momentum is not None and self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def _sum(values: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _SumOverProcesses.apply(values)
    return total


def use_global_batch_norms(model: nn.Module) -> None:
    """Exchange the trained batch norms of a network, in place; its parameters stay the same.

    Those of the backbones, of timm's own class or in eval mode, keep their statistics anyway.
    """
    for name, child in list(model.named_children()):
        if type(child) is not nn.BatchNorm2d:
            use_global_batch_norms(child)
        elif child.training:
            ours = GlobalBatchNorm2d(child.num_features, child.eps, child.momentum)
            ours.weight, ours.bias = child.weight, child.bias
            ours._buffers = child._buffers
            setattr(model, name, ours)
