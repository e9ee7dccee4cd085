"""The node ``select_target``: shows the stream in a window; drag a box to start a target.

Subscribes to ``image`` (remap it to the tracker's ``~/overlay`` to see the outlines as well: the
overlay carries the header of its image) and ``tracker/init_result``, publishes a stamped
``tracker/init_target``. The picture stands still while the button is down. Esc or q ends the node.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile

from siampolar_model.errors import FrameError, SiampolarError
from siampolar_model.session.history import StampedImage

from ..interfaces.image_input import ImageInput
from ..msg import InitResult, InitTarget
from ..parameters.settings import ImageSettings
from ..parameters.table import GIVEN, Parameters
from ..runtime.run import StartError, run_node
from ..runtime.timers import steady_timer
from .box_drag import Drag

_WINDOW = "select_target: drag a box; Esc ends"
_REFRESH_S = 1 / 30


def open_window(environment: Mapping[str, str] = os.environ) -> None:
    """Open the window.

    Raises:
        StartError: no display, or an OpenCV without windows.
    """
    # Without this check some builds of OpenCV end the process instead of raising.
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        raise StartError(
            "no display: neither DISPLAY nor WAYLAND_DISPLAY is set; run this on a desktop, or "
            "publish the box to tracker/init_roi instead"
        )
    try:
        cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    except cv2.error:
        raise StartError(
            f"OpenCV {cv2.__version__} was built without windows; install python3-opencv (apt) "
            "or opencv-python (pip) instead of opencv-python-headless"
        ) from None


class SelectTargetNode(Node):
    """Draws and reads the mouse in the executor's thread; ``done`` is set when the user ends."""

    def __init__(self, done: threading.Event) -> None:
        super().__init__("select_target", **GIVEN)
        self._done = done
        self._newest: StampedImage | None = None
        self._drag: Drag[StampedImage] | None = None
        self._status = "waiting for images"
        # The same as those of the tracker, on whose images it draws.
        params = Parameters(self, ImageSettings)
        try:
            params.settings()
            open_window()
        except SiampolarError as error:
            self.destroy_node()
            raise StartError(str(error)) from None
        cv2.setMouseCallback(_WINDOW, self._on_mouse)
        self._publisher = self.create_publisher(
            InitTarget, "tracker/init_target", QoSProfile(depth=10)
        )
        self.create_subscription(
            InitResult, "tracker/init_result", self._on_answer, QoSProfile(depth=10)
        )
        self._images = ImageInput(self, params.settings, self._on_image)
        steady_timer(self, _REFRESH_S, self._refresh)

    def close(self) -> None:
        self._images.close()
        cv2.destroyAllWindows()

    def _on_image(self, image: StampedImage) -> None:
        self._newest = image

    def _on_answer(self, message: InitResult) -> None:
        self._status = f"target {message.id} started" if message.success else message.message

    def _on_mouse(self, event: int, x: int, y: int, *_: Any) -> None:
        if event == cv2.EVENT_LBUTTONDOWN and self._newest is not None:
            self._drag = Drag.press(self._newest, x, y)
        elif self._drag is not None and event == cv2.EVENT_MOUSEMOVE:
            self._drag = self._drag.move(x, y)
        elif self._drag is not None and event == cv2.EVENT_LBUTTONUP:
            drag, self._drag = self._drag.move(x, y), None
            self._send(drag)

    def _send(self, drag: Drag[StampedImage]) -> None:
        if drag.box is None:
            return
        x, y, width, height = drag.box.as_xywh()
        request = InitTarget(header=drag.image.header, x=x, y=y, width=width, height=height)
        request.image_width, request.image_height = drag.image.size
        self._publisher.publish(request)
        self._status = f"asked for {drag.box}"
        if self._publisher.get_subscription_count() == 0:
            self._status = f"nobody listens on {self._publisher.topic_name}"

    def _refresh(self) -> None:
        shown = self._drag.image if self._drag is not None else self._newest
        if shown is not None:
            try:
                cv2.imshow(_WINDOW, self._picture(shown))
            except FrameError as error:  # a compressed image that is damaged
                self.get_logger().error(f"image refused: {error}", throttle_duration_sec=1.0)
        key = cv2.waitKey(1) & 0xFF
        closed = cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1
        if key in (27, ord("q")) or closed:
            self._done.set()

    def _picture(self, shown: StampedImage) -> np.ndarray:
        picture = shown.frame.to_bgr()
        if self._drag is not None:
            corners = [tuple(map(round, xy)) for xy in (self._drag.start_xy, self._drag.end_xy)]
            cv2.rectangle(picture, corners[0], corners[1], (0, 255, 255), 2)
        scale = max(0.5, picture.shape[1] / 1600)
        at = (10, picture.shape[0] - 12)
        for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(picture, self._status, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width)
        return picture


def main(args: Sequence[str] | None = None) -> int:
    done = threading.Event()
    return run_node(
        "select_target", lambda: SelectTargetNode(done), SelectTargetNode.close, done, args
    )


if __name__ == "__main__":
    sys.exit(main())
