"""Measures of boxes against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.evaluation.box_metrics import (
    NORMALISED_THRESHOLDS,
    PRECISION_THRESHOLDS,
    box_ious,
    center_errors,
    clip_boxes,
    normalised_errors,
    precision_curve,
    success_curve,
)
from siampolar_model.evaluation.scores import BoxFrames, summarize_boxes

TRUE = np.array([[10.0, 10, 20, 40]] * 5)
#: The same; about half of it; shifted by (3, 4); elsewhere; twice as large around its centre.
PREDICTED = np.array(
    [[10.0, 10, 20, 40], [10, 10, 20, 21], [13, 14, 20, 40], [200, 10, 20, 40], [0, -10, 40, 80]]
)
#: Shifted: 17 * 36 shared of 2 * 800 - 17 * 36.
IOUS = np.array([1, 0.525, 612 / 988, 0, 0.25])
#: About half of it: its centre lies 9.5 px higher.
DISTANCES = np.array([0, 9.5, 5, 190, 0])

#: The last one, moved into the image, lies at (0, 0) and keeps its 40 x 80 px.
IOU_CLIPPED = 800 / 3200


def frames(name: str, predicted: np.ndarray, true: np.ndarray, visible: np.ndarray) -> BoxFrames:
    count = len(true)
    return BoxFrames(
        name, predicted, true, visible, (400, 300), (False,) * count, (0.01,) * (count - 1)
    )


def test_overlaps_and_distances() -> None:
    np.testing.assert_allclose(box_ious(PREDICTED, TRUE), IOUS, atol=1e-12)
    np.testing.assert_allclose(center_errors(PREDICTED, TRUE), DISTANCES, atol=1e-12)
    # In true widths and heights: 9.5 / 40; (3 / 20, 4 / 40); 190 / 20.
    expected = [0, 0.2375, np.hypot(0.15, 0.1), 9.5, 0]
    np.testing.assert_allclose(normalised_errors(PREDICTED, TRUE), expected, atol=1e-12)


def test_empty_boxes_overlap_nothing() -> None:
    empty = np.array([[5.0, 5, 0, 0], [5, 5, 0, 10]])
    np.testing.assert_array_equal(box_ious(empty, empty), [0, 0])


def test_boxes_are_clipped_to_the_image() -> None:
    clipped = clip_boxes(
        np.array([[-10.0, -10, 30, 20], [90, 70, 30, 30], [200, 0, 5, 5]]), 100, 80
    )
    np.testing.assert_array_equal(clipped, [[0, 0, 30, 20], [90, 70, 10, 10], [100, 0, 0, 5]])


def test_success_is_above_a_threshold_and_precision_at_most() -> None:
    curve = success_curve(np.array([1.0, 0.5, 0.0]))
    # 0 is not above 0, 0.5 not above 0.5, 1 not above 1.
    np.testing.assert_allclose(curve, [2 / 3] * 10 + [1 / 3] * 10 + [0])
    curve = precision_curve(np.array([0.0, 20.0, 50.5]), PRECISION_THRESHOLDS)
    np.testing.assert_allclose(curve, [1 / 3] * 20 + [2 / 3] * 31)


def test_figures_of_a_sequence() -> None:
    visible = np.array([True, True, True, True, True])
    scores = frames("a", PREDICTED, TRUE, visible).scores()
    # How many of the 21 thresholds 0, 0.05, ... lie below each IoU: 20, 11, 13 (0.6194), 0, 5.
    assert pytest.approx((20 + 11 + 13 + 0 + 5) / 21 / 5, abs=1e-6) == scores.AUC
    assert scores.precision_20px == pytest.approx(4 / 5, abs=1e-6)
    # Of the 51 thresholds 0, 0.01, ... 0.5: all, from 0.24, from 0.19 (0.1803), none, all.
    normalised = (51 + 27 + 32 + 0 + 51) / 51 / 5
    assert scores.normalised_precision == pytest.approx(normalised, abs=1e-6)
    # Without the first frame; the last box is moved into the image.
    assert pytest.approx((0.525 + 612 / 988 + 0 + IOU_CLIPPED) / 4, abs=1e-6) == scores.AO
    assert (scores.SR_50, scores.SR_75) == (0.5, 0)
    assert (scores.frames, scores.fps) == (5, pytest.approx(100))


def test_frames_without_a_known_box_are_left_out() -> None:
    true, visible = TRUE.copy(), np.array([True, True, False, False, True])
    true[2], true[3] = np.nan, 0
    scores = frames("a", PREDICTED, true, visible).scores()
    assert pytest.approx((20 + 11 + 5) / 21 / 3, abs=1e-6) == scores.AUC
    assert scores.precision_20px == 1
    assert pytest.approx((0.525 + IOU_CLIPPED) / 2, abs=1e-6) == scores.AO
    assert scores.frames == 5


def test_a_data_set_is_the_mean_over_sequences_but_for_average_overlap() -> None:
    """GOT-10k takes all frames of all sequences together."""
    long = frames("long", PREDICTED, TRUE, np.full(5, True))
    short = frames("short", TRUE[:2], TRUE[:2], np.full(2, True))
    scores = summarize_boxes([long, short])
    assert pytest.approx((49 / 105 + 20 / 21) / 2, abs=1e-6) == scores.AUC
    assert pytest.approx((0.525 + 612 / 988 + 0 + IOU_CLIPPED + 1) / 5, abs=1e-6) == scores.AO
    assert pytest.approx(3 / 5) == scores.SR_50 and pytest.approx(1 / 5) == scores.SR_75
    assert scores.precision_20px == pytest.approx((0.8 + 1) / 2)
    assert len(scores.success_curve) == 21 and len(scores.precision_curve) == 51
    assert np.mean(scores.success_curve) == pytest.approx(scores.AUC)
    assert len(NORMALISED_THRESHOLDS) == 51


def test_a_box_with_itself_is_never_above_1() -> None:
    """Whatever rounding makes of its far corner."""
    boxes = np.random.default_rng(0).uniform(1, 500, (5000, 4))
    assert box_ious(boxes, boxes).max() <= 1
    assert success_curve(box_ious(boxes, boxes))[-1] == 0
