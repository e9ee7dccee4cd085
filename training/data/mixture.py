"""Pairs from several sources, mixed by weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .sample import PairSource


class Mixture:
    """Map-style data set; sample i is a pure function of (seed, i).

    Args:
        sources: with their weights, all above 0: how often each is drawn, as a share of the sum.
    """

    def __init__(
        self, sources: Sequence[tuple[PairSource, float]], *, length: int, seed: int
    ) -> None:
        self._sources = [source for source, _ in sources]
        self._ends = np.cumsum([weight for _, weight in sources], dtype=np.float64)
        self._length = length
        self._seed = seed

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One pair, see :func:`siampolar_training.data.sample.make_sample`."""
        rng = np.random.default_rng([self._seed, index])
        at = rng.random() * self._ends[-1]
        return self._sources[int(np.searchsorted(self._ends, at, side="right"))].sample(rng)
