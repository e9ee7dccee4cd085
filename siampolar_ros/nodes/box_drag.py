"""A box dragged with the mouse on one image of a stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from siampolar_model.geometry.box import Box

Image = TypeVar("Image")

#: A shorter drag counts as a click.
_MIN_DRAG_PX = 3.0


@dataclass(frozen=True)
class Drag(Generic[Image]):
    """A drag in progress. The image stands still from press to release, and the box belongs to it.

    Attributes:
        image: what was shown when the button went down.
        start_xy, end_xy: mouse positions in image pixels.
    """

    image: Image
    start_xy: tuple[float, float]
    end_xy: tuple[float, float]

    @classmethod
    def press(cls, image: Image, x: float, y: float) -> Drag[Image]:
        return cls(image, (x, y), (x, y))

    def move(self, x: float, y: float) -> Drag[Image]:
        return replace(self, end_xy=(x, y))

    @property
    def box(self) -> Box | None:
        """The box in pixels, from any corner to the opposite one; None for a click."""
        (x1, y1), (x2, y2) = self.start_xy, self.end_xy
        if min(abs(x2 - x1), abs(y2 - y1)) < _MIN_DRAG_PX:
            return None
        return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
