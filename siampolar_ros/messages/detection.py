"""One detection of a detector, as the tracker takes it."""

from __future__ import annotations

from dataclasses import dataclass

from siampolar_model.geometry.box import Box


@dataclass(frozen=True)
class Detection:
    """One box of a detector, in pixels; ``class_id`` is empty if the class is unknown."""

    box: Box
    score: float
    class_id: str = ""
