"""The candidate that a tracker takes from a network's output."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.engines.base import Candidates
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import CropWindow
from siampolar_model.tracking.search_crop import Candidate, SearchCrop

LOOK = SearchCrop(CropWindow(0.0, 0.0, 100.0, 100), 20.0, 20.0, 0.0, 0.0)


def candidate(
    box_xyxy: tuple[float, ...], rays_px: tuple[float, ...], score: float = 0.9
) -> Candidate:
    """Candidates with rays to the right, down, to the left and up from (50, 50)."""
    found = Candidates(
        *(np.array(values, np.float32)[None, None] for values in (score, 0.8)),
        np.array(box_xyxy, np.float32)[None, None],
        np.array((50, 50), np.float32)[None, None],
        np.array(rays_px, np.float32)[None, None],
    )
    return Candidate.of(LOOK, found, 0, 1)


def test_box_and_outline_that_agree_are_averaged() -> None:
    assert candidate((40, 40, 60, 60), (12, 8, 10, 10)).box == Box(40, 40, 61, 59)


def test_an_outline_that_misses_a_part_is_ignored() -> None:
    assert candidate((40, 40, 60, 60), (10, 2, 10, 10)).box == Box(40, 40, 60, 60)


def test_numbers_that_are_not_finite_are_named() -> None:
    with pytest.raises(FloatingPointError, match="not finite for target 1: score nan"):
        candidate((40, 40, 60, 60), (10, 10, 10, 10), score=float("nan"))
