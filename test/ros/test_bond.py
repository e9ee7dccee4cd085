"""The bond with Nav2's lifecycle manager, with a double for the package bondpy."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from lifecycle_msgs.msg import Transition

from siampolar_ros.runtime import bond
from support.node_rig import ACTIVE, ros_rig


class Bonds:
    """Stands for the module bondpy.bondpy, which has no wheel: keeps what was done with it."""

    def __init__(self) -> None:
        self.made: list[Bonds.One] = []

    class One:
        def __init__(self, topic: str, id: str) -> None:
            self.topic, self.id = topic, id
            self.calls: list[Any] = []

        def set_heartbeat_period(self, seconds: float) -> None:
            self.calls.append(("period", seconds))

        def set_heartbeat_timeout(self, seconds: float) -> None:
            self.calls.append(("timeout", seconds))

        def start(self) -> None:
            self.calls.append("start")

        def shutdown(self) -> None:
            self.calls.append("shutdown")

    def Bond(self, node: Any, topic: str, id: str) -> One:
        self.made.append(Bonds.One(topic, id))
        return self.made[-1]


@pytest.fixture
def bonds(monkeypatch: pytest.MonkeyPatch) -> Bonds:
    made = Bonds()
    monkeypatch.setattr(bond, "bondpy", made)
    return made


def parameter(name: str, value: Any) -> Any:
    from rclpy.parameter import Parameter

    return Parameter(name, value=value)


def test_a_managed_node_has_a_bond_from_activation_to_deactivation(
    bonds: Bonds, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [parameter("autostart", False)]
    with ros_rig(monkeypatch, parameter_overrides=overrides) as rig:
        rig.node.autostart()
        assert rig.change_state(Transition.TRANSITION_CONFIGURE) and not bonds.made
        assert rig.change_state(Transition.TRANSITION_ACTIVATE)
        (one,) = bonds.made
        assert (one.topic, one.id) == ("bond", "tracker")
        assert one.calls == [("period", 0.1), ("timeout", 4.0), "start"]
        assert rig.change_state(Transition.TRANSITION_DEACTIVATE)
        assert one.calls[-1] == "shutdown"
        assert rig.change_state(Transition.TRANSITION_ACTIVATE) and len(bonds.made) == 2
    assert [one.calls.count("shutdown") for one in bonds.made] == [1, 1]


def test_a_node_that_starts_itself_has_none(bonds: Bonds, monkeypatch: pytest.MonkeyPatch) -> None:
    with ros_rig(monkeypatch) as rig:
        rig.node.autostart()
        assert rig.state == ACTIVE and not bonds.made


def test_without_bondpy_a_managed_node_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bond, "bondpy", None)
    overrides = [parameter("autostart", False)]
    with ros_rig(monkeypatch, parameter_overrides=overrides) as rig:
        assert rig.change_state(Transition.TRANSITION_CONFIGURE)
        assert rig.change_state(Transition.TRANSITION_ACTIVATE)
        assert rig.state == ACTIVE
