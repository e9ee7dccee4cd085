"""The services of the tracker node: start, remove, reset and list targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from siampolar_model.geometry.region import Point
from siampolar_model.results import TargetState
from siampolar_ros.messages.conversions import stamp_from_ns
from siampolar_ros.msg import InitResult, InitTarget, Target
from siampolar_ros.srv import Init, List, Remove
from support.node_rig import Rig


def init(rig: Rig, stamp_ns: int = 0, x: float = 5.0, **fields: Any) -> Any:
    """Ask by service for a target in a box at ``x``, unless the fields say otherwise."""
    target = InitTarget(x=x, y=5.0, width=20.0, height=20.0, **fields)
    target.header.stamp = stamp_from_ns(stamp_ns)
    return rig.call(Init, "init", Init.Request(target=target))


def listed(rig: Rig) -> list[tuple[int, int]]:
    targets = rig.call(List, "list", List.Request()).targets
    return [(target.id, target.state) for target in targets]


def test_targets_are_started_listed_removed_and_reset(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    assert listed(rig) == []
    ids = []
    for x in (5.0, 20.0, 40.0):
        answer = init(rig, x=x)
        assert answer.success and answer.message == ""
        ids.append(answer.id)
    assert ids == [1, 2, 3]
    rig.wait(lambda: len(rig.targets[-1].targets) == 3)
    assert listed(rig) == [(1, Target.TRACKING), (2, Target.TRACKING), (3, Target.TRACKING)]
    assert rig.call(List, "list", List.Request()).targets[1].x == 20.0

    assert rig.call(Remove, "remove", Remove.Request(id=2)).success
    refused = rig.call(Remove, "remove", Remove.Request(id=2))
    assert not refused.success and refused.message == "there is no target 2; followed: 1, 3"
    assert [id for id, _ in listed(rig)] == [1, 3]
    rig.wait(lambda: [t.id for t in rig.targets[-1].targets] == [1, 3])  # without a new image

    answer = rig.call(Trigger, "reset", Trigger.Request())
    assert answer.success and answer.message == "2 targets removed"
    assert listed(rig) == []
    assert rig.image(2_000).targets == []
    assert init(rig).id == 4


def test_a_refused_init_says_why_and_one_that_replaces_says_so(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    answers: list[InitResult] = []
    rig.test.create_subscription(InitResult, "tracker/init_result", answers.append, 10)
    rig.wait(lambda: rig.test.count_publishers("tracker/init_result"))
    rig.spin(0.2)
    outside = init(rig, x=500.0, id=9)
    assert not outside.success and outside.id == 9
    assert "wholly outside the 64x48 image" in outside.message
    assert init(rig, id=9).message == ""
    again = init(rig, id=9)
    assert again.success and again.message == "target 9 was followed already and is started again"
    # The topic says the same.
    rig.wait(lambda: len(answers) == 3)
    assert [(a.success, a.id, a.message) for a in answers] == [
        (False, 9, outside.message),
        (True, 9, ""),
        (True, 9, again.message),
    ]


def test_while_it_is_inactive_an_init_by_topic_is_refused_and_the_answer_waits(rig: Rig) -> None:
    rig.activate()
    assert rig.change_state(Transition.TRANSITION_DEACTIVATE)
    answers: list[InitResult] = []
    early = rig.test.create_subscription(InitResult, "tracker/init_result", answers.append, 10)
    rig.wait(lambda: rig.test.count_publishers("tracker/init_result"))
    assert rig.inits.get_subscription_count() == 1  # nobody waits for a subscriber for ever
    rig.spin(0.2)
    rig.inits.publish(InitTarget(x=5.0, y=5.0, width=20.0, height=20.0, id=3))
    rig.wait(lambda: answers)
    assert (answers[0].success, answers[0].id) == (False, 3)
    assert answers[0].message == "the tracker is not active"
    rig.test.destroy_subscription(early)
    # Who subscribes later gets the last answer.
    late: list[InitResult] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rig.test.create_subscription(InitResult, "tracker/init_result", late.append, latched)
    rig.wait(lambda: late)
    assert late == answers


def test_an_object_may_be_pointed_at_by_a_point_an_outline_or_a_mask(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    pixels = np.zeros((48, 64), np.uint8)
    pixels[10:40, 10:50] = 255
    mask = Image(encoding="mono8", width=64, height=48, step=64, data=pixels.tobytes())
    corners = [5.0, 5.0, 30.0, 5.0, 30.0, 30.0]
    started = [
        InitTarget(kind=InitTarget.POINT, x=20.0, y=20.0),
        InitTarget(kind=InitTarget.POLYGON, polygon_xy=corners),
        InitTarget(kind=InitTarget.MASK, mask=mask),
    ]
    answers = [rig.call(Init, "init", Init.Request(target=target)) for target in started]
    assert [(answer.success, answer.id) for answer in answers] == [(True, 1), (True, 2), (True, 3)]
    point, outline, *_ = rig.trackers[0].regions.values()
    assert point == Point(20.0, 20.0)
    assert outline.points_xy.tolist() == [[5.0, 5.0], [30.0, 5.0], [30.0, 30.0]]
    assert (rig.trackers[0].regions[3].pixels == pixels).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": 7}, "kind is 7; it must be 0 (box), 1 (point), 2 (polygon) or 3 (mask)"),
        ({"kind": 1, "x": 500.0}, "point x=500 y=5 lies outside the 64x48 image"),
        ({"kind": 2, "polygon_xy": [1.0] * 7}, "polygon_xy has 7 numbers; it needs x and y of"),
        ({"kind": 2}, "an outline of 0 points; it needs at least 3"),
        ({"kind": 3}, "the mask's encoding is ''; it must be mono8"),
        (
            {"kind": 3, "mask": Image(encoding="mono8", width=9, height=9)},
            "the mask cannot be read",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(
    rig: Rig, fields: dict[str, Any], words: str
) -> None:
    rig.activate()
    rig.image(1_000)
    answer = init(rig, **fields)
    assert not answer.success and words in answer.message


def test_the_limit_is_a_parameter_that_can_be_changed(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    rig.node.set_parameters([Parameter("max_targets", value=1)])
    assert init(rig).success
    refused = init(rig)
    assert not refused.success and "at most 1 are allowed" in refused.message
    rig.node.set_parameters([Parameter("max_targets", value=2)])
    assert init(rig).success


def test_an_init_waits_for_its_image_while_others_are_served(rig: Rig) -> None:
    rig.activate()
    rig.node.set_parameters([Parameter("hold_init_s", value=60.0)])
    client = rig.test.create_client(Init, "tracker/init")
    rig.wait(client.service_is_ready)
    target = InitTarget(x=5.0, y=5.0, width=20.0, height=20.0)
    early = client.call_async(Init.Request(target=target))
    rig.spin(0.3)
    assert not early.done()
    assert listed(rig) == []
    rig.image(1_000)
    rig.wait(early.done)
    assert early.result().success and early.result().id == 1


def test_an_init_whose_image_never_comes_is_refused_in_time(rig: Rig) -> None:
    rig.activate()
    rig.node.set_parameters([Parameter("hold_init_s", value=0.2)])
    answer = init(rig)
    assert not answer.success and answer.message == "no image has arrived (waited 0.2 s)"
    rig.image(10**9)
    answer = init(rig, stamp_ns=5 * 10**9)
    assert not answer.success
    assert "5.000000000 s lies in the future of the newest image, 1.000000000 s" in answer.message


def test_services_of_a_node_that_is_not_active(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    assert init(rig).success
    rig.wait(lambda: rig.targets[-1].targets)
    rig.node.trigger_deactivate()
    answer = init(rig)
    assert not answer.success and answer.message == "the tracker is not active"
    assert listed(rig) == [(1, Target.TRACKING)]
    assert rig.call(Remove, "remove", Remove.Request(id=1)).success
    assert listed(rig) == []
    rig.node.trigger_activate()
    rig.wait(lambda: rig.images.get_subscription_count())
    assert rig.image(2_000).targets == []


def test_the_list_says_lost_for_lost(rig: Rig) -> None:
    rig.activate()
    rig.image(1_000)
    init(rig)
    rig.trackers[0].state = TargetState.LOST
    rig.image(2_000)
    assert listed(rig) == [(1, Target.LOST)]
