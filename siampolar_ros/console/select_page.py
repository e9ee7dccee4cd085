"""Boxes drawn on one image in the console's page, for ``siampolar track --select``; no ROS."""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from siampolar_model.images.frame import Frame
from siampolar_model.results import TargetState
from siampolar_model.session.history import StampedImage

from ..parameters.nodes import ConsoleSettings
from .access import Access
from .camera_feed import CameraFeed, TargetList
from .protocol import Answer, Remove, Start
from .server import ConsoleServer

_CAMERA = "first frame"

#: Seconds after which the image is sent again, for a page that was opened just now.
_REPEAT_S = 0.5


class StillImage:
    """Stands for the robot behind the page: one image, and the boxes that were drawn on it."""

    def __init__(self, image: np.ndarray) -> None:
        self._frame = Frame.from_bgr(image)
        self._feed = CameraFeed()
        self._lock = threading.Lock()
        self._boxes: dict[int, tuple[float, ...]] = {}
        self._stamp_ns = 0

    @property
    def boxes(self) -> list[tuple[float, ...]]:
        """x, y, width and height of all boxes, in pixels."""
        with self._lock:
            return list(self._boxes.values())

    def show(self) -> None:
        """Send the image with its boxes."""
        with self._lock:
            self._stamp_ns += 1
            stamp_ns = self._stamp_ns
            drawn = tuple(_drawn(id, box) for id, box in self._boxes.items())
        size = self._frame.width, self._frame.height
        self._feed.add_targets(TargetList(stamp_ns, size, drawn), latency_s=0.0)
        self._feed.add_image(StampedImage(stamp_ns, self._frame, None))

    def cameras(self) -> Mapping[str, CameraFeed]:
        return {_CAMERA: self._feed}

    def watch(self, cameras: frozenset[str]) -> None:
        """There is nothing to subscribe to."""

    def ask(self, command: Start | Remove, on_answer: Callable[[Answer], None]) -> None:
        """Keep a box, or drop it (all: id 0)."""
        with self._lock:
            if isinstance(command, Start):
                id = command.id or max(self._boxes, default=0) + 1
                self._boxes[id] = tuple(command.values)
            else:
                id = command.id
                for one in [id] if id else list(self._boxes):
                    self._boxes.pop(one, None)
        self.show()
        on_answer(Answer(True, id, ""))

    def shapes(self) -> tuple[str, ...]:
        return ("box",)

    def warn(self, text: str) -> None:
        print(text, file=sys.stderr)


def select_in_browser(
    image: np.ndarray, wait: Callable[[], object] = input
) -> Sequence[Sequence[float]]:
    """Serve the page on this machine until the user presses Enter in the terminal.

    Args:
        image: uint8 (H, W, 3) BGR.
        wait: returns when all boxes are drawn.

    Returns:
        x, y, width and height of each box, in pixels of the image.
    """
    still = StillImage(image)
    # A token, as every user of this machine could reach the page.
    token = secrets.token_urlsafe(24)
    settings = replace(ConsoleSettings(), port=0)
    server = ConsoleServer(still, Access(token), lambda: settings)
    port = server.start()
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(_REPEAT_S):
            still.show()

    repeater = threading.Thread(target=repeat, name="still-image", daemon=True)
    repeater.start()
    try:
        print(
            f"draw boxes at http://{settings.host}:{port}/?token={token} and press Enter here",
            file=sys.stderr,
        )
        wait()
    finally:
        done.set()
        repeater.join()
        server.stop()
    return still.boxes


def _drawn(id: int, box: tuple[float, ...]) -> dict[str, Any]:
    x, y, width, height = box
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    state = int(TargetState.TRACKING)
    return {
        "id": id, "state": state, "confidence": 0.0, "reason": "", "box": list(box),
        "polygon": corners, "expected": None,
    }  # fmt: skip
