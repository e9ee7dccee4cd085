"""Two objects that look different cross, and every id stays with its object."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.tracker import Tracker

WIDTH, HEIGHT, FRAMES, SIDE = 640, 360, 80, 72


def checkered(color: tuple[int, int, int]) -> np.ndarray:
    tile = np.kron([[0.1, 1.0] * 3, [1.0, 0.1] * 3] * 3, np.ones((12, 12)))
    return (tile[..., None] * color).astype(np.uint8)


def striped(color: tuple[int, int, int]) -> np.ndarray:
    stripes = np.repeat([0.25, 1.0] * 3, 12)[None, :].repeat(SIDE, 0)
    return (stripes[..., None] * color).astype(np.uint8)


def blotched(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def rounded() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (SIDE // 2, SIDE // 2), SIDE // 2 - 1, 1, -1)
    return mask


SQUARE = np.ones((SIDE, SIDE), np.uint8)

PAIRS = {
    "checkers and stripes": (
        (checkered((40, 160, 255)), SQUARE),
        (striped((255, 120, 60)), SQUARE),
    ),
    "blotches and a disc": ((blotched(3), SQUARE), (checkered((90, 230, 90)), rounded())),
    "two discs": ((striped((60, 60, 240)), rounded()), (blotched(8), rounded())),
}


def places(index: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Top-left corners: they meet in the middle, one going right and one left, a little apart."""
    along = round(60 + (WIDTH - 120 - SIDE) * index / (FRAMES - 1))
    return (along, 130), (WIDTH - SIDE - along, 150)


def draw(index: int, pair: tuple[tuple[np.ndarray, np.ndarray], ...]) -> np.ndarray:
    """The second object passes in front of the first."""
    noise = np.random.default_rng(5).integers(60, 200, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    image = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for (x, y), (texture, mask) in zip(places(index), pair, strict=True):
        part = image[y : y + SIDE, x : x + SIDE]
        part[mask > 0] = texture[mask > 0]
    return image


@pytest.mark.parametrize("name", PAIRS)
def test_ids_stay_with_their_objects(name: str) -> None:
    tracker = Tracker.from_pretrained()
    boxes = [Box.from_xywh(*place, SIDE, SIDE) for place in places(0)]
    for id, box in enumerate(boxes, 1):
        tracker.start(draw(0, PAIRS[name]), box, id=id)
    for index in range(1, FRAMES):
        results = tracker.update(draw(index, PAIRS[name]))
        own = [Box.from_xywh(*place, SIDE, SIDE) for place in places(index)]
        if own[0].iou(own[1]) > 0:
            continue  # in front of each other, both may be taken for either
        for result, mine, other in zip(results, own, reversed(own), strict=True):
            if result.state == TargetState.TRACKING:
                assert result.box.iou(mine) >= result.box.iou(other), (index, result.id)
    for result, mine in zip(results, own, strict=True):
        assert result.state == TargetState.TRACKING and result.box.iou(mine) > 0.5, result
