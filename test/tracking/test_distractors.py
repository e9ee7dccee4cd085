"""A part of a target is never taken for something that only looks like it."""

from __future__ import annotations

import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_model.tracking.distractors import Distractor
from support.seen_boxes import FRAME, Scene

BALL, POST = 72.0, (240.0, 270.0)


def ball(image: int) -> Box:
    """Where it is, and the middle of the post is x = 255."""
    return Box.from_center(90 + 5 * image, 180, BALL, BALL)


def in_sight(whole: Box) -> dict[Box, float]:
    """What the post leaves of the ball, and its scores: narrow parts look less like a ball."""
    left = Box(whole.x1, whole.y1, min(whole.x2, POST[0]), whole.y2)
    right = Box(max(whole.x1, POST[1]), whole.y1, whole.x2, whole.y2)
    return {part: min(0.95, 0.45 + part.width / BALL) for part in (left, right) if part.width > 8}


def distractors(scene: Scene) -> tuple[Distractor, ...]:
    return scene._distractors


def test_a_ball_is_followed_past_a_post_that_shows_a_part_on_each_side() -> None:
    scene = Scene(4)
    scene.start(FRAME, ball(0))
    both = 0
    for image in range(60):
        scene.seen = in_sight(ball(image))
        both += len(scene.seen) == 2
        (result,) = scene.update(FRAME)
        assert not distractors(scene), image
        assert result.state != TargetState.LOST
    assert both > 3
    assert result.state == TargetState.TRACKING and result.box.iou(ball(image)) > 0.8


def test_the_other_part_is_no_distractor_for_another_target_either() -> None:
    scene = Scene(4)
    other = Box.from_center(255, 300, BALL, BALL)
    scene.start(FRAME, ball(0))
    scene.start(FRAME, other)
    for image in range(60):
        scene.seen = in_sight(ball(image)) | {other: 0.9}
        scene.update(FRAME)
        assert not distractors(scene), image


@pytest.mark.parametrize("gap", [2.0, 12.0, 20.0])
def test_two_twins_side_by_side_remain_two_things(gap: float) -> None:
    scene = Scene(4)
    target = Box.from_center(200, 180, 40, 40)
    twin = Box.from_center(240 + gap, 180, 40, 40)
    scene.start(FRAME, target)
    for _ in range(5):
        scene.seen = {target: 0.9, twin: 0.9}
        scene.update(FRAME)
    (known,) = distractors(scene)
    assert known.known and known.ids == {1}
    scene.seen = {twin: 0.9}
    for _ in range(5):
        (result,) = scene.update(FRAME)
    assert result.state != TargetState.TRACKING and "looks like it" in result.reason


def test_a_target_that_was_small_for_long_has_small_neighbours() -> None:
    """Its usual size is that of the last seconds, not that of its start."""
    scene = Scene(4)
    scene.start(FRAME, Box.from_center(200, 180, 120, 120))
    for image in range(300):
        side = max(120 - image, 40.0)
        scene.seen = {Box.from_center(200, 180, side, side): 0.9}
        if image > 290:
            scene.seen[Box.from_center(250, 180, side, side)] = 0.9
        scene.update(FRAME)
    assert [one.known for one in distractors(scene)] == [True]


def test_a_twin_that_was_seen_next_to_the_whole_target_is_never_a_part_of_it() -> None:
    """The target disappears behind its twin: what is left of both is no larger than one of them."""
    scene = Scene(4)
    target = Box.from_center(200, 180, 40, 40)
    twin = Box.from_center(245, 180, 40, 40)
    scene.start(FRAME, target)
    for shift in (0, 0, 0, 0, 0, *range(4, 37, 4)):
        sliver = Box(target.x1 + shift, target.y1, min(target.x2 + shift, twin.x1), target.y2)
        scene.seen = {sliver: 0.9, twin: 0.9}
        scene.update(FRAME)
    assert [one.known for one in distractors(scene)] == [True]
    scene.seen = {twin: 0.9}
    for _ in range(5):
        (result,) = scene.update(FRAME)
    assert result.state != TargetState.TRACKING and "looks like it" in result.reason
