"""What is said of the box that a target is started from."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.geometry import polar
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import CropWindow
from siampolar_model.tracking.search_crop import Candidate, SearchCrop
from siampolar_model.tracking.start_check import start_warning

_WINDOW = CropWindow(100, 100, 200, 100)  # half a crop pixel an image pixel
_BOX = Box.from_center(100, 100, 40, 40)


def candidate(score: float, middle: tuple[float, float] = (50, 50), radius: float = 8) -> Candidate:
    """A round candidate in a box of 20 crop pixels, 40 image pixels, a side."""
    box = Box.from_center(*middle, 20, 20)
    rays = np.full(polar.directions(72).shape[0], radius, np.float32)
    crop = SearchCrop(_WINDOW, 40, 40, 0.3, 0.0)
    return Candidate(crop, score, 0.9, box, np.array(middle, float), rays)


@pytest.mark.parametrize(
    ("found", "warning"),
    [
        ([candidate(0.97)], ""),
        ([candidate(0.6)], "little to hold on to in this box"),
        ([candidate(0.97, (90, 50))], "little to hold on to in this box"),
        ([candidate(0.97, radius=2)], "most of this box is background"),
        ([candidate(0.97), candidate(0.9, (90, 50))], "a similar object is in sight"),
        ([candidate(0.97), candidate(0.5, (90, 50))], ""),
        ([candidate(0.97), candidate(0.95, (52, 50))], ""),
    ],
)
def test_a_warning_says_what_is_wrong_with_a_box(found: list[Candidate], warning: str) -> None:
    assert start_warning(_BOX, found) == warning
