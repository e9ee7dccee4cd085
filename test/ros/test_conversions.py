"""ROS messages and our own values, back and forth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from siampolar_model.errors import FrameError
from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.io.messages import request_from_message, results_from_message
from siampolar_model.results import Target, TargetState
from siampolar_model.session.history import StampedImage
from siampolar_model.session.requests import InitResult
from siampolar_model.session.session import Targets
from siampolar_ros import msg
from siampolar_ros.messages import conversions
from siampolar_ros.messages.serialized_image import read_stamp

HEADER = Header(stamp=conversions.stamp_from_ns(1_700_000_000_123_456_789), frame_id="camera")


def picture(width: int = 7, height: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def test_image_round_trip_without_a_copy_on_the_way_in() -> None:
    pixels = picture()
    message = conversions.message_from_bgr(pixels, HEADER)
    assert (message.width, message.height, message.step) == (7, 5, 21)
    assert message.encoding == "bgr8" and message.header == HEADER
    image = conversions.image_from_message(message)
    assert image.stamp_ns == 1_700_000_000_123_456_789 and image.header is message.header
    assert np.array_equal(image.frame.to_bgr(), pixels)
    message.data[0] = 255 - message.data[0]
    assert image.frame.decode().planes[0][0, 0, 0] == message.data[0]  # a view


def test_padded_rows_and_views_of_larger_arrays() -> None:
    pixels = picture()
    padded = np.zeros((5, 32), np.uint8)
    padded[:, :21] = pixels.reshape(5, 21)
    message = Image(header=HEADER, width=7, height=5, step=32, encoding="bgr8")
    message.data.frombytes(padded.tobytes())
    assert np.array_equal(conversions.image_from_message(message).frame.to_bgr(), pixels)
    part = conversions.message_from_bgr(picture(20, 20)[3:8, 4:11], HEADER)
    assert np.array_equal(
        conversions.image_from_message(part).frame.to_bgr(), picture(20, 20)[3:8, 4:11]
    )


@pytest.mark.parametrize("big", [False, True])
def test_both_byte_orders_of_mono16(big: bool) -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    message = Image(width=4, height=3, step=8, encoding="mono16", is_bigendian=big)
    message.data.frombytes(values.astype(">u2" if big else "<u2").tobytes())
    frame = conversions.image_from_message(message).frame
    assert np.array_equal(frame.decode().planes[0], values)


def test_bad_images_are_named() -> None:
    message = conversions.message_from_bgr(picture(), HEADER)
    message.encoding = "yuv9000"
    with pytest.raises(FrameError, match="unknown encoding 'yuv9000'; supported: bgr8"):
        conversions.image_from_message(message)
    message.encoding = "bgr8"
    message.step = 6
    with pytest.raises(FrameError, match="step of 6; it must be at least 21"):
        conversions.image_from_message(message)
    message.step = 30
    with pytest.raises(FrameError, match="105 bytes; it must have 150"):
        conversions.image_from_message(message)


def test_requests() -> None:
    message = msg.InitTarget(header=HEADER, id=7, x=1.5, y=2.0, width=30.0, height=40.0)
    request = request_from_message(message)
    assert request.region == Box(1.5, 2.0, 31.5, 42.0) and request.id == 7
    assert request.stamp_ns == 1_700_000_000_123_456_789 and request.image_size is None
    message.image_width, message.image_height = 640, 480
    assert request_from_message(message).image_size == (640, 480)
    roi = RegionOfInterest(x_offset=10, y_offset=20, width=30, height=40)
    plain = conversions.request_from_roi(roi)
    assert plain.region == Box(10, 20, 40, 60) and plain.stamp_ns == 0 and plain.id == 0


def test_answers() -> None:
    image = StampedImage(5, Frame.from_bgr(picture()), HEADER)
    good = conversions.message_from_answer(InitResult(True, 3, "", image))
    assert good.success and good.id == 3 and good.header == HEADER and good.message == ""
    bad = conversions.message_from_answer(InitResult(False, 9, "no image has arrived"))
    assert not bad.success and bad.message == "no image has arrived"
    assert bad.header.stamp.sec == 0


def test_targets_say_what_the_results_say_also_after_serialising() -> None:
    outline = np.array([[1.25, 2], [30, 4], [20, 40.5]], np.float32)
    results = (
        Target(1, TargetState.TRACKING, 0.75, 0.5, Box(1, 2, 31, 42), outline),
        Target(4, TargetState.LOST, 0.125, 0.0, Box(-3, 0, 5, 6),
               np.zeros((0, 2), np.float32)),
    )  # fmt: skip
    image = StampedImage(5, Frame.from_bgr(picture()), HEADER)
    message = conversions.message_from_result(Targets(image, results))
    message = deserialize_message(serialize_message(message), msg.Targets)
    assert message.header == HEADER
    assert (message.image_width, message.image_height) == (7, 5)
    assert [t.state for t in message.targets] == [msg.Target.TRACKING, msg.Target.LOST]
    for back, result in zip(results_from_message(message), results, strict=True):
        assert (back.id, back.state, back.score) == (result.id, result.state, result.score)
        assert back.box == result.box
        assert np.array_equal(back.polygon_xy, result.polygon_xy)


def test_states_have_the_values_of_the_message() -> None:
    assert {s.name: int(s) for s in TargetState} == {
        name: getattr(msg.Target, name) for name in ("TRACKING", "UNCERTAIN", "LOST")
    }


def test_stamps() -> None:
    for stamp_ns in (0, 1, 999_999_999, 1_000_000_000, 1_795_365_575_975_075_537):
        assert conversions.stamp_to_ns(conversions.stamp_from_ns(stamp_ns)) == stamp_ns
    data = serialize_message(conversions.message_from_bgr(picture(), HEADER))
    assert conversions.stamp_to_ns(read_stamp(data)) == 1_700_000_000_123_456_789
