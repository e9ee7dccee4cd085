"""The node ``tracker``: a lifecycle around one session (see docs/nodes.md and README.md).

What comes in: image_input.py, camera_info_input.py, detection_input.py and target_requests.py.
What goes out: outputs.py and diagnostics.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import State, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo

from siampolar_model.engines.base import BUILT_BY_CALLER
from siampolar_model.errors import EngineError, EngineMissing, ProcessUnusable, SiampolarError
from siampolar_model.session.requests import TargetIds
from siampolar_model.session.session import Session, Targets
from siampolar_model.tracking.tracker import Tracker

from ..health.tracker_health import Snapshot, TrackerHealth
from ..interfaces.camera_info_input import CameraInfoInput
from ..interfaces.detection_input import DetectionInput
from ..interfaces.detection_starter import DetectionStarter
from ..interfaces.diagnostics import Diagnostics
from ..interfaces.image_input import ImageInput
from ..interfaces.installed_outputs import installed_outputs
from ..interfaces.outputs import Outputs
from ..interfaces.state_log import log_changes
from ..interfaces.target_requests import TargetRequests
from ..parameters import interfaces
from ..parameters.nodes import Settings
from ..parameters.table import GIVEN, ParameterError, Parameters
from ..runtime.bond import LifecycleBond
from ..runtime.engine_builder import EngineBuilder
from ..runtime.lifecycle import SafeLifecycleNode, transition
from ..runtime.recovery import DELAYS_S, Recovery
from ..runtime.run import GivenUp, one_line, run_node


def load_tracker(settings: Settings) -> Tracker:
    """The tracker that these settings ask for.

    Raises:
        EngineError: unknown model, missing or altered weights, unusable engine.
        EngineMissing: a TensorRT engine that has to be built first, which takes too long for here.
    """
    return Tracker.from_pretrained(
        settings.model,
        engine=settings.engine,
        settings=settings.tracker,
        precision=settings.precision,
        num_threads=settings.num_threads,
        build_engine="never" if settings.build_engine == "never" else BUILT_BY_CALLER,
        engine_path=settings.engine_path,
        provider=settings.provider,
    )


class TrackerNode(SafeLifecycleNode):
    """While configured it holds a loaded network; while active it follows targets.

    Args:
        load: makes the tracker on configure.
        recovery_delays_s: seconds before a failed node is configured again.
    """

    def __init__(
        self,
        load: Callable[[Settings], Any] = load_tracker,
        recovery_delays_s: Sequence[float] = DELAYS_S,
        **node: Any,
    ) -> None:
        super().__init__("tracker", **GIVEN, **node)
        self._load = load
        self._session: Session | None = None
        self._outputs: Outputs | None = None
        self._images: ImageInput | None = None
        self._other_inputs: list[CameraInfoInput | DetectionInput] = []
        self._requests: TargetRequests | None = None
        self._extra_outputs = installed_outputs(
            [row.name for row in interfaces.TRACKER], on_problem=self.get_logger().error
        )
        options = [row for one in self._extra_outputs.values() for row in one.parameters]
        self._params = Parameters(
            self,
            Settings,
            on_change=self._on_parameters,
            is_unconfigured=lambda: self._session is None,
            extra=options,
        )
        # The worker reports a failure from its own thread; transitions belong to the executor's.
        self._failed = self.create_guard_condition(self._on_failed)
        self._recovery = Recovery(self, self._recover, recovery_delays_s)
        self._builder = EngineBuilder(self, on_built=self._on_built)
        self._bond = LifecycleBond(self)
        self._starter = DetectionStarter()
        self._target_ids = TargetIds()
        self._health = TrackerHealth()
        self._engine = self._problem = ""
        self._unusable = False  # see ProcessUnusable
        self._diagnostics = Diagnostics(self, lambda: self._images, self._snapshot, self._health)

    def autostart(self) -> None:
        """Configure and activate, unless the parameter ``autostart`` is false."""
        try:
            if not self._settings().autostart:
                return
        except ParameterError:
            pass  # configure reports what is wrong
        if not self._start() and not self._builder.running:
            self.get_logger().info(
                "not started; correct the parameters, then: "
                f"ros2 lifecycle set {self.get_fully_qualified_name()} configure, then activate"
            )

    def close(self) -> None:
        """Stop working and free everything, in any state."""
        self._builder.cancel()
        self._stop()
        self._free()

    # ---- transitions -----------------------------------------------------------------------

    @transition
    def on_configure(self, state: State) -> TransitionCallbackReturn:
        self._recovery.cancel()
        try:
            settings = self._settings()
            if self._builder.running:
                raise EngineError("the TensorRT engine is still being built")
            try:
                tracker = self._load(settings)
            except EngineMissing as error:
                if settings.build_engine != "if_missing":
                    raise
                self._builder.start(settings.model, settings.precision)
                self._problem = one_line(error)
                return TransitionCallbackReturn.FAILURE
        except (SiampolarError, ProcessUnusable) as error:
            self._unusable = isinstance(error, ProcessUnusable)
            self._problem = f"cannot be configured: {one_line(error)}"
            self.get_logger().error(self._problem)
            return TransitionCallbackReturn.FAILURE
        self._outputs = Outputs(
            self,
            lambda: self._settings().outputs,
            self._starter.class_of,
            self._extra_outputs,
            self._params.extra,
        )
        self._session = Session(
            tracker,
            settings.session,
            on_result=self._on_result,
            on_failure=self._on_failure,
            on_notice=lambda text: self.get_logger().warning(text),
            target_ids=self._target_ids,
        )
        self._requests = TargetRequests(self, self._session, self._outputs)
        self._engine, self._problem = tracker.engine.choice, ""
        self.get_logger().info(self._engine)
        return TransitionCallbackReturn.SUCCESS

    @transition
    def on_activate(self, state: State) -> TransitionCallbackReturn:
        assert self._session is not None and self._requests is not None
        self._session.start()
        self._requests.open()
        self._images = ImageInput(
            self,
            settings=lambda: self._settings().images,
            on_image=self._session.add_image,
            on_lost=self._session.count_lost,
        )
        self._other_inputs = [
            CameraInfoInput(self, self._images.base, self._on_camera_info),
            DetectionInput(
                self,
                self._session,
                self._starter,
                settings=lambda: self._settings().detections,
                init=self._requests.init,
            ),
        ]
        if not self._settings().autostart:
            self._bond.form()
        self.get_logger().info(f"active: images from {self._images.topic}")
        return TransitionCallbackReturn.SUCCESS

    @transition
    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        self._stop()
        # No transition leads from active to error processing, so this one has to.
        if self._session is not None and self._session.failure is not None:
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    @transition
    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @transition
    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        self._recovery.cancel()
        self.close()
        return TransitionCallbackReturn.SUCCESS

    @transition
    def on_error(self, state: State) -> TransitionCallbackReturn:
        self.close()
        self.get_logger().error("the network was freed; the node is unconfigured")
        return TransitionCallbackReturn.SUCCESS

    # ---- callbacks -------------------------------------------------------------------------

    def _on_camera_info(self, info: CameraInfo) -> None:
        if self._images is None or self._outputs is None:
            return  # taken by the executor before the subscription ended
        self._images.health.announced()
        self._outputs.set_camera_info(info)

    def _on_parameters(self) -> None:
        if self._session is None:
            return
        settings = self._settings()
        self._session.set_tracker_settings(settings.tracker)
        self._session.set_settings(settings.session)

    def _on_result(self, result: Targets) -> None:
        """Called in the worker's thread."""
        log_changes(self.get_logger(), result.changes)
        self._starter.on_result(result.targets)
        took_s = self._outputs.result(result) if self._outputs is not None else {}
        self._health.result(result, took_s)

    def _on_failure(self, error: Exception) -> None:
        """Called in the worker's thread, after all targets were published as lost."""
        self._unusable = isinstance(error, ProcessUnusable)
        self._problem = f"the tracker failed, all targets are lost: {one_line(error)}"
        self.get_logger().error(self._problem)
        self._failed.trigger()

    def _on_built(self) -> None:
        if self._settings().autostart:
            self._start()
        else:
            self.trigger_configure()

    def _on_failed(self) -> None:
        if self._images is None:
            return  # deactivated by somebody else in the meantime
        self.trigger_deactivate()
        if self._settings().auto_recover:
            self._end_if_unusable()
            self._recovery.failed()

    def _recover(self) -> bool:
        """Whether no more attempt is needed: the parameter may be off, or an engine being built."""
        if not self._settings().auto_recover or self._start() or self._builder.running:
            return True
        self._end_if_unusable()
        return False

    def _end_if_unusable(self) -> None:
        if self._unusable:
            raise GivenUp(
                f"{self._problem}; the process ends, so that it can be started again (auto_recover)"
            )

    # ---- helpers ---------------------------------------------------------------------------

    def _start(self) -> bool:
        """Configure and activate; whether both succeeded."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def _settings(self) -> Settings:
        return self._params.settings()

    def _snapshot(self) -> Snapshot:
        session = self._session
        if session is None:
            return Snapshot("unconfigured", self._problem)
        state = "inactive" if self._images is None else "active"
        return Snapshot(state, self._problem, self._engine, session.counters, session.targets)

    def _stop(self) -> None:
        """Take no more input and end the worker; targets stay."""
        self._bond.end()
        others, self._other_inputs = self._other_inputs, []
        for one in others:
            one.close()
        if self._images is not None:
            self._images.close()
            self._images = None
        if self._requests is not None:
            self._requests.close()
        if self._session is not None and self._session.running:
            self._session.stop()
            counted = self._session.counters
            self.get_logger().info(
                f"stopped: received {counted.received}, processed {counted.processed}, "
                f"skipped {counted.skipped}, lost {counted.lost} images"
            )

    def _free(self) -> None:
        """Drop the network, the services and the publishers."""
        if self._session is not None:
            self._session.close()
            self._session = None
            self._starter = DetectionStarter()  # what it knows belongs to targets that are gone
        if self._requests is not None:
            self._requests.destroy()
            self._requests = None
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
