"""Images read where the middleware left their bytes equal the messages that rclpy would make."""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from siampolar_model.errors import FrameError
from siampolar_ros.messages.conversions import image_from_message, jpeg_from_bgr, message_from_bgr
from siampolar_ros.messages.serialized_image import SerializedCompressedImage, SerializedImage

HEADER = Header(stamp=Time(sec=-3, nanosec=7), frame_id="camera_ä")
PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "camera_ä"])
def test_an_image_is_read_as_it_was_sent(frame_id: str) -> None:
    message = message_from_bgr(PIXELS, Header(stamp=HEADER.stamp, frame_id=frame_id))
    read = SerializedImage.parse(serialize_message(message))
    for name in ("header", "height", "width", "encoding", "is_bigendian", "step"):
        assert getattr(read, name) == getattr(message, name)
    assert bytes(read.data) == bytes(message.data)
    one, other = image_from_message(read), image_from_message(message)
    assert (one.stamp_ns, one.header) == (other.stamp_ns, other.header)
    np.testing.assert_array_equal(one.frame.to_bgr(), PIXELS)


def test_its_pixels_are_not_copied() -> None:
    data = serialize_message(message_from_bgr(PIXELS, HEADER))
    (plane,) = image_from_message(SerializedImage.parse(data)).frame.decode().planes
    assert np.shares_memory(plane, np.frombuffer(data, np.uint8))


def test_a_compressed_image_is_read_as_it_was_sent() -> None:
    message = jpeg_from_bgr(np.full((40, 60, 3), 90, np.uint8), HEADER)
    read = SerializedCompressedImage.parse(serialize_message(message))
    assert (read.header, read.format) == (message.header, message.format)
    one, other = image_from_message(read).frame, image_from_message(message).frame
    np.testing.assert_array_equal(one.to_bgr(), other.to_bgr())


def test_the_other_byte_order() -> None:
    body = struct.pack(">iII4sII", 5, 6, 4, b"cam\0", 2, 3)
    body += struct.pack(">I6sBxI", 6, b"mono8\0", 1, 3) + struct.pack(">I", 6) + bytes(range(6))
    read = SerializedImage.parse(b"\0\0\0\0" + body)
    assert (read.header.stamp.sec, read.header.frame_id) == (5, "cam")
    assert (read.height, read.width, read.encoding, read.step) == (2, 3, "mono8", 3)
    assert bytes(read.data) == bytes(range(6))


WHOLE = serialize_message(message_from_bgr(PIXELS, HEADER))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "begins with nothing"),
        (b"\0\2" + WHOLE[2:], "begins with 0002"),
        (WHOLE[:20], "ends after 20 bytes"),
        (WHOLE[:-10], f"ends after {len(WHOLE) - 10} bytes"),
        (WHOLE[:12] + struct.pack("<I", 2**32 - 1) + WHOLE[16:], "has a text of 4294967295 bytes"),
        (WHOLE[:16] + b"\xff" + WHOLE[17:], "has a text that is not UTF-8"),
    ],
)
def test_other_bytes_are_refused_in_one_line(data: bytes, text: str) -> None:
    with pytest.raises(FrameError, match=f"^malformed sensor_msgs/msg/Image: {text}"):
        SerializedImage.parse(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_bytes_are_an_image_or_refused(data: st.DataObject) -> None:
    altered = bytearray(WHOLE[: data.draw(st.integers(0, len(WHOLE)))])
    for _ in range(data.draw(st.integers(0, 4)) if altered else 0):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    for kind in (SerializedImage, SerializedCompressedImage):
        try:
            image = image_from_message(kind.parse(bytes(altered)), 10_000)
        except FrameError:
            continue
        assert image.frame.width * image.frame.height <= 10_000
