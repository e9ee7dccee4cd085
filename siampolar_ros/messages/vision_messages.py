"""vision_msgs detections in and out; that package is optional (``ros-DISTRO-vision-msgs``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from std_msgs.msg import Header

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState

from .detection import Detection

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    AVAILABLE = True
except ImportError:
    AVAILABLE = False


def detections_from_message(message: Any) -> list[Detection]:
    """Detections of a ``vision_msgs/Detection2DArray``; boxes without a size are left out.

    The best hypothesis counts; a detection without one has the score 0. A rotated box becomes the
    upright one around it.
    """
    found = []
    for one in message.detections:
        center, theta = one.bbox.center.position, one.bbox.center.theta
        if not math.isfinite(theta):
            continue
        cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
        width = one.bbox.size_x * cos + one.bbox.size_y * sin
        height = one.bbox.size_x * sin + one.bbox.size_y * cos
        numbers = (center.x, center.y, width, height)
        if not all(map(math.isfinite, numbers)) or width <= 0 or height <= 0:
            continue
        score, class_id = 0.0, ""
        for result in one.results:
            hypothesis = result.hypothesis
            if hypothesis.score > score:
                score, class_id = float(hypothesis.score), str(hypothesis.class_id)
        found.append(Detection(Box.from_center(*numbers), score, class_id))
    return found


def message_from_results(
    results: Iterable[Target], header: Header, class_of: Callable[[int], str]
) -> Any:
    """``Detection2DArray`` of all targets that are not lost; ``id`` is the target's id."""
    detections = []
    for result in results:
        if result.state == TargetState.LOST:
            continue
        one = Detection2D(header=header, id=str(result.id))
        x, y = result.box.center_xy
        one.bbox.center.position.x, one.bbox.center.position.y = float(x), float(y)
        one.bbox.size_x, one.bbox.size_y = float(result.box.width), float(result.box.height)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = class_of(result.id)
        hypothesis.hypothesis.score = float(result.score)
        one.results = [hypothesis]
        detections.append(one)
    return Detection2DArray(header=header, detections=detections)
