"""Boxes that the user draws on the first frame, in a window or in a page of a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import CommandError
from ..geometry.box import Box
from ..plugins import entry_points
from .inits import Init

#: Where other packages register a page for machines without a display: a function that takes an
#: image, uint8 (H, W, 3) BGR, and returns boxes (x, y, width, height) in its pixels.
ENTRY_POINT_GROUP = "siampolar.select"

Selector = Callable[[np.ndarray], Sequence[Sequence[float]]]

_WINDOW = "Draw a box and press Enter; Esc when all are drawn"


def select_boxes(image: np.ndarray) -> list[Init]:
    """Let the user draw boxes on an image, uint8 (H, W, 3) BGR.

    Raises:
        CommandError: no window and no page can be shown, or no box was drawn.
    """
    drawn = _selector(os.environ)(image)
    boxes = [one for one in drawn if one[2] > 0 and one[3] > 0]
    if not boxes:
        raise CommandError("--select: no box was drawn")
    return [
        Init(None, Box.from_xywh(*one), None, f"--select, box {place}")
        for place, one in enumerate(boxes, 1)
    ]


def _selector(environment: Mapping[str, str]) -> Selector:
    has_display = bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    if has_display and _has_windows():
        return _in_a_window
    for page in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found: Selector = page.load()
        except ImportError:  # the extra that it needs is not installed
            continue
        return found
    missing = "this OpenCV has no windows" if has_display else "there is no display"
    raise CommandError(
        f"--select: {missing}; give --box x,y,w,h, or pip install 'siampolar_ros[console]' to draw "
        "in a browser"
    )


def _has_windows() -> bool:
    """Whether OpenCV was built with windows, which opencv-python-headless was not."""
    import cv2

    try:
        cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL)
    except cv2.error:
        return False
    cv2.destroyWindow(_WINDOW)
    return True


def _in_a_window(image: np.ndarray) -> Sequence[Sequence[float]]:
    import cv2

    try:
        drawn: Sequence[Sequence[float]] = cv2.selectROIs(_WINDOW, image, showCrosshair=False)
    finally:
        cv2.destroyAllWindows()
    return drawn
