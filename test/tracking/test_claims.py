"""Two targets never have one thing, and who loses out says why."""

from __future__ import annotations

import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from support.seen_boxes import FRAME, Scene

SIDE = 40.0


def square(x: float, y: float) -> Box:
    return Box.from_center(x, y, SIDE, SIDE)


def scene(candidates: int, *places: tuple[float, float]) -> Scene:
    """A target on every square."""
    made = Scene(candidates)
    for x, y in places:
        made.start(FRAME, square(x, y))
    return made


def shown(scene: Scene, *places: tuple[float, float], images: int = 1) -> list[Target]:
    for _ in range(images):
        scene.seen = {square(*place): 0.9 for place in places}
        results = scene.update(FRAME)
    return results


def on(target: Target, place: tuple[float, float]) -> bool:
    return target.box.iou(square(*place)) > 0.5


@pytest.mark.parametrize("candidates", [1, 4])
def test_of_two_targets_only_one_is_tracked_where_one_thing_is(candidates: int) -> None:
    twins = scene(candidates, (200, 180), (260, 180))
    shown(twins, (200, 180), (260, 180), images=10)
    for _ in range(60):
        results = shown(twins, (260, 180))
        assert results[1].state == TargetState.TRACKING and on(results[1], (260, 180))
        assert results[0].state != TargetState.TRACKING
    assert results[0].state == TargetState.LOST and "target 2" in results[0].reason
    results = shown(twins, (200, 180), (260, 180), images=40)
    assert [result.state for result in results] == [TargetState.TRACKING] * 2
    assert on(results[0], (200, 180)) and on(results[1], (260, 180))
    assert [result.reason for result in results] == ["", ""]


@pytest.mark.parametrize("candidates", [1, 4])
def test_twins_that_cross_keep_their_ids_by_their_velocities(candidates: int) -> None:
    twins = scene(candidates, (150, 180), (350, 190))
    for image in range(1, 60):
        a, b = (150 + 4.0 * image, 180.0), (350 - 4.0 * image, 190.0)
        one_hides_the_other = abs(a[0] - b[0]) < SIDE / 2
        results = shown(twins, *([a] if one_hides_the_other else [a, b]))
    assert on(results[0], a) and on(results[1], b)
    assert [result.state for result in results] == [TargetState.TRACKING] * 2


def test_the_neighbour_of_a_hidden_target_is_known_not_to_be_it() -> None:
    alone = scene(4, (200, 180))
    shown(alone, (200, 180), (260, 180), images=10)
    for _ in range(40):
        (result,) = shown(alone, (260, 180))
        assert result.state != TargetState.TRACKING
    assert "looks like it" in result.reason
    (result,) = shown(alone, (200, 180), (260, 180), images=40)
    assert result.state == TargetState.TRACKING and on(result, (200, 180))


def test_without_a_neighbour_a_target_that_jumps_is_followed() -> None:
    alone = scene(4, (200, 180))
    shown(alone, (200, 180), images=10)
    (result,) = shown(alone, (240, 180), images=4)
    assert result.state == TargetState.TRACKING and on(result, (240, 180))


def test_a_target_started_twice_is_tracked_once() -> None:
    twice = scene(1, (200, 180), (203, 180))
    results = shown(twice, (200, 180), images=10)
    assert sorted(result.state for result in results)[0] == TargetState.TRACKING
    assert sorted(result.state for result in results)[1] != TargetState.TRACKING


def test_tracked_targets_are_more_probable_than_uncertain_ones() -> None:
    twins = scene(4, (200, 180), (260, 180))
    seen = set()
    for image in range(150):
        hidden = image % 50 > 35
        for result in shown(twins, *([] if hidden else [(200, 180)]), (260, 180)):
            seen.add(result.state)
            if result.state == TargetState.TRACKING:
                assert result.confidence >= 0.5 and not result.reason
            else:
                assert result.confidence <= 0.5 and result.reason
            assert result.predicted_box is not None
    assert seen == set(TargetState)
