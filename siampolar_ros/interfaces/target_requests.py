"""Requests to the tracker node: start, remove and list targets, by topic and by service."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import RegionOfInterest
from std_srvs.srv import Trigger

from siampolar_model.errors import BoxError
from siampolar_model.io.messages import request_from_message
from siampolar_model.session.requests import InitCallback, InitRequest, InitResult
from siampolar_model.session.session import Session

from .. import msg
from ..messages.conversions import message_from_target, request_from_roi
from ..srv import Init, List, Remove
from .outputs import Outputs

_QOS = QoSProfile(depth=10)


class TargetRequests:
    """Hands requests to the session and its answers back.

    Topics: ``~/init_target`` (siampolar_ros/InitTarget) and ``~/init_roi``
    (sensor_msgs/RegionOfInterest: a new target on the newest image). Services: ``~/init``,
    ``~/remove``, ``~/list`` (siampolar_ros) and ``~/reset`` (std_srvs/Trigger). All of them are
    there until :meth:`destroy`; inits are refused except from :meth:`open` to :meth:`close`.
    """

    def __init__(self, node: Node, session: Session, outputs: Outputs) -> None:
        self._node = node
        self._session = session
        self._outputs = outputs
        self._is_open = False
        subscribe, serve = node.create_subscription, node.create_service
        self._subscriptions = [
            subscribe(msg.InitTarget, "~/init_target", self._on_init_target, _QOS),
            subscribe(RegionOfInterest, "~/init_roi", self._on_init_roi, _QOS),
        ]
        # An init may wait for its image, so images must be handled in the meantime.
        patient = ReentrantCallbackGroup()
        self._services = [
            serve(Init, "~/init", self._on_init, callback_group=patient),
            serve(Remove, "~/remove", self._on_remove),
            serve(Trigger, "~/reset", self._on_reset),
            serve(List, "~/list", self._on_list),
        ]

    def open(self) -> None:
        """Accept inits."""
        self._is_open = True

    def close(self) -> None:
        """Refuse inits: the tracker is not active."""
        self._is_open = False

    def destroy(self) -> None:
        """End the subscriptions and services."""
        self.close()
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)
        services, self._services = self._services, []
        for service in services:
            self._node.destroy_service(service)

    def init(self, request: InitRequest, answer: InitCallback = lambda answer: None) -> None:
        """Ask for a target; the result is logged, published and given to ``answer``."""

        if self._is_open:
            self._session.init(replace(request, wait=True), partial(self._tell, answer=answer))
        else:
            self._tell(InitResult(False, request.id, "the tracker is not active"), answer)

    def _tell(self, outcome: InitResult, answer: InitCallback) -> None:
        self._log(outcome)
        self._outputs.answer(outcome)
        answer(outcome)

    def _log(self, outcome: InitResult) -> None:
        log = self._node.get_logger()
        if outcome.success:
            log.info(outcome.message or f"target {outcome.id} started")
        else:
            # A typo of an operator: errors are for failures of the node itself.
            log.warning(f"init refused: {outcome.message}")

    def _init(self, message: msg.InitTarget, answer: InitCallback = lambda answer: None) -> None:
        try:
            request = request_from_message(message)
        except BoxError as error:
            self._tell(InitResult(False, message.id, str(error)), answer)
        else:
            self.init(request, answer)

    def _on_init_target(self, message: msg.InitTarget) -> None:
        self._init(message)

    def _on_init_roi(self, message: RegionOfInterest) -> None:
        self.init(request_from_roi(message))

    async def _on_init(self, request: Any, response: Any) -> Any:
        decided = Future()
        self._init(request.target, decided.set_result)
        outcome = await decided
        response.success, response.id = outcome.success, outcome.id
        response.message = outcome.message
        return response

    def _on_remove(self, request: Any, response: Any) -> Any:
        response.success = self._session.remove(request.id)
        if response.success:
            self._node.get_logger().info(f"target {request.id} removed")
        else:
            known = ", ".join(map(str, self._session.ids)) or "none"
            response.message = f"there is no target {request.id}; followed: {known}"
        return response

    def _on_reset(self, request: Any, response: Any) -> Any:
        count = self._session.reset()
        response.success = True
        response.message = f"{count} target{'' if count == 1 else 's'} removed"
        self._node.get_logger().info(response.message)
        return response

    def _on_list(self, request: Any, response: Any) -> Any:
        response.targets = [message_from_target(result) for result in self._session.targets]
        return response
