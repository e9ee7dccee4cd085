"""vision_msgs back and forth; the decisions themselves are tested in test_detections.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("vision_msgs", reason="needs vision_msgs (ros-$ROS_DISTRO-vision-msgs)")

from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_ros.messages.detection import Detection
from siampolar_ros.messages.vision_messages import detections_from_message, message_from_results


def detection(
    x: float, y: float, width: float, height: float, theta: float = 0.0, **scores: float
) -> Detection2D:
    message = Detection2D()
    message.bbox.center.position.x, message.bbox.center.position.y = x, y
    message.bbox.center.theta = theta
    message.bbox.size_x, message.bbox.size_y = width, height
    for class_id, score in scores.items():
        one = ObjectHypothesisWithPose()
        one.hypothesis.class_id, one.hypothesis.score = class_id, score
        message.results.append(one)
    return message


def test_boxes_and_the_best_hypothesis() -> None:
    message = Detection2DArray(
        detections=[
            detection(50.0, 40.0, 20.0, 10.0, cat=0.2, dog=0.7),
            detection(5.0, 5.0, 2.0, 2.0),
        ]
    )
    assert detections_from_message(message) == [
        Detection(Box(40, 35, 60, 45), 0.7, "dog"),
        Detection(Box(4, 4, 6, 6), 0.0, ""),
    ]


def test_a_rotated_box_becomes_the_upright_one_around_it() -> None:
    (turned,) = detections_from_message(
        Detection2DArray(detections=[detection(50.0, 40.0, 20.0, 10.0, theta=math.pi / 2)])
    )
    assert turned.box.as_xywh() == pytest.approx((45, 30, 10, 20))


def test_boxes_without_a_size_or_with_bad_numbers_are_left_out() -> None:
    bad = [
        detection(1.0, 1.0, 0.0, 5.0), detection(1.0, 1.0, -3.0, 5.0),
        detection(math.nan, 1.0, 5.0, 5.0), detection(1.0, 1.0, math.inf, 5.0),
        detection(1.0, 1.0, 5.0, 5.0, theta=math.inf),
    ]  # fmt: skip
    nan_score = detection(1.0, 1.0, 5.0, 5.0, dog=math.nan)
    found = detections_from_message(Detection2DArray(detections=[*bad, nan_score]))
    assert [(d.score, d.class_id) for d in found] == [(0.0, "")]


def test_results_come_back_as_they_were_also_after_serialising() -> None:
    nothing = np.zeros((0, 2), np.float32)

    def target(id: int, state: TargetState) -> Target:
        box = Box(10, 20, 40, 80)
        return Target(id, state, 0.75, 0.5, box, nothing)

    header = Header(frame_id="camera")
    results = [target(1, TargetState.TRACKING), target(2, TargetState.LOST)]
    message = message_from_results(results, header, {1: "dog", 2: "cat"}.__getitem__)
    message = deserialize_message(serialize_message(message), Detection2DArray)
    assert message.header == header and [d.id for d in message.detections] == ["1"]
    assert message.detections[0].header == header
    assert detections_from_message(message) == [Detection(Box(10, 20, 40, 80), 0.75, "dog")]
