"""The tracker node's life cycle, in this process and with a tracker that can be told to fail."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from lifecycle_msgs.msg import Transition
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from siampolar_model.errors import EngineError
from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState
from siampolar_ros.interfaces.detection_starter import Start
from siampolar_ros.messages.detection import Detection
from siampolar_ros.msg import InitTarget, Target
from siampolar_ros.runtime.environment import dds_environment, local_environment
from siampolar_ros.runtime.run import StartError, run_node
from support.node_rig import ACTIVE, FINALIZED, INACTIVE, UNCONFIGURED, Rig, ros_rig


def test_an_engine_failure_is_published_and_the_node_can_be_used_again(rig: Rig) -> None:
    rig.start_target()
    assert rig.image(2_000).targets[0].state == Target.TRACKING
    rig.trackers[0].broken = True
    lost = rig.image(3_000)
    assert lost.header.stamp.nanosec == 3_000 and lost.header.frame_id == "camera"
    assert [(t.id, t.state, t.score) for t in lost.targets] == [(1, Target.LOST, 0.0)]
    rig.wait(lambda: rig.state == UNCONFIGURED)
    rig.activate()
    assert len(rig.trackers) == 2
    assert rig.image(4_000).targets == []
    # Whoever follows target 1 must not be shown another object.
    rig.inits.publish(InitTarget(x=5.0, y=5.0, width=20.0, height=20.0))
    rig.wait(lambda: [t.id for t in rig.targets[-1].targets] == [2])


def test_targets_outlive_a_deactivation(rig: Rig) -> None:
    rig.start_target()
    rig.node.trigger_deactivate()
    assert rig.state == INACTIVE
    rig.node.trigger_activate()
    rig.wait(lambda: rig.images.get_subscription_count())
    assert [t.id for t in rig.image(5_000).targets] == [1]
    rig.node.trigger_shutdown()
    assert rig.state == FINALIZED


@pytest.mark.parametrize("error", [EngineError("no such engine"), KeyError("a bug")])
def test_a_failed_configure_leaves_the_node_unconfigured(rig: Rig, error: Exception) -> None:
    rig.load_error = error
    rig.node.autostart()
    assert rig.state == UNCONFIGURED
    rig.load_error = None
    rig.activate()


@pytest.mark.parametrize(
    "transition",
    [
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_INACTIVE_SHUTDOWN,
        77,
    ],
)
def test_an_invalid_transition_is_answered_false_and_changes_nothing(
    rig: Rig, transition: int
) -> None:
    rig.activate()
    assert not rig.change_state(transition)
    assert rig.state == ACTIVE
    assert rig.image(1_000).targets == []


def test_a_transition_that_raises_is_answered_false(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As invalid ones do in rclpy before Kilted."""

    def raises(transition: int) -> None:
        raise RuntimeError("Transition is not registered.")

    rig.activate()
    with monkeypatch.context() as patch:
        patch.setattr(rig.node, "_LifecycleNodeMixin__change_state", raises)
        assert not rig.change_state(Transition.TRANSITION_CONFIGURE)
    assert rig.image(1_000).targets == []


def test_every_transition_can_be_asked_for(rig: Rig) -> None:
    for _ in range(2):
        assert rig.change_state(Transition.TRANSITION_CONFIGURE) and rig.state == INACTIVE
        assert rig.change_state(Transition.TRANSITION_ACTIVATE) and rig.state == ACTIVE
        rig.wait(lambda: rig.images.get_subscription_count())
        assert rig.image(1_000).targets == []
        assert rig.change_state(Transition.TRANSITION_DEACTIVATE) and rig.state == INACTIVE
        assert rig.change_state(Transition.TRANSITION_CLEANUP) and rig.state == UNCONFIGURED
    assert rig.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert rig.state == FINALIZED


@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_gc")
def test_cleanup_frees_the_tracker_and_what_belongs_to_it(rig: Rig) -> None:
    rig.start_target()
    tracker = weakref.ref(rig.trackers.pop())
    rig.node._starter.answered(Start(Detection(Box(5, 5, 25, 25), 1.0, "cup")), 1)
    rig.node.trigger_deactivate()
    rig.node.trigger_cleanup()
    rig.spin(0.2)  # the executor lets go of what it waited for
    assert tracker() is None
    assert rig.node._starter.class_of(1) == ""
    names = {
        name
        for name, _ in rig.node.get_service_names_and_types_by_node(
            "tracker", rig.node.get_namespace()
        )
    }
    assert not any(name.endswith(("/init", "/remove", "/reset", "/list")) for name in names)


def fail_once(rig: Rig, stamp_ns: int) -> None:
    """Let the next image fail, and wait until the node is unconfigured."""
    rig.trackers[-1].faults = 1
    lost = rig.image(stamp_ns)
    assert [t.state for t in lost.targets] == [Target.LOST] * len(lost.targets)
    rig.wait(lambda: rig.state == UNCONFIGURED)


