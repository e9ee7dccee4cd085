"""What a tracker must know about a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EngineError

#: Pixels of the template crop a side of a cell of a mask that is given to the template graph.
MASK_CELL_PX = 4


@dataclass(frozen=True)
class ModelSpec:
    """What a tracker must know about a network; stored in the ``model.json`` of its folder.

    Attributes:
        name: of the network, for messages and results.
        template_size, search_size: side of the template crop and of the search crop, pixels.
        search_factor: the target's context times this is the side of the search window.
        n_rays: rays of an outline.
        max_targets: most targets in one call of ``Engine.search``.
        takes_mask: whether a target can be started from a mask, too: a third input of the template
            graph.
        gives_mask: whether the search graph gives masks of its own besides rays: two more outputs.
        confidence: coefficients of the target's confidence, by name, see
            ``tracking/confidence.py``; None: they were not fitted to these weights.

    Raises:
        EngineError: a number that is not positive, or a size or count that is not whole.
    """

    name: str
    template_size: int
    search_size: int
    search_factor: float
    n_rays: int
    max_targets: int
    takes_mask: bool = False
    gives_mask: bool = False
    confidence: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for field in ("template_size", "search_size", "n_rays", "max_targets"):
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                raise EngineError(f"{field} is {value!r}; it must be a whole number of at least 1")
        factor = self.search_factor
        if type(factor) not in (int, float) or not (math.isfinite(factor) and factor > 0):
            raise EngineError(f"search_factor is {factor!r}; it must be a positive number")

    @classmethod
    def read(cls, path: Path) -> ModelSpec:
        """From the ``spec`` of a ``model.json``.

        Raises:
            EngineError: the file is not one, a field is missing or unknown, or a value is wrong.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8"))["spec"])
        except EngineError as error:
            raise EngineError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"{path} does not describe a model ({error!r})") from None


def mask_cells(spec: ModelSpec, mask: np.ndarray | None) -> np.ndarray:
    """What the template graph takes as its mask, float32 (t, t): the share of the target in each
    cell of the crop; -1 everywhere if there is no mask.

    Args:
        mask: uint8 (T, T), 1 on the target in the template crop.
    """
    size = spec.template_size
    cells = -(-size // MASK_CELL_PX)
    if mask is None:
        return np.full((cells, cells), -1, np.float32)
    # The last cells reach over the border: they are the mean of what they cover.
    edges = np.arange(0, size, MASK_CELL_PX)
    sums = np.add.reduceat(np.add.reduceat(mask.astype(np.float32), edges, 0), edges, 1)
    covered = np.minimum(edges + MASK_CELL_PX, size) - edges
    return sums / np.multiply.outer(covered, covered).astype(np.float32)
