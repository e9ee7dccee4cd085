"""The node ``tracker``: a lifecycle around one session (see docs/parameters.md and README.md).

Subscribes to ``image`` (sensor_msgs/Image), ``~/init_target`` (siampolar_ros/InitTarget) and
``~/init_roi`` (sensor_msgs/RegionOfInterest: a new target on the newest image). Publishes
``~/targets`` (siampolar_ros/Targets) for every processed image, ``~/init_result``
(siampolar_ros/InitResult) for every request, and ``~/overlay`` (sensor_msgs/Image, bgr8) while
somebody listens.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, RegionOfInterest

from siampolar_model.engines.base import EngineError
from siampolar_model.frames import FrameError
from siampolar_model.session import InitAnswer, InitRequest, Session
from siampolar_model.tracker import Tracker
from siampolar_ros.msg import InitTarget

from . import parameters
from .conversions import image_from_message, request_from_roi, request_from_target
from .image_input import ImageInput
from .outputs import Outputs
from .parameter_table import ParameterError, Parameters
from .parameters import Settings
from .run import one_line, run_node

Transition = Callable[[Any, State], TransitionCallbackReturn]


def load_tracker(settings: Settings) -> Tracker:
    """The tracker that these settings ask for.

    Raises:
        EngineError: unknown model, missing or altered weights, unusable engine.
    """
    return Tracker.from_pretrained(
        settings.model,
        engine=settings.engine,
        settings=settings.tracker,
        num_threads=settings.num_threads,
    )


def _transition(method: Transition) -> Transition:
    """Log an exception of a transition in one line: rclpy swallows it."""

    @functools.wraps(method)
    def call(self: TrackerNode, state: State) -> TransitionCallbackReturn:
        try:
            return method(self, state)
        except Exception as error:
            self.get_logger().error(f"{method.__name__} failed: {one_line(error)}")
            return TransitionCallbackReturn.ERROR

    return call


class TrackerNode(LifecycleNode):
    """Configured it holds a loaded network, active it follows targets.

    Args:
        load: makes the tracker on configure.
    """

    def __init__(self, load: Callable[[Settings], Any] = load_tracker, **node: Any) -> None:
        super().__init__("tracker", **node)
        self._load = load
        self._session: Session | None = None
        self._outputs: Outputs | None = None
        self._images: ImageInput | None = None
        self._inits: list[Any] = []
        self._params = Parameters(
            self,
            parameters.TRACKER,
            validate=Settings.of,
            on_change=self._on_parameters,
            is_unconfigured=lambda: self._session is None,
        )
        # The worker reports a failure from its own thread; transitions belong to the executor's.
        self._failed = self.create_guard_condition(self._on_failed)

    def autostart(self) -> None:
        """Configure and activate, unless the parameter says no."""
        try:
            if not self._settings().autostart:
                return
        except ParameterError:
            pass  # configure says what is wrong
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        else:
            self.get_logger().info(
                "not started; correct the parameters, then: "
                f"ros2 lifecycle set {self.get_fully_qualified_name()} configure, then activate"
            )

    def close(self) -> None:
        """Stop working and free everything, in whatever state."""
        self._stop()
        self._free()

    # ---- transitions -----------------------------------------------------------------------

    @_transition
    def on_configure(self, state: State) -> TransitionCallbackReturn:
        try:
            settings = self._settings()
            tracker = self._load(settings)
        except (EngineError, ParameterError) as error:
            self.get_logger().error(f"cannot be configured: {one_line(error)}")
            return TransitionCallbackReturn.FAILURE
        self._outputs = Outputs(self)
        self._session = Session(
            tracker,
            settings.session,
            on_result=self._outputs.result,
            on_failure=self._on_failure,
            on_notice=lambda text: self.get_logger().warning(text),
        )
        self.get_logger().info(f"{tracker.spec.name} runs on {tracker.engine.name}")
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_activate(self, state: State) -> TransitionCallbackReturn:
        assert self._session is not None
        self._session.start()
        qos = QoSProfile(depth=10)
        self._inits = [
            self.create_subscription(InitTarget, "~/init_target", self._on_init_target, qos),
            self.create_subscription(RegionOfInterest, "~/init_roi", self._on_init_roi, qos),
        ]
        self._images = ImageInput(
            self,
            "image",
            wanted=lambda: self._settings().image_reliability,
            on_image=self._on_image,
            on_lost=self._session.count_lost,
        )
        self.get_logger().info(f"active: images from {self._images.topic}")
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        self._stop()
        # There is no transition from active to error processing; this is the way round.
        if self._session is not None and self._session.failure is not None:
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        self.close()
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_error(self, state: State) -> TransitionCallbackReturn:
        self.close()
        self.get_logger().error("the network was freed; the node is unconfigured")
        return TransitionCallbackReturn.SUCCESS

    # ---- callbacks -------------------------------------------------------------------------

    def _on_image(self, message: Image) -> None:
        if self._images is None or self._session is None:
            return  # taken by the executor before the subscription ended
        try:
            image = image_from_message(message)
        except FrameError as error:
            self.get_logger().error(f"image refused: {error}", throttle_duration_sec=1.0)
            return
        self._session.add_image(image)

    def _on_init_target(self, message: InitTarget) -> None:
        self._init(request_from_target(message))

    def _on_init_roi(self, message: RegionOfInterest) -> None:
        self._init(request_from_roi(message))

    def _init(self, request: InitRequest) -> None:
        if self._images is None or self._session is None:  # likewise
            self._on_answer(InitAnswer(False, request.id, "the tracker is not active"))
        else:
            self._session.init(request, self._on_answer)

    def _on_answer(self, answer: InitAnswer) -> None:
        if answer.success:
            self.get_logger().info(f"target {answer.id} started")
        else:
            self.get_logger().error(f"init refused: {answer.message}")
        if self._outputs is not None:
            self._outputs.answer(answer)

    def _on_parameters(self) -> None:
        if self._session is None:
            return
        settings = self._settings()
        self._session.set_tracker_settings(settings.tracker)
        self._session.set_settings(settings.session)

    def _on_failure(self, error: Exception) -> None:
        """In the worker's thread, after all targets were published as lost."""
        self.get_logger().error(f"the tracker failed, all targets are lost: {one_line(error)}")
        self._failed.trigger()

    def _on_failed(self) -> None:
        if self._images is not None:
            self.trigger_deactivate()

    # ---- helpers ---------------------------------------------------------------------------

    def _settings(self) -> Settings:
        return Settings.of(self._params.values())

    def _stop(self) -> None:
        """Take no more input and end the worker; targets stay."""
        if self._images is not None:
            self._images.close()
            self._images = None
        for subscription in self._inits:
            self.destroy_subscription(subscription)
        self._inits = []
        if self._session is not None and self._session.running:
            self._session.stop()
            counted = self._session.counters
            self.get_logger().info(
                f"stopped: received {counted.received}, processed {counted.processed}, "
                f"skipped {counted.skipped}, lost {counted.lost} images"
            )

    def _free(self) -> None:
        """Drop the network and the publishers."""
        self._session = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None


def main(args: Sequence[str] | None = None) -> int:
    def make() -> TrackerNode:
        node = TrackerNode()
        node.autostart()
        return node

    return run_node("tracker", make, TrackerNode.close, args=args)


if __name__ == "__main__":
    sys.exit(main())
