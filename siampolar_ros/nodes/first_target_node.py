"""Starts a target on the first image of a paused video, then lets the video continue.

Run as a module, it is a node that does just that, for launch files.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from siampolar_model.errors import SiampolarError
from siampolar_model.geometry.box import Box, parse_box

from ..messages.conversions import stamp_from_ns, stamp_to_ns
from ..messages.serialized_image import read_stamp
from ..msg import InitResult, InitTarget
from ..parameters.nodes import FirstTargetSettings
from ..parameters.table import GIVEN, Parameters
from ..runtime.run import GivenUp, StartError, run_node

#: Seconds after which a request is repeated.
_REPEAT_S = 0.5


class FirstTarget:
    """Asks for a target on the first image reported to it, until its start is confirmed.

    Nodes that have just started may miss each other's messages, so the request is repeated. Because
    it names its id, a repeated one starts the same target again, on the same image.

    Args:
        box: in pixels of that image.
        image_size: width and height the box was drawn on; None: unknown.
    """

    ID = 1

    def __init__(self, node: Node, box: Box, image_size: tuple[int, int] | None) -> None:
        self._box = box
        self._image_size = image_size
        self._stamp_ns: int | None = None
        self._confirmed = False
        self.went_on: Any = None
        qos = QoSProfile(depth=10)
        self._publisher = node.create_publisher(InitTarget, "tracker/init_target", qos)
        self._video = node.create_client(SetParameters, "video_publisher/set_parameters")
        node.create_timer(_REPEAT_S, self._ask)

    def on_image(self, stamp_ns: int) -> None:
        if self._stamp_ns is None:
            self._stamp_ns = stamp_ns
            self._ask()

    def confirm(self) -> None:
        """The target exists: stop asking and let the video continue."""
        if not self._confirmed:
            self._confirmed = True
            paused = Parameter("paused", Parameter.Type.BOOL, False)
            request = SetParameters.Request(parameters=[paused.to_parameter_msg()])
            self.went_on = self._video.call_async(request)

    def _ask(self) -> None:
        if self._confirmed or self._stamp_ns is None:
            return
        x, y, width, height = self._box.as_xywh()
        request = InitTarget(id=self.ID, x=x, y=y, width=width, height=height)
        request.header.stamp = stamp_from_ns(self._stamp_ns)
        if self._image_size is not None:
            request.image_width, request.image_height = self._image_size
        self._publisher.publish(request)


class FirstTargetNode(Node):
    """The node ``first_target``: parameter ``box``; ends with the tracker's answer, a refusal with
    status 1 while the video stands still.
    """

    def __init__(self, done: threading.Event) -> None:
        super().__init__("first_target", **GIVEN)
        self._done = done
        try:
            box = parse_box(Parameters(self, FirstTargetSettings).settings().box)
        except SiampolarError as error:
            self.destroy_node()
            raise StartError(str(error)) from None
        self._first = FirstTarget(self, box, None)
        qos = QoSProfile(depth=10)
        self.create_subscription(Image, "image", self._on_image, qos, raw=True)
        self.create_subscription(InitResult, "tracker/init_result", self._on_answer, qos)

    def close(self) -> None:
        """There is nothing to close."""

    def _on_image(self, data: bytes) -> None:
        self._first.on_image(stamp_to_ns(read_stamp(data)))

    def _on_answer(self, message: InitResult) -> None:
        if not message.success and self._first.went_on is None:
            raise GivenUp(f"the target could not be started: {message.message}")
        self._first.confirm()
        self._first.went_on.add_done_callback(lambda future: self._done.set())


def main(args: Sequence[str] | None = None) -> int:
    done = threading.Event()
    return run_node(
        "first_target", lambda: FirstTargetNode(done), FirstTargetNode.close, done, args
    )


if __name__ == "__main__":
    sys.exit(main())
