"""What a session reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..results import StateChange, Target, to_supervision
from .history import StampedImage


@dataclass(frozen=True, eq=False)
class Targets:
    """All targets on one image, sorted by id.

    Attributes:
        image: the image worked on.
        targets: one per target that has caught up with the stream.
        update: whether the image may have been reported before. It is reported again if a target
            that started on it or before it has joined since, if targets were removed, or if the
            tracker failed and all targets are lost.
        changes: what is different from the report before.
        decode_s, track_s: seconds that it took to decode the image, and to cut crops from it and
            run the network on them; 0 for a report that is repeated.
    """

    image: StampedImage
    targets: tuple[Target, ...]
    update: bool = False
    changes: tuple[StateChange, ...] = ()
    decode_s: float = 0.0
    track_s: float = 0.0

    def to_supervision(self) -> Any:
        """See :func:`siampolar_model.results.to_supervision`."""
        width, height = self.image.size
        return to_supervision(self.targets, height, width)
