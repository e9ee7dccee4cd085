"""Which detections start a target: nothing followed, something lost, something already there."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_ros.interfaces.detection_starter import DetectionStarter, Start
from siampolar_ros.messages.detection import Detection
from siampolar_ros.parameters.settings import DetectionSettings

AUTO = DetectionSettings(auto_init=True)


def at(x: float, y: float = 0, side: float = 100) -> Box:
    return Box(x, y, x + side, y + side)


def target(id: int, box: Box, state: TargetState = TargetState.LOST) -> Target:
    nothing = np.zeros((0, 2), np.float32)
    return Target(id, state, 0.5, 0.5, box, nothing)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def starter(clock: Clock) -> DetectionStarter:
    return DetectionStarter(clock)


@pytest.mark.parametrize(
    "box", [Box(float("nan"), 0, 9, 9), Box(9, 9, 9, 30), Box(0, 0, float("inf"), 9)]
)
def test_a_box_without_a_finite_area_keeps_no_other_from_starting(
    box: Box, starter: DetectionStarter
) -> None:
    good = Detection(at(200), 0.6)
    assert [start.detection for start in starter.decide([Detection(box, 0.9), good], (), AUTO)] == [
        good
    ]


def test_the_best_detection_starts_a_target_while_nothing_is_followed(
    starter: DetectionStarter, clock: Clock
) -> None:
    weak, best, bad = Detection(at(0), 0.6), Detection(at(200), 0.9), Detection(at(400), 0.4)
    assert starter.decide([weak, best, bad], (), DetectionSettings()) == []  # off by default
    assert starter.decide([bad], (), AUTO) == []
    (start,) = starter.decide([weak, best, bad], (), AUTO)
    assert start == Start(best, 0)
    # Until it is answered (it may wait for its image) there is no second one.
    clock.now += 1
    assert starter.decide([weak, best], (), AUTO) == []


def test_a_best_detection_that_cannot_start_leaves_the_next_best_its_turn(
    starter: DetectionStarter, clock: Clock
) -> None:
    tiny, good, bad = (
        Detection(at(0, side=3), 0.95),
        Detection(at(200), 0.7),
        Detection(at(400), 0.4),
    )
    (start,) = starter.decide([tiny, good, bad], (), AUTO)
    assert start == Start(tiny)
    starter.answered(start, None)
    moved = Detection(at(1, side=3), 0.99)  # the detector finds it again, a little further on
    (start,) = starter.decide([moved, good, bad], (), AUTO)
    assert start == Start(good)
    # Where all were refused, the next round begins after a pause.
    starter.answered(start, None)
    assert starter.decide([tiny, good, bad], (), AUTO) == []
    clock.now += 0.3
    assert starter.decide([tiny, good, bad], (), AUTO) == []
    clock.now += 0.3
    (start,) = starter.decide([tiny, good, bad], (), AUTO)
    assert start == Start(tiny)
    # What has started forgets them all.
    starter.answered(start, 5)
    clock.now += 0.6
    assert starter.decide([tiny, good, bad], (), AUTO) == [Start(tiny)]


def test_nothing_is_started_beside_a_target_even_a_lost_one(starter: DetectionStarter) -> None:
    far = [Detection(at(500), 0.9)]
    assert starter.decide(far, (1,), AUTO) == []  # started, not reported yet
    for state in TargetState:
        starter.on_result([target(1, at(0), state)])
        assert starter.decide(far, (1,), AUTO) == []
    assert starter.decide(far, (), AUTO) == [Start(far[0], 0)]  # dropped since


def test_a_lost_target_is_started_again_by_overlap(starter: DetectionStarter, clock: Clock) -> None:
    starter.on_result([target(4, at(0))])
    near, nearer = Detection(at(40), 0.9), Detection(at(10), 0.6)
    assert starter.decide([Detection(at(60), 0.9)], (4,), DetectionSettings()) == []  # IoU 0.25
    assert starter.decide([near, nearer], (4,), DetectionSettings()) == [Start(nearer, 4)]
    # It is given time before the next try.
    assert starter.decide([near, nearer], (4,), DetectionSettings()) == []
    clock.now += 0.6
    assert starter.decide([near], (4,), DetectionSettings(detection_iou=0.5)) == []
    assert starter.decide([near], (4,), DetectionSettings()) == [Start(near, 4)]


@pytest.mark.parametrize("state", [TargetState.TRACKING, TargetState.UNCERTAIN])
def test_a_target_that_is_not_lost_is_left_alone(
    starter: DetectionStarter, state: TargetState
) -> None:
    starter.on_result([target(1, at(0), state)])
    assert starter.decide([Detection(at(0), 0.9)], (1,), AUTO) == []


def test_each_detection_and_each_lost_target_is_used_once(starter: DetectionStarter) -> None:
    starter.on_result([target(1, at(0)), target(2, at(30))])
    one, two = Detection(at(5), 0.9), Detection(at(31), 0.8)
    assert sorted((s.id, s.detection.score) for s in starter.decide([one, two], (1, 2), AUTO)) == [
        (1, 0.9), (2, 0.8),
    ]  # fmt: skip


def test_one_detection_for_two_lost_targets_goes_to_the_nearer(starter: DetectionStarter) -> None:
    starter.on_result([target(1, at(0)), target(2, at(30))])
    one = Detection(at(20), 0.9)
    assert starter.decide([one], (1, 2), AUTO) == [Start(one, 2)]


def test_a_detection_of_a_tracked_target_does_not_find_a_lost_one(
    starter: DetectionStarter,
) -> None:
    starter.on_result([target(1, at(0), TargetState.TRACKING), target(2, at(20))])
    assert starter.decide([Detection(at(5), 0.9)], (1, 2), AUTO) == []


def test_class_of_the_detection_it_started_on(starter: DetectionStarter, clock: Clock) -> None:
    (start,) = starter.decide([Detection(at(0), 0.9, "dog")], (), AUTO)
    starter.answered(start, 7)
    starter.on_result([target(7, at(0))])
    assert starter.class_of(7) == "dog" and starter.class_of(8) == ""
    assert starter.decide([Detection(at(0), 0.9, "cat")], (7,), AUTO) == []
    unnamed = Detection(at(0), 0.9)
    assert starter.decide([unnamed], (7,), AUTO) == [Start(unnamed, 7)]
    clock.now += 1
    dog = Detection(at(20), 0.9, "dog")
    assert starter.decide([Detection(at(0), 0.9, "cat"), dog], (7,), AUTO) == [Start(dog, 7)]


def test_class_learned_while_tracked(starter: DetectionStarter) -> None:
    """A target drawn by hand takes the class of what a detector sees in its place."""
    starter.on_result([target(1, at(0), TargetState.TRACKING)])
    starter.decide([Detection(at(10), 0.9, "dog"), Detection(at(500), 0.9, "cat")], (1,), AUTO)
    starter.decide([Detection(at(0), 0.9, "cat")], (1,), AUTO)  # the first word stays
    assert starter.class_of(1) == "dog"
    starter.decide([], (), AUTO)
    assert starter.class_of(1) == ""  # removed since


def test_only_the_classes_asked_for(starter: DetectionStarter) -> None:
    settings = DetectionSettings(auto_init=True, detection_classes=("dog", "person"))
    assert starter.decide([Detection(at(0), 0.9, "cat"), Detection(at(0), 0.9)], (), settings) == []
    dog = Detection(at(0), 0.6, "dog")
    assert starter.decide([Detection(at(0), 0.9, "cat"), dog], (), settings) == [Start(dog, 0)]


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"detection_iou is 1\.5; it must be a number from 0 to 1"):
        DetectionSettings(detection_iou=1.5)
