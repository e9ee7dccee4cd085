"""Paced playing in virtual time: which images a slow tracker sees, and whose answer counts."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from siampolar_model.evaluation import playing
from siampolar_model.evaluation.playing import Player, Start
from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.elapsed import USUAL_S


class Timed:
    """A tracker whose calls take given seconds of a clock; its box tells which image it saw."""

    def __init__(self, seconds: list[float]) -> None:
        self._seconds: Iterator[float] = iter(seconds)
        self.now = 0.0
        self.seen: list[int] = []
        self.elapsed_s: list[float] = []

    def start(self, frame: Any, box: Box, *, mask: Any = None) -> int:
        self.now += next(self._seconds)
        return 1

    def update(self, frame: Any, *, elapsed_s: float = USUAL_S) -> list[Any]:
        self.now += next(self._seconds)
        self.seen.append(int(frame.planes[0][0, 0, 0]))
        self.elapsed_s.append(elapsed_s)
        box = Box.from_xywh(self.seen[-1], 0, 10, 10)
        state = TargetState.TRACKING
        return [SimpleNamespace(id=1, box=box, polygon_xy=box.corners_xy(), state=state)]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(seconds: list[float], images: int, fps: float | None) -> tuple[Timed, list[Any]]:
        tracker = Timed(seconds)
        monkeypatch.setattr(playing, "time", SimpleNamespace(perf_counter=lambda: tracker.now))
        player = Player(tracker, fps)  # type: ignore[arg-type]
        pixels = [np.full((8, 8, 3), index, np.uint8) for index in range(images)]
        answers = [player.start(pixels[0], [Start(Box.from_xywh(0, 0, 10, 10))])]
        answers += [player.step(image) for image in pixels[1:]]
        return tracker, answers

    return run


def counted(answers: list[Any]) -> list[int]:
    """Of each image, the image whose answer counts."""
    return [round(one.places[0].box.x1) for one in answers]


def test_not_paced_every_image_has_its_own_answer(play: Any) -> None:
    tracker, answers = play([9.0] * 5, 5, None)
    assert tracker.seen == [1, 2, 3, 4] and counted(answers) == [0, 1, 2, 3, 4]
    assert not any(one.late for one in answers)
    assert [one.track_s for one in answers] == [None, 9, 9, 9, 9]


def test_a_tracker_that_is_fast_enough_misses_nothing(play: Any) -> None:
    tracker, answers = play([0.09] * 5, 5, 10.0)
    assert tracker.seen == [1, 2, 3, 4] and counted(answers) == [0, 1, 2, 3, 4]
    assert not any(one.late for one in answers)
    assert tracker.elapsed_s == pytest.approx([0.1] * 4)


def test_an_answer_counts_on_the_images_during_which_it_is_finished(play: Any) -> None:
    """10 images per second, 0.25 s for each update: images 1, 3, 6, 8 are seen.

    Image 1 arrives at 0.1 s and is answered at 0.35 s, before image 4 arrives: it counts from image
    3 on. Image 3, the newest at 0.35 s, is answered at 0.6 s: it counts from image 5 on (until 0.6
    s). Image 6 is answered at 0.85 s and counts from image 8 on.
    """
    tracker, answers = play([0.0] + [0.25] * 5, 10, 10.0)
    assert tracker.seen == [1, 3, 6, 8]
    assert counted(answers) == [0, 0, 0, 1, 1, 3, 3, 3, 6, 6]
    assert [one.late for one in answers] == [False] + [True] * 9
    assert tracker.elapsed_s == pytest.approx([0.1, 0.2, 0.3, 0.2])
    assert [one.track_s is not None for one in answers] == [
        False, True, False, True, False, False, True, False, True, False,
    ]  # fmt: skip


def test_a_slow_start_makes_the_first_images_late(play: Any) -> None:
    tracker, answers = play([0.32] + [0.01] * 6, 6, 10.0)
    assert tracker.seen == [3, 4, 5]
    assert counted(answers) == [0, 0, 0, 3, 4, 5]
    assert [one.late for one in answers] == [False, True, True, False, False, False]


def test_the_end_of_an_update_at_the_very_arrival_is_in_time(play: Any) -> None:
    tracker, answers = play([0.0] + [0.1] * 5, 6, 10.0)
    assert tracker.seen == [1, 2, 3, 4, 5] and counted(answers) == [0, 1, 2, 3, 4, 5]
