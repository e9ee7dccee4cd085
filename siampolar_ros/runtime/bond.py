"""The bond by which Nav2's lifecycle manager notices that this node has died."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

try:
    from bondpy import bondpy
except ImportError:  # the package bondpy is not installed
    bondpy = None

#: As in Nav2's own nodes: the topic, seconds between two signs of life, and seconds without one
#: after which the other side is taken for dead.
_TOPIC, _PERIOD_S, _TIMEOUT_S = "bond", 0.1, 4.0


class LifecycleBond:
    """Exists while the node is active and somebody else manages its life cycle.

    Nothing happens without the package bondpy; then set the manager's ``bond_timeout`` to 0.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Show signs of life from now on."""
        if bondpy is None or self._bond is not None:
            return
        # Both sides name the bond after the managed node.
        self._bond = bondpy.Bond(self._node, _TOPIC, self._node.get_name())
        self._bond.set_heartbeat_period(_PERIOD_S)
        self._bond.set_heartbeat_timeout(_TIMEOUT_S)
        self._bond.start()

    def end(self) -> None:
        """Tell the manager that this is no crash."""
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.shutdown()
