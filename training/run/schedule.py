"""How the learning rate goes over a run."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine to zero.

    Args:
        step: steps done, from 0.
        total: steps of the whole run.
        warmup: steps until the factor reaches 1.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))
