"""What a tracker must know about a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError


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