@pytest.mark.usefixtures("without_gc")
def test_a_failure_frees_the_tracker(rig: Rig) -> None:
    rig.start_target()
    rig.load_error = EngineError("no device")
    fail_once(rig, 2_000)
    tracker = weakref.ref(rig.trackers.pop())
    rig.spin(0.2)
    assert tracker() is None


def test_the_node_recovers_from_failures_in_a_row(rig: Rig) -> None:
    rig.activate()
    for count in range(1, 11):
        rig.image(count)
        rig.inits.publish(InitTarget(id=7, x=5.0, y=5.0, width=20.0, height=20.0))
        rig.wait(lambda: rig.targets and rig.targets[-1].targets)
        fail_once(rig, 1_000 + count)
        rig.wait(lambda: rig.state == ACTIVE)
        assert len(rig.trackers) == 1 + count
        rig.wait(lambda: rig.images.get_subscription_count())
        rig.wait(lambda: rig.inits.get_subscription_count())
        rig.targets.clear()
    assert rig.image(5_000).targets == []


def test_recovery_waits_until_the_device_is_there_again(rig: Rig) -> None:
    rig.start_target()
    rig.load_error = EngineError("no device")
    fail_once(rig, 2_000)
    rig.spin(0.5)
    assert rig.state == UNCONFIGURED and len(rig.trackers) == 1
    rig.load_error = None
    rig.wait(lambda: rig.state == ACTIVE)


def test_recovery_leaves_a_node_alone_that_somebody_configured(rig: Rig) -> None:
    rig.start_target()
    fail_once(rig, 2_000)
    rig.node.trigger_configure()
    rig.spin(0.5)
    assert rig.state == INACTIVE and len(rig.trackers) == 2


def test_without_auto_recover_a_failed_node_stays_unconfigured(rig: Rig) -> None:
    rig.start_target()
    rig.node.set_parameters([Parameter("auto_recover", value=False)])
    fail_once(rig, 2_000)
    rig.spin(0.5)
    assert rig.state == UNCONFIGURED
    rig.node.set_parameters([Parameter("auto_recover", value=True)])
    rig.activate()


def test_states_are_logged_once(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    rig.start_target()
    for state in (TargetState.LOST, TargetState.TRACKING):
        rig.trackers[0].state = state
        for stamp_ns in range(3):
            rig.image((state * 100 + stamp_ns) * 10**6)
    said = capfd.readouterr().err
    assert said.count("target 1 started") == 1
    assert said.count("target 1 is lost") == 1 and said.count("target 1 was found again") == 1


def test_a_dropped_target_is_said_with_the_reason(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    rig.start_target()
    rig.node.set_parameters([Parameter("lost_timeout_s", value=0.5)])
    rig.trackers[0].state = TargetState.LOST
    rig.image(10**9)
    assert [t.state for t in rig.image(10**9 + 1).targets] == [Target.LOST]
    assert rig.image(2 * 10**9).targets == []
    assert capfd.readouterr().err.count("target 1 dropped: lost for 0.5 s") == 1


def test_simulated_time_that_jumps_disturbs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = Parameter("use_sim_time", value=True)
    with ros_rig(monkeypatch, parameter_overrides=[simulated]) as rig:
        clock = rig.test.create_publisher(Clock, "/clock", QoSProfile(depth=1))
        rig.start_target()
        rig.wait(lambda: clock.get_subscription_count())
        for second in (10_000, 10_001, 6_401, 6_402, 10_002, 10_003):  # -1 h, +1 h
            now = Clock()
            now.clock.sec = second
            clock.publish(now)
            rig.spin(0.1)
            result = rig.image(second * 10**9)
            assert [t.state for t in result.targets] == [Target.TRACKING]
        # What waits for time does not wait for simulated time.
        fail_once(rig, 10_004 * 10**9)
        rig.wait(lambda: rig.state == ACTIVE)


def test_an_exception_in_a_callback_does_not_end_the_node(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    done = threading.Event()
    calls = []

    def make() -> Node:
        node = Node("fragile")

        def tick() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise KeyError("first\ncall")
            done.set()

        node.create_timer(0.02, tick)
        return node

    closed = []
    assert run_node("fragile", make, closed.append, done, args=[]) == 0
    assert len(calls) == 2 and len(closed) == 1
    assert "in a callback: KeyError: 'first\\ncall'" in capfd.readouterr().err


def test_a_node_that_cannot_start_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)

    def make() -> Node:
        raise StartError("give exactly one of them")

    assert run_node("broken", make, lambda node: None, args=[]) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].endswith("[broken]: give exactly one of them")
