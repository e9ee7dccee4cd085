"""How measured times are reported, by the evaluation and by the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Percentiles:
    """Median, 95th and 99th percentile of measured times, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of_seconds(cls, seconds: Sequence[float] | np.ndarray) -> Percentiles:
        """The percentiles of at least one measured time."""
        return cls(*(float(np.percentile(seconds, percent)) * 1e3 for percent in (50, 95, 99)))


def median_rate(seconds: Sequence[float] | np.ndarray) -> float:
    """Runs per second: 1 / the median of the measured times, of which at least one is needed."""
    return 1 / float(np.median(seconds))
