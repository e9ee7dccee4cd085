"""What a tracker must know about a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EngineError

#: Pixels of the template crop a side of a cell of a mask that is given to the template graph.
MASK_CELL_PX = 4


@dataclass(frozen=True)
class ModelSpec:
    """What a tracker must know about a network; stored as metadata in its ONNX files."""

    name: str
    template_size: int
    search_size: int
    search_factor: float
    n_rays: int
    n_candidates: int
    max_targets: int
    #: Whether a target can be started from a mask, too: the template graph has a third input.
    takes_mask: bool = False

    @classmethod
    def from_metadata(cls, text: str | None, path: Path) -> ModelSpec:
        """Read the ``siampolar`` metadata of an ONNX file; ``text`` is None if it has none.

        Raises:
            EngineError: not written by our export.
        """
        try:
            return cls(**json.loads(text or "")["spec"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"{path} has no usable 'siampolar' metadata ({error!r})") from None


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
