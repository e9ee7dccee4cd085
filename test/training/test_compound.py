"""Targets of several objects."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pycocotools")
import cv2

from siampolar_training.data.compound_targets import with_companion, with_neighbour
from siampolar_training.data.instances import Instance
from siampolar_training.data.readers.base import LabelledImage


def target_of(labels: np.ndarray, sequence: int = 0) -> Instance:
    """The object with value 1, as bright as the sequence says; other objects are black."""
    image = np.full((*labels.shape, 3), 200, np.uint8)
    image[labels > 0] = 0
    image[labels == 1] = 40 + sequence
    values = tuple(int(v) for v in np.unique(labels) if v)
    found = Instance.of(LabelledImage("x", sequence, image, labels, values), 1)
    assert found is not None
    return found


def boxes(*boxes_xyxy: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((240, 320), np.uint8)
    for value, (x1, y1, x2, y2) in enumerate(boxes_xyxy, 1):
        labels[y1:y2, x1:x2] = value
    return labels


RIDER, HORSE = (100, 40, 140, 100), (80, 100, 180, 160)


def test_a_neighbour_becomes_a_part() -> None:
    rider = target_of(boxes(RIDER, HORSE, (250, 40, 290, 100)))
    both = with_neighbour(np.random.default_rng(0), rider)
    np.testing.assert_array_equal(both.mask > 0, np.isin(rider.source.labels, (1, 2)))
    np.testing.assert_array_equal(both.box.as_xyxy(), (80, 40, 180, 160))
    assert both.source.objects == (1, 3) and both.value == 1
    assert rider.source.objects == (1, 2, 3)  # nothing is changed in place
    np.testing.assert_array_equal(both.source.image, rider.source.image)


def test_any_of_several_neighbours() -> None:
    rider = target_of(boxes(RIDER, HORSE, (141, 40, 180, 90)))
    rng = np.random.default_rng(0)
    assert {with_neighbour(rng, rider).source.objects for _ in range(20)} == {(1, 2), (1, 3)}


def test_an_object_without_neighbours_stays_alone() -> None:
    rng = np.random.default_rng(0)
    for labels in (boxes(RIDER), boxes(RIDER, (150, 40, 200, 100))):
        rider = target_of(labels)
        assert with_neighbour(rng, rider) is rider


def test_a_companion_stands_next_to_it_or_behind() -> None:
    target, other = target_of(boxes((140, 100, 180, 140))), target_of(boxes((0, 0, 50, 80)), 60)
    zooms, gaps = [], []
    for seed in range(60):
        both = with_companion(np.random.default_rng(seed), target, other)
        if both is target:
            continue  # out of the photograph, or hidden by the target
        added = (both.mask > 0) & (target.mask == 0)
        # The target is as it was, and its companion as bright as the other one.
        assert (both.source.image[target.mask > 0] == 40).all()
        inner = cv2.erode(added.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert (np.abs(both.source.image[inner].astype(int) - 100) <= 1).all()
        zooms.append(cv2.boundingRect(added.astype(np.uint8))[3] / 80)
        distance = cv2.distanceTransform((target.mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
        gaps.append(distance[added].min())
        assert both.source.objects == (1,)
    assert len(zooms) > 40
    # Windows of 0.35 to 0.9 of the target's; some touch, some leave a gap.
    assert 0.15 < min(zooms) < 0.35 and 0.4 < max(zooms) < 0.6
    assert min(gaps) < 1.5 and 5 < max(gaps) < 25


def test_a_companion_that_would_be_hidden_is_left_out() -> None:
    """A target that fills its photograph leaves no room."""
    target, other = target_of(boxes((0, 0, 320, 240))), target_of(boxes((0, 0, 50, 80)), 60)
    rng = np.random.default_rng(0)
    assert all(with_companion(rng, target, other) is target for _ in range(10))
