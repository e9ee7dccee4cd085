"""Many targets on a processor: steady ones are searched for on every other image."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine

#: Middles of eight blobs, apart from each other.
PLACES = [(100.0 + 150 * (i % 4), 120.0 + 200 * (i // 4)) for i in range(8)]
SIZE = 44.0


class CountingEngine(BlobEngine):
    """Notes which targets are searched for on each image."""

    def __init__(self) -> None:
        super().__init__()
        self.searched: list[list[int]] = []

    def search(self, slots, crops, prior):  # type: ignore[no-untyped-def]
        self.searched.append(list(slots))
        return super().search(slots, crops, prior)


def picture(places: list[tuple[float, float]]) -> np.ndarray:
    """Blobs of different colours, with smooth edges."""
    image = np.full((480, 720, 3), 60, np.uint8)
    for index, (x, y) in enumerate(places):
        colour = (40 + 25 * index, 230 - 20 * index, 60 + 90 * (index % 2))
        middle = round((x - 0.5) * 16), round((y - 0.5) * 16)  # in sixteenths of a pixel
        cv2.circle(image, middle, round(SIZE * 8), colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    return image


def moved(step: int, speed: float = 2.0) -> list[tuple[float, float]]:
    return [(x + speed * step, y) for x, y in PLACES]


def started(engine: CountingEngine, count: int, settings: TrackerSettings) -> Tracker:
    tracker = Tracker(engine, settings)
    for x, y in PLACES[:count]:
        tracker.start(picture(PLACES), Box.from_center(x, y, SIZE, SIZE))
    return tracker


def test_steady_targets_take_turns_and_stay_where_they_are() -> None:
    engine = CountingEngine()
    tracker = started(engine, 8, TrackerSettings())
    searched: list[set[int]] = []
    for step in range(1, 21):
        engine.searched.clear()
        results = tracker.update(picture(moved(step)))
        searched.append({slot for slots in engine.searched for slot in slots})
        for result, (x, y) in zip(results, moved(step), strict=True):
            assert result.state == TargetState.TRACKING and result.score > 0.5
            assert result.box.center_xy == pytest.approx((x, y), abs=2.5)
            middle = (result.polygon_xy.min(0) + result.polygon_xy.max(0)) / 2
            assert middle == pytest.approx((x, y), abs=2.5)
    assert [len(ids) for ids in searched[-10:]] == [4] * 10
    # Nobody waits for two images.
    assert all(one | other == set(tracker.ids) for one, other in pairwise(searched))


def test_few_targets_are_all_searched_for() -> None:
    engine = CountingEngine()
    tracker = started(engine, 4, TrackerSettings())
    for step in range(1, 8):
        tracker.update(picture(moved(step)))
    assert engine.searched == [[1, 2, 3, 4]] * 7


def test_on_a_gpu_all_are_searched_for() -> None:
    engine = CountingEngine()
    engine.cheap_batches = True
    tracker = started(engine, 4, TrackerSettings(full_rate_targets=0))
    for step in range(1, 8):
        tracker.update(picture(moved(step)))
    assert engine.searched == [[1, 2, 3, 4]] * 7


def test_a_target_that_moves_unevenly_takes_no_rest() -> None:
    engine = CountingEngine()
    tracker = started(engine, 4, TrackerSettings(full_rate_targets=0))
    for step in range(1, 16):
        places = moved(step)
        places[1] = (places[1][0] + 9 * (-1) ** step, places[1][1])
        tracker.update(picture(places))
    searched = engine.searched[5:]
    assert all(2 in slots for slots in searched)
    assert sum(1 in slots for slots in searched) < 0.7 * len(searched)


def test_targets_that_come_close_to_each_other_take_no_rest() -> None:
    engine = CountingEngine()
    tracker = started(engine, 2, TrackerSettings(full_rate_targets=0))
    near = []
    for step in range(1, 50):
        places = moved(0)
        places[0] = (PLACES[0][0] + 2 * step, PLACES[0][1])
        tracker.update(picture(places))
        if places[1][0] - places[0][0] < 1.4 * SIZE:
            near.append(engine.searched[-1])
    assert len(near) > 3 and all(slots == [1, 2] for slots in near)


def test_a_target_that_touches_the_border_takes_no_rest() -> None:
    engine = CountingEngine()
    tracker = Tracker(engine, TrackerSettings(full_rate_targets=0))
    places = [(20.0, 240.0)]
    tracker.start(picture(places), Box.from_center(20, 240, SIZE, SIZE))
    for _ in range(6):
        tracker.update(picture(places))
    assert engine.searched == [[1]] * 6


def test_a_lost_target_takes_no_rest() -> None:
    engine = CountingEngine()
    tracker = started(engine, 2, TrackerSettings(full_rate_targets=0, redetect_crops=0))
    for step in range(1, 5):
        tracker.update(picture(moved(step)))
    for _ in range(20):
        tracker.update(picture([]))
    assert {target.state for target in tracker.targets} == {TargetState.LOST}
    assert engine.searched[-5:] == [[1, 2]] * 5
