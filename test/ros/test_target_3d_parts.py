"""Matching by stamps and the words about problems, without ROS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_ros.health.stream_health import Level
from siampolar_ros.target_3d.estimator import Estimate, Source
from siampolar_ros.target_3d.matching import Match, Matcher
from siampolar_ros.target_3d.problems import Problems

MS = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def matcher(clock: Clock) -> Matcher:
    return Matcher(clock)


def ready(matcher: Matcher, tolerance_s: float = 0.02) -> list[Match]:
    return matcher.ready(tolerance_s, 0.1)


def test_an_exact_stamp_is_taken_at_once_whichever_comes_first(matcher: Matcher) -> None:
    matcher.add_depth(10 * MS, "d10")
    matcher.add_targets(10 * MS, "t10")
    matcher.add_targets(43 * MS, "t43")
    (found,) = ready(matcher)
    assert (found.targets, found.depth, found.depth_stamp_ns) == ("t10", "d10", 10 * MS)
    assert ready(matcher) == []
    matcher.add_depth(43 * MS, "d43")
    assert [one.depth for one in ready(matcher)] == ["d43"]
    # The same image again, because another target joined it.
    matcher.add_targets(43 * MS, "again")
    assert [(one.targets, one.depth) for one in ready(matcher)] == [("again", "d43")]


def test_the_nearest_is_taken_once_a_later_one_has_come(matcher: Matcher) -> None:
    matcher.add_depth(0, "d0")
    matcher.add_targets(16 * MS, "t16")
    assert ready(matcher) == []
    matcher.add_depth(33 * MS, "d33")
    (found,) = ready(matcher)
    assert found.depth == "d0" and found.reason == ""


def test_the_wait_ends_with_what_there_is(matcher: Matcher, clock: Clock) -> None:
    matcher.add_depth(0, "d0")
    matcher.add_targets(16 * MS, "t16")
    matcher.add_targets(250 * MS, "t250")
    clock.now_s = 0.099
    assert ready(matcher) == []
    clock.now_s = 0.1
    first, second = ready(matcher)
    assert (first.depth, second.depth) == ("d0", None)
    assert second.reason == "no depth within 20 ms of the image; the nearest is 250 ms older"


def test_without_any_depth_it_is_said(matcher: Matcher, clock: Clock) -> None:
    matcher.add_targets(0, "t0")
    clock.now_s = 1.0
    assert [one.reason for one in ready(matcher)] == ["no depth has come yet"]


def test_a_clock_that_is_set_back_starts_again(matcher: Matcher, clock: Clock) -> None:
    for stamp in range(0, 5_000 * MS, 1_000 * MS):
        matcher.add_depth(stamp, f"old {stamp}")
    matcher.add_targets(4_000 * MS, "t")
    assert [one.depth for one in ready(matcher)] == [f"old {4_000 * MS}"]
    matcher.add_depth(2 * MS, "new")
    matcher.add_targets(2 * MS, "t2")
    assert [one.depth for one in ready(matcher)] == ["new"]


def test_memory_is_bounded(matcher: Matcher) -> None:
    for step in range(1_000):
        matcher.add_depth(step * MS, step)
        matcher.add_targets((5_000 + step) * MS, step)
    assert len(matcher._depths) <= 15 and len(matcher._waiting) <= 30


# ---- words ---------------------------------------------------------------------------------


def estimate(source: Source, reason: str = "") -> Estimate:
    box = Box(0, 0, 1, 1)
    target = Target(1, TargetState.TRACKING, 0.9, 0.8, box, box.corners_xy())
    return Estimate(target, source, reason)


def test_a_problem_is_logged_once_in_ten_seconds_and_once_when_it_is_over(clock: Clock) -> None:
    warned: list[str] = []
    informed: list[str] = []
    problems = Problems("/targets", warned.append, informed.append, clock)
    assert problems.judge().reason == "no message on /targets yet"
    good, bad = [estimate(Source.DEPTH)], [estimate(Source.NONE, "holes")]
    for step in range(300):
        clock.now_s = step / 30
        problems.note("", good if step % 2 else bad)
    assert warned == ["target 1: holes"] and len(informed) == 1
    clock.now_s = 10.1
    problems.note("no camera info on /info yet", bad)
    assert warned[1:] == ["no camera info on /info yet"]
    assert problems.judge().level == Level.WARN
    problems.note("", good)
    assert len(informed) == 2 and problems.judge().level == Level.OK
    clock.now_s = 15.0
    assert problems.judge().reason == "no message on /targets for 4.9 s"


def test_a_lost_target_is_no_problem_of_this_node(clock: Clock) -> None:
    warned: list[str] = []
    problems = Problems("/targets", warned.append, warned.append, clock)
    lost = estimate(Source.NONE, "the target is lost")
    lost = replace(lost, target=replace(lost.target, state=TargetState.LOST))
    problems.note("", [lost])
    assert warned == [] and problems.judge().reason == "0 of 1 targets have a position"


def test_only_distances_from_a_known_height_are_named(clock: Clock) -> None:
    problems = Problems("/targets", lambda text: None, lambda text: None, clock)
    by_height = estimate(Source.KNOWN_HEIGHT, "holes")
    problems.note("", [by_height])
    assert problems.judge().reason == "target 1: holes; distances follow from known_height"
    problems.note("", [by_height, estimate(Source.NONE, "holes")])
    assert problems.judge().reason == "target 1: holes"
    problems.note("", [estimate(Source.KNOWN_HEIGHT)])  # it was asked for
    assert problems.judge().level == Level.OK
