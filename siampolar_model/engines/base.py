"""What every runtime offers the tracker."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class EngineError(RuntimeError):
    """A runtime or model that cannot be used; the message says what is missing."""


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


@dataclass(frozen=True, eq=False)
class Candidates:
    """Best K places of N targets, in search-crop pixels, the prior's favourite first.

    Attributes:
        score: float32 (N, K), raw classification score in [0, 1], without the prior.
        quality: float32 (N, K), predicted IoU of the polygon, [0, 1].
        box_xyxy: float32 (N, K, 4).
        center_xy: float32 (N, K, 2), origin of the rays.
        rays_px: float32 (N, K, R).
    """

    score: np.ndarray
    quality: np.ndarray
    box_xyxy: np.ndarray
    center_xy: np.ndarray
    rays_px: np.ndarray


#: Columns of a prior row: window weight, scale penalty, previous width and height, window centre.
PRIOR_COLUMNS = 6


class Engine(ABC):
    """One loaded network. Template features stay in the engine's memory, by slot."""

    #: Short name used in logs and in ``engine:`` settings.
    name: str
    spec: ModelSpec

    @abstractmethod
    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        """Keep the template features of one target in ``slot``.

        Args:
            crop: uint8 (T, T, 3), BGR.
            box_xyxy: float32 (4,), the target's box in crop pixels.
        """

    @abstractmethod
    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        """Look for the target of each slot in its crop.

        Args:
            slots: 1 to ``spec.max_targets`` slots filled by :meth:`encode`; one may stand
                several times.
            crops: uint8 (N, S, S, 3), BGR.
            prior: float32 (N, 6): window weight [0, 1], scale penalty, previous width and
                height, window centre x and y, all in crop pixels.
        """

    @abstractmethod
    def release(self, slot: int) -> None:
        """Forget a slot; unknown slots are ignored."""
