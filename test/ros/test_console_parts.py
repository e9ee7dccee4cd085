"""The parts of the console that know neither ROS nor a server: texts, access, joining by stamp."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest

from siampolar_model.images.frame import Frame
from siampolar_model.session.history import StampedImage
from siampolar_ros.console import jpeg, protocol
from siampolar_ros.console.access import Access, is_this_machine
from siampolar_ros.console.camera_feed import CELL_S, STRIP_S, CameraFeed, TargetList
from siampolar_ros.console.protocol import ProtocolError, Remove, Shown, Start, Watch
from siampolar_ros.parameters.table import ParameterError
from support.malformed import is_clear_line
from support.malformed_texts import malformed_texts

START = {
    "type": "start", "request": 3, "camera": "/tracker", "id": 0, "stamp": "12", "size": [64, 48],
    "shape": "box", "values": [1, 2.5, 3, 4],
}  # fmt: skip


# ---- texts ---------------------------------------------------------------------------------


def test_what_the_page_sends_is_read() -> None:
    text = json.dumps(START)
    assert protocol.parse(text) == Start(3, "/tracker", 0, 12, (64, 48), "box", (1, 2.5, 3, 4))
    assert protocol.parse('{"type":"watch","camera":"/a"}') == Watch("/a", True)
    assert protocol.parse('{"type":"shown","stamp":"7"}') == Shown(7)
    assert protocol.parse('{"type":"remove","request":1,"camera":"/a","id":2}') == Remove(
        1, "/a", 2
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "stop"}, "type is 'stop'; allowed are watch, shown, start, remove"),
        ({"type": ["start"]}, "allowed are watch"),
        ({"id": -1}, "id is -1; it must be a whole number from 0 to 4294967295"),
        ({"id": True}, "id is True"),
        ({"id": 1.5}, "id is 1.5"),
        ({"request": None}, "request is None"),
        ({"camera": 4}, "camera is 4; it must be a short text"),
        ({"camera": "x" * 300}, "it must be a short text"),
        ({"stamp": "-1"}, "it must be nanoseconds"),
        ({"stamp": "9" * 19}, "it must be nanoseconds"),
        ({"stamp": "²"}, "it must be nanoseconds"),
        ({"size": [0, 4]}, "size is 0; it must be a whole number from 1 to 65535"),
        ({"size": 4}, "size is 4; it must be width and height"),
        ({"shape": "circle"}, "shape is 'circle'; allowed are box, polygon, point"),
        ({"values": [1, 2, 3]}, "a box has 4 numbers"),
        ({"values": [1, 2, 3, "4"]}, "values holds '4'"),
        ({"values": [1, 2, 3, 10**400]}, "it must be a number up to 1e6"),
        ({"shape": "polygon", "values": [1, 2, 3, 4, 5, 6, 7]}, "6 to 1024, an even number"),
    ],
)
def test_what_is_not_allowed_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        protocol.parse(json.dumps({**START, **change}))
    assert words in str(refusal.value)


@pytest.mark.parametrize("text", ["", "null", "[" * 30_000, "{" * 9, "NaN", '{"type":"start"}'])
def test_other_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        protocol.parse(text)


def test_numbers_that_json_does_not_know_are_refused() -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        text = json.dumps(START).replace("2.5", number)
        with pytest.raises(ProtocolError, match="it must be a number"):
            protocol.parse(text)


def test_every_refusal_is_one_short_line() -> None:
    for text in malformed_texts(random.Random(1), 2000):
        with pytest.raises(ProtocolError) as refusal:
            protocol.parse(text)
        assert is_clear_line(str(refusal.value))


def test_a_picture_carries_its_header() -> None:
    packed = protocol.picture({"stamp": "5"}, b"jpeg")
    (length,) = struct.unpack_from("<I", packed)
    assert json.loads(packed[4 : 4 + length]) == {"stamp": "5"} and packed[4 + length :] == b"jpeg"


# ---- access --------------------------------------------------------------------------------


def test_this_machine_by_its_names() -> None:
    assert all(map(is_this_machine, ("127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]")))
    assert not any(map(is_this_machine, ("0.0.0.0", "::", "192.168.1.4", "robot", "")))


def test_a_token_is_needed_from_elsewhere_only() -> None:
    new = "n" * 32
    assert Access.of("127.0.0.1", "", new).token == ""
    assert Access.of("0.0.0.0", "", new).token == new
    assert Access.of("127.0.0.1", "t" * 16, new).token == "t" * 16
    with pytest.raises(ParameterError, match="token has 15 characters; it must have at least 16"):
        Access.of("0.0.0.0", "t" * 15, new)


def test_pages_of_others_are_refused() -> None:
    free, closed = Access(""), Access("t" * 16)
    assert free.refusal("localhost:8090", "http://localhost:8090") == ""
    assert free.refusal("[::1]:8090", None) == ""
    assert "served to its own machine only" in free.refusal("evil.example:8090", None)
    assert "served to its own machine only" in free.refusal("", None)
    for access in (free, closed):
        for origin in ("http://evil.example", "null", "", "http://localhost:1"):
            assert "may not use the console" in access.refusal("localhost:8090", origin)
    assert closed.refusal("robot:8090", "http://robot:8090") == ""
    assert closed.knows("t" * 16) and not closed.knows("") and not closed.knows("ü")


# ---- joining -------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def image(stamp_ns: int) -> StampedImage:
    return StampedImage(stamp_ns, Frame.from_bgr(np.zeros((48, 64, 3), np.uint8)))


def targets(stamp_ns: int, *states: int) -> TargetList:
    made = [{"id": id, "state": state, "polygon": [1, 2]} for id, state in enumerate(states, 1)]
    return TargetList(stamp_ns, (64, 48), tuple(made))


@pytest.fixture
def feed() -> CameraFeed:
    return CameraFeed(Clock())


def test_image_and_targets_of_one_stamp_are_joined_whichever_comes_first(feed: CameraFeed) -> None:
    for first, stamp_ns in (("image", 1), ("targets", 2)):
        if first == "image":
            feed.add_targets(targets(0), 0.01)  # the tracker is at work
            feed.add_image(image(stamp_ns))
            assert feed.take() is None
            feed.add_targets(targets(stamp_ns, 1), 0.01)
        else:
            feed.add_targets(targets(stamp_ns, 1), 0.01)
            feed.add_image(image(stamp_ns))
        view = feed.take()
        assert view is not None and view.image.stamp_ns == stamp_ns
        assert view.targets == targets(stamp_ns, 1)
        assert feed.take() is None


def test_the_newest_wins(feed: CameraFeed) -> None:
    feed.add_targets(targets(0), 0.01)
    for stamp_ns in range(1, 7):
        feed.add_image(image(stamp_ns))
    for stamp_ns in (1, 2, 5):
        feed.add_targets(targets(stamp_ns), 0.01)
    view = feed.take()
    assert view is not None and view.image.stamp_ns == 5
    assert list(feed._images) == [6]


def test_without_targets_for_half_a_second_images_are_shown_as_they_are() -> None:
    clock = Clock()
    feed = CameraFeed(clock)
    feed.add_targets(targets(0), 0.01)
    feed.add_image(image(1))
    assert feed.take() is None
    clock.now += 0.6
    feed.add_image(image(2))
    view = feed.take()
    assert view is not None and view.image.stamp_ns == 2 and view.targets is None


def test_a_target_that_joins_a_standing_picture_is_shown_on_it(feed: CameraFeed) -> None:
    feed.add_targets(targets(1), 0.01)
    feed.add_image(image(1))
    assert feed.take() is not None
    feed.add_targets(targets(1, 2), 0.5)
    view = feed.take()
    assert view is not None and view.image.stamp_ns == 1 and view.targets == targets(1, 2)


def test_what_waits_is_bounded(feed: CameraFeed) -> None:
    feed.add_targets(targets(0), 0.01)
    for stamp_ns in range(1, 100):
        feed.add_image(image(stamp_ns))
    assert list(feed._images) == list(range(92, 100))
    for stamp_ns in range(100, 300):
        feed.add_targets(targets(stamp_ns, 1), 0.01)
    assert len(feed._lists) == 8


def test_strips_hold_the_worst_state_of_each_cell_and_end_with_the_target() -> None:
    clock = Clock()
    feed = CameraFeed(clock)
    for state in (1, 3, 2):
        feed.add_targets(targets(1, state), 0.01)
    clock.now += 2 * CELL_S
    feed.add_targets(targets(2, 1), 0.01)
    (strip,) = feed.status()["strips"].values()
    assert len(strip) == STRIP_S / CELL_S and strip.strip() == "331"
    clock.now += 5
    assert feed.status()["strips"][1].rstrip().endswith("33" + 8 * "1")
    clock.now += STRIP_S
    assert feed.status()["strips"] == {}


def test_rates_and_latencies() -> None:
    clock = Clock()
    feed = CameraFeed(clock)
    assert feed.status()["latency_ms"] is None and feed.status()["images_hz"] == 0.0
    for k in range(100):
        clock.now = 100 + k / 20
        feed.add_image(image(k))
        feed.add_targets(targets(k), 0.010 if k % 10 else 0.100)
    status = feed.status()
    assert status["images_hz"] == status["results_hz"] == 20.0
    assert status["latency_ms"] == [10.0, 100.0]
    assert json.dumps(status)


# ---- pictures ------------------------------------------------------------------------------


def test_a_picture_is_no_wider_than_asked_for() -> None:
    import cv2

    gray = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 120, 0).repeat(3, 2)
    for most, size in ((960, (256, 120)), (200, (200, 94)), (64, (64, 30))):
        data = jpeg.encode(Frame.from_bgr(np.ascontiguousarray(gray)), most, 90)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert (decoded.shape[1], decoded.shape[0]) == size
        wanted = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        assert np.abs(decoded.astype(int) - wanted).mean() < 2
