"""A lifecycle node that no transition and no request for one can end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn

from .run import one_line

Transition = Callable[[Any, State], TransitionCallbackReturn]


def transition(method: Transition) -> Transition:
    """Log an exception of a transition in one line: rclpy swallows it."""

    @functools.wraps(method)
    def call(self: LifecycleNode, state: State) -> TransitionCallbackReturn:
        try:
            return method(self, state)
        except Exception as error:
            self.get_logger().error(f"{method.__name__} failed: {one_line(error)}")
            return TransitionCallbackReturn.ERROR

    return call


class SafeLifecycleNode(LifecycleNode):
    """Answers false to a request for a transition that its state does not allow.

    rclpy does so from Kilted on. Before, the exception leaves ``spin`` and no answer is sent
    (https://github.com/ros2/rclpy/pull/1319). That is why a name-mangled method is overridden.
    """

    def _LifecycleNodeMixin__on_change_state(self, request: Any, response: Any) -> Any:
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, response)
        except Exception as error:
            asked = request.transition.label or request.transition.id
            self.get_logger().error(f"transition {asked} refused: {one_line(error)}")
            response.success = False
            return response
