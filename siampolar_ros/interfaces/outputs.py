"""The publishers of the tracker node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo

from siampolar_model.errors import FrameError
from siampolar_model.session.requests import InitResult
from siampolar_model.session.session import Targets

from .. import msg
from ..messages.camera_model import CameraError, CameraModel
from ..messages.conversions import message_from_answer
from ..parameters.settings import OutputSettings
from ..parameters.table import Value
from .lost_fade import LostFade
from .output import LATCHED, Output, Scene
from .standard_outputs import standard_outputs


class Outputs:
    """Publishers of the tracker node; usable from any thread, one at a time.

    Every message is made only while somebody listens, which is asked for each image: Humble has
    no event for a new subscriber.

    Args:
        settings: asked for each image.
        class_of: class id of a target, for ``~/detections``; empty: unknown.
        installed: outputs of other packages, by the name of their entry point. One that raises is
            reported and publishes nothing for that image; the tracker goes on.
        options: the values of their parameters, asked for each image.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], OutputSettings],
        class_of: Callable[[int], str] = lambda id: "",
        installed: Mapping[str, type[Output]] | None = None,
        options: Callable[[], Mapping[str, Value]] = dict,
    ) -> None:
        self._node = node
        self._settings = settings
        self._class_of = class_of
        self._options = options
        self._camera_info: CameraInfo | None = None
        self._camera: tuple[CameraInfo, bool, CameraModel] | None = None
        self._init_result = self._publisher(msg.InitResult, "~/init_result", LATCHED)
        self._fade = LostFade()
        self._own = self._published(standard_outputs())
        self._installed = self._published(self._made(installed or {}))

    def set_camera_info(self, info: CameraInfo) -> None:
        """The calibration that outputs use from now on."""
        self._camera_info = info

    def result(self, result: Targets) -> dict[str, float]:
        """Publish everything that somebody listens to; the seconds that each topic took."""
        settings = self._settings()
        camera = partial(self._camera_of, result, settings.image_is_rectified)
        drawn = self._fade.shown(result.targets)
        scene = Scene(result, settings, self._options(), self._class_of, camera, drawn)
        took_s = {}
        parts = ((self._own, self._publish), (self._installed, self._publish_foreign))
        for outputs, publish in parts:
            for output, publisher in outputs:
                began_s = time.perf_counter()
                publish(output, publisher, scene)
                took_s[output.topic] = time.perf_counter() - began_s
        return took_s

    def answer(self, answer: InitResult) -> None:
        self._init_result.publish(message_from_answer(answer))

    def close(self) -> None:
        """Publish the last messages, such as the deletion of markers, and end the publishers."""
        for output, publisher in (*self._own, *self._installed):
            try:
                last = output.last() if _heard(publisher) else None
                if last is not None:
                    publisher.publish(last)
            except Exception as error:
                self._report(f"no last message on {output.topic}: {error!r}")
            self._node.destroy_publisher(publisher)
        self._node.destroy_publisher(self._init_result)

    def _made(self, classes: Mapping[str, type[Output]]) -> Iterable[Output]:
        for name, cls in classes.items():
            try:
                yield cls()
            except Exception as error:
                self._report(f"output {name} cannot be made: {error!r}")

    def _published(self, outputs: Iterable[Output]) -> list[tuple[Output, Any]]:
        return [(one, self._publisher(one.type, one.topic, one.qos)) for one in outputs]

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile) -> Any:
        return self._node.create_publisher(kind, topic, qos)

    def _publish(self, output: Output, publisher: Any, scene: Scene) -> None:
        if not _heard(publisher) or (output.needs_camera and scene.camera is None):
            return
        try:
            message = output.make(scene)
        except FrameError as error:  # compressed and damaged, and no target is followed on it
            self._warn(f"nothing on {output.topic}: {error}")
            return
        if message is not None:
            publisher.publish(message)

    def _publish_foreign(self, output: Output, publisher: Any, scene: Scene) -> None:
        try:
            self._publish(output, publisher, scene)
        except Exception as error:  # whatever foreign code raises
            self._report(f"nothing on {output.topic}: {error!r}")

    def _camera_of(self, result: Targets, rectified: bool) -> CameraModel | None:
        """The camera of this image; None without a fitting camera_info, which is reported."""
        info = self._camera_info
        if info is None:
            return None
        made = self._camera
        if made is None or made[0] is not info or made[1] != rectified:
            try:
                made = self._camera = (info, rectified, CameraModel.from_info(info, rectified))
            except CameraError as error:
                self._warn(f"no polygon or markers: {error}")
                return None
        camera = made[2]
        if camera.size != result.image.size:
            theirs, ours = ("x".join(map(str, size)) for size in (camera.size, result.image.size))
            self._warn(
                f"no polygon or markers: camera_info is for {theirs} px, the image is {ours} px"
            )
            return None
        return camera

    # Each on a line of its own: rclpy throttles by the line that logs.
    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=10.0)

    def _report(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=10.0)


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count() > 0)
