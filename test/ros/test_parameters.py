"""Every parameter refuses what it must, and says what is allowed."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siampolar_model.tracking.settings import TrackerSettings
from siampolar_ros.parameters.nodes import Settings, VideoSettings
from siampolar_ros.parameters.reference import NODES
from siampolar_ros.parameters.table import (
    Changes,
    Parameter,
    ParameterError,
    check_all,
    filled,
    parameters_of,
)

TRACKER, VIDEO_PUBLISHER = parameters_of(Settings), parameters_of(VideoSettings)
ROWS = [
    pytest.param(row, id=f"{node}.{row.name}")
    for node, (*_, settings) in NODES.items()
    for row in parameters_of(settings)
]
DEFAULTS = {row.name: row.default for row in TRACKER}
VIDEO_DEFAULTS = {row.name: row.default for row in VIDEO_PUBLISHER}


def wrong_values(row: Parameter) -> list[Any]:
    """Values that this row must refuse."""
    wrong: list[Any] = [None, [row.default]]
    if isinstance(row.default, bool):
        return [*wrong, 1, "true"]
    if isinstance(row.default, str):
        return [*wrong, True, 1.5, *(["no such choice", ""] if row.choices else [])]
    wrong += ["1", True]
    if isinstance(row.default, float):
        wrong += [math.nan, math.inf, -math.inf]
    else:
        wrong += [1.0]
    if row.low is not None:
        wrong.append(type(row.default)(row.low - 1))
    if row.high is not None:
        wrong.append(type(row.default)(row.high + 1))
    return wrong


@pytest.mark.parametrize("row", ROWS)
def test_every_parameter_refuses_what_it_must(row: Parameter) -> None:
    for value in wrong_values(row):
        with pytest.raises(ParameterError) as error:
            row.check(value)
        text = str(error.value)
        assert f"parameter {row.name} is " in text and row.allowed in text
        assert str(value) in text and "\n" not in text


@pytest.mark.parametrize("row", ROWS)
def test_every_parameter_takes_its_default_and_bounds(row: Parameter) -> None:
    assert row.check(row.default) == row.default
    assert row.help.endswith(".")
    for bound in (row.low, row.high):
        if bound is not None:
            assert row.check(type(row.default)(bound)) == bound
    for choice in row.choices:
        assert row.check(choice) == choice


def test_whole_numbers_are_taken_where_they_mean_the_same() -> None:
    window = next(row for row in TRACKER if row.name == "window_weight")
    device = next(row for row in VIDEO_PUBLISHER if row.name == "device")
    assert window.check(1) == 1.0 and isinstance(window.check(1), float)
    assert device.check(0) == "0"


def test_all_errors_are_named_at_once() -> None:
    values = {**DEFAULTS, "engine": "abacus", "window_weight": 7.0}
    with pytest.raises(ParameterError, match=r"engine is 'abacus'.*window_weight is 7"):
        check_all(TRACKER, values)


def test_defaults_make_the_default_settings() -> None:
    settings = filled(Settings, check_all(TRACKER, DEFAULTS))
    assert settings.tracker == TrackerSettings()
    assert settings == Settings()
    assert settings.num_threads is None and settings.engine == "auto"
    assert settings.engine_path is None and settings.detections.detection_classes == ()


def test_values_are_converted_for_the_settings() -> None:
    given = {"num_threads": 2, "engine_path": "a/b", "detection_classes": " cat,, dog"}
    settings = filled(Settings, check_all(TRACKER, {**DEFAULTS, **given}))
    assert settings.num_threads == 2 and settings.engine_path == Path("a/b")
    assert settings.detections.detection_classes == ("cat", "dog")
    video = filled(VideoSettings, {**VIDEO_DEFAULTS, "path": "a.mp4"})
    assert video.last_frame is None


def test_no_name_stands_twice_and_no_old_name_is_in_use() -> None:
    for _, _, settings in NODES.values():
        rows = parameters_of(settings)
        names = [row.name for row in rows] + [row.old_name for row in rows if row.old_name]
        assert len(set(names)) == len(names)


def test_values_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"lost_score is 0\.9; it must not exceed"):
        filled(Settings, {**DEFAULTS, "lost_score": 0.9})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "give exactly one of them"),
        ({"path": "a.mp4", "device": "0"}, "give exactly one of them"),
        ({"path": "a.mp4", "first_frame": 9, "last_frame": 3}, "last_frame is 3"),
    ],
)
def test_video_settings_refuse(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        filled(VideoSettings, {**VIDEO_DEFAULTS, **changed})


# ---- on a node -----------------------------------------------------------------------------


class LoadedTracker:
    """As much of a tracker as a node without images needs."""

    ids: tuple[int, ...] = ()

    class spec:
        name = "fake"
        takes_mask = False

    class engine:
        choice = "fake runs on nothing"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.tracker


@pytest.fixture
def make_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
    from siampolar_ros.nodes.tracker_node import TrackerNode
    from siampolar_ros.runtime.environment import dds_environment, local_environment

    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    nodes = []

    def make(**overrides: Any) -> TrackerNode:
        values = [rclpy.parameter.Parameter(name, value=v) for name, v in overrides.items()]
        nodes.append(TrackerNode(load=LoadedTracker, parameter_overrides=values))
        return nodes[-1]

    yield make
    while nodes:
        nodes[-1].close()
        nodes.pop().destroy_node()
    rclpy.shutdown()
    gc.collect()  # see node_rig.py


def set_values(node: Any, **values: Any) -> Any:
    from rclpy.parameter import Parameter as RosParameter

    changes = [RosParameter(name, value=value) for name, value in values.items()]
    return node.set_parameters_atomically(changes)


def test_a_change_is_taken_whole_or_not_at_all(make_node: Any) -> None:
    node = make_node()
    refused = set_values(node, window_weight=0.9, tracking_score=0.1)
    assert not refused.successful and "must not exceed tracking_score" in refused.reason
    assert node.get_parameter("window_weight").value == 0.3
    assert set_values(node, lost_score=0.05, tracking_score=0.1).successful
    assert set_values(node, window_weight=1).successful


def test_every_parameter_is_declared_with_description_and_range(make_node: Any) -> None:
    node = make_node()
    for row in TRACKER:
        descriptor = node.describe_parameter(row.name)
        assert descriptor.description == row.help
        assert row.allowed in descriptor.additional_constraints
        assert descriptor.read_only == (row.changes is Changes.START)
        ranges = list(descriptor.floating_point_range) + list(descriptor.integer_range)
        if row.low is not None:
            assert (ranges[0].from_value, ranges[0].to_value) == (row.low, row.high)


def test_engine_and_model_change_only_while_unconfigured(make_node: Any) -> None:
    from rclpy.lifecycle import TransitionCallbackReturn

    node = make_node()
    assert set_values(node, engine="torch").successful
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    refused = set_values(node, engine="auto")
    assert not refused.successful and "only while the node is unconfigured" in refused.reason
    assert set_values(node, engine="torch", window_weight=0.5).successful  # no change
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert set_values(node, engine="auto").successful


def test_wrong_start_values_leave_a_node_that_can_be_corrected(make_node: Any) -> None:
    from rclpy.lifecycle import TransitionCallbackReturn

    node = make_node(engine="abacus", window_weight=7.0, history_s=2)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert set_values(node, window_weight=0.2).successful
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert set_values(node, engine="auto").successful
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


@pytest.mark.parametrize("name", ["score", "crops", "period_s"])
def test_a_parameter_given_by_its_old_name_is_refused_until_the_new_one_is_set(
    make_node: Any, name: str
) -> None:
    from rclpy.lifecycle import TransitionCallbackReturn

    node = make_node(**{f"research_{name}": 1.0})
    with pytest.raises(ParameterError) as caught:
        node._params.settings()
    assert str(caught.value) == (
        f"parameter research_{name} was renamed; its name is now redetect_{name}"
    )
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert set_values(node, window_weight=0.2).successful
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert not node.has_parameter(f"research_{name}")
    assert set_values(node, **{f"redetect_{name}": 1}).successful
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_a_misspelt_parameter_is_warned_of_with_the_name_that_was_meant(
    make_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rclpy.logging import get_logger

    warnings: list[str] = []
    logger = type(get_logger("any"))
    monkeypatch.setattr(logger, "warning", lambda self, text, **_: warnings.append(text))
    # horizontal_fov is the video publisher's; research_crops is refused by another message.
    node = make_node(trackingscore=0.6, horizontal_fov=60.0, zzz=[1, 2], research_crops=1)
    assert warnings == [
        "unknown parameters have no effect: trackingscore (did you mean tracking_score?), zzz"
    ]
    assert not node.has_parameter("trackingscore") and not node.has_parameter("horizontal_fov")
    warnings.clear()
    node = make_node(tracking_score=0.6, use_sim_time=True)
    assert warnings == [] and node.get_parameter("tracking_score").value == 0.6
    assert node.get_parameter("use_sim_time").value is True


def test_no_attribute_hides_one_of_rclpy(make_node: Any) -> None:
    from rclpy.lifecycle import LifecycleNode

    node = make_node()
    plain = LifecycleNode("plain")
    taken = set(vars(plain)) | set(dir(LifecycleNode))
    plain.destroy_node()
    own = {n for n, v in vars(node).items() if type(v).__module__.startswith("siampolar")}
    assert "_params" in own and own.isdisjoint(taken)
