"""J and F against the reference evaluator of the DAVIS authors, and their protocol."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.evaluation.metrics import (
    boundary_accuracy,
    mask_box,
    region_similarity,
    sequence_statistics,
)
from siampolar_model.geometry.box import Box

Measure = Callable[[np.ndarray, np.ndarray], float]


@pytest.fixture(scope="module")
def reference() -> Iterator[dict[str, Measure]]:
    """J and F of davisinteractive, written for a NumPy that still had these aliases."""
    pytest.importorskip("davisinteractive")
    patch = pytest.MonkeyPatch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 1.21 has them and says that they will go
        for name, builtin in (("int", int), ("float", float), ("bool", bool)):
            if not hasattr(np, name):  # NumPy 2 has its own np.bool again
                patch.setattr(np, name, builtin, raising=False)
    from davisinteractive.metrics import jaccard

    yield {
        "J": lambda true, pred: float(
            jaccard.batched_jaccard(true[None], pred[None], nb_objects=1)[0]
        ),
        "F": lambda true, pred: float(jaccard.f_measure(true, pred)),
    }
    patch.undo()


def blob(seed: int, height: int, width: int) -> np.ndarray:
    """A random smooth shape that often touches the image's edges."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return (smooth > np.quantile(smooth, 0.7)).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(2, 150),
    width=st.integers(2, 220),
    empty=st.sampled_from(["neither", "true", "pred", "both"]),
)
def test_equals_the_reference(
    reference: dict[str, Measure], seed: int, height: int, width: int, empty: str
) -> None:
    true, pred = blob(seed, height, width), blob(seed, height, width)
    pred = np.roll(pred, (seed % 7, seed % 11), (0, 1))
    if empty in ("true", "both"):
        true[:] = 0
    if empty in ("pred", "both"):
        pred[:] = 0
    assert region_similarity(true, pred) == pytest.approx(reference["J"](true, pred), abs=1e-6)
    assert boundary_accuracy(true, pred) == pytest.approx(reference["F"](true, pred), abs=1e-6)


@pytest.mark.parametrize("shape", [(480, 854), (720, 1280)])
def test_equals_the_reference_at_full_size(
    reference: dict[str, Measure], shape: tuple[int, int]
) -> None:
    true, pred = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    cv2.ellipse(true, (300, 200), (90, 50), 20, 0, 360, 1, -1)
    cv2.ellipse(pred, (306, 203), (80, 60), 35, 0, 360, 1, -1)
    cv2.rectangle(pred, (shape[1] - 40, shape[0] - 30), (shape[1], shape[0]), 1, -1)
    assert region_similarity(true, pred) == pytest.approx(reference["J"](true, pred), abs=1e-6)
    assert boundary_accuracy(true, pred) == pytest.approx(reference["F"](true, pred), abs=1e-6)


def test_any_non_zero_value_is_inside() -> None:
    true = blob(1, 60, 80)
    assert region_similarity(true * 255, true) == 1
    assert boundary_accuracy(true * 7, true.astype(bool)) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(5, 4\)"):
        region_similarity(np.zeros((4, 5)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match="same"):
        boundary_accuracy(np.zeros((4, 5)), np.zeros((5, 4)))


def test_first_and_last_frame_are_left_out() -> None:
    inner = [0.9, 0.6, 0.5, 0.2]
    result = sequence_statistics([0.0, *inner, 0.0])
    assert result.mean == pytest.approx(0.55)
    assert result.recall == pytest.approx(0.5)  # 0.5 itself is not above the threshold


def test_decay_compares_the_first_and_last_quarter() -> None:
    # 9 evaluated frames: quarters end at frames 1, 3, 5, 7, 9 and share their ends.
    inner = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert sequence_statistics([1, *inner, 1]).decay == pytest.approx(0.8 - 0.2)


def test_decay_of_a_long_sequence() -> None:
    # An index type of eight bits, as in some evaluators, would wrap beyond 255 frames.
    values = np.linspace(1, 0, 1002)
    assert sequence_statistics(values).decay == pytest.approx(0.75, abs=0.01)


def test_too_short_a_sequence() -> None:
    with pytest.raises(ValueError, match="2 frames; a sequence needs at least 3"):
        sequence_statistics([1.0, 1.0])


def test_mask_box_is_half_open() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:8, 5:17] = 200
    assert mask_box(mask) == Box(5, 3, 17, 8)
    assert mask_box(np.zeros((4, 4), bool)) is None
