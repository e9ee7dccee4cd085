"""Malformed messages and parameters by the thousand, into a living node."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.blob_engine import BlobEngine

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from siampolar_model.tracking.tracker import Tracker
from siampolar_ros.messages.conversions import image_from_message, message_from_bgr, stamp_from_ns
from siampolar_ros.msg import InitResult, InitTarget, Target, Targets
from siampolar_ros.nodes.tracker_node import TrackerNode
from siampolar_ros.parameters.nodes import Settings
from siampolar_ros.parameters.table import Changes, parameters_of
from siampolar_ros.runtime.environment import local_environment
from support.malformed import (
    MAX_PIXELS,
    SPARE_BYTES,
    encodings,
    examples,
    files,
    is_clear_line,
    numbers,
    peak_bytes,
    raw_images,
    scene,
    uint32,
)

int32 = st.integers(-(2**31), 2**31 - 1)
stamps = st.one_of(
    st.just(Time()),
    st.builds(Time, sec=st.integers(0, 20), nanosec=st.integers(0, 10**9 - 1)),
    st.builds(Time, sec=int32, nanosec=st.integers(0, 2**32 - 1)),
)
headers = st.builds(Header, stamp=stamps, frame_id=st.text(max_size=20))


class Rig:
    """An active node and one that listens; messages go into its callbacks directly."""

    def __init__(self) -> None:
        # A test double for the network: the node around it is what is tested.
        self.node = TrackerNode(
            load=lambda settings: Tracker(BlobEngine(), settings.tracker), namespace="/fuzz"
        )
        self.node.set_parameters([Parameter("hold_init_s", value=0.05)])
        self.node.autostart()
        self.listener = Node("listener", namespace="/fuzz")
        self.answers: list[InitResult] = []
        self.targets: list[Targets] = []
        deep = QoSProfile(depth=1000)
        listen = self.listener.create_subscription
        listen(InitResult, "tracker/init_result", self.answers.append, deep)
        listen(Targets, "tracker/targets", self.targets.append, deep)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.listener)
        self.stamp_ns = 10**18
        self.check_good_one_works()

    def send(self, topic: str, message: Any) -> None:
        """Hand a message to the node as its executor would."""
        (subscription,) = [s for s in self.node.subscriptions if s.topic_name == f"/fuzz/{topic}"]
        # Images are taken as the bytes that the middleware delivers.
        subscription.callback(serialize_message(message) if subscription.raw else message)

    def wait(self, condition: Any, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            self.executor.spin_once(timeout_sec=0.02)

    def check_good_one_works(self) -> None:
        """A good image and a good init, after which the target is tracked."""
        for _ in range(100):  # the listener may not be known yet
            self.node._session.reset()  # of two targets on one thing only one would be tracked
            self.stamp_ns += 10**8
            header = Header(stamp=stamp_from_ns(self.stamp_ns), frame_id="camera")
            self.send("image", message_from_bgr(scene((320, 240)).to_bgr(), header))
            self.send(
                "tracker/init_roi", RegionOfInterest(x_offset=120, y_offset=80, width=80, height=80)
            )
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                self.executor.spin_once(timeout_sec=0.02)
                for message in self.targets:
                    if message.header == header and message.targets:
                        assert message.targets[-1].state == Target.TRACKING
                        self.node._session.reset()
                        self.answers.clear()
                        self.targets.clear()
                        return
        raise AssertionError("the node follows nothing any more")

    def close(self) -> None:
        self.executor.shutdown()
        self.node.close()
        self.node.destroy_node()
        self.listener.destroy_node()


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    import os

    os.environ.update(local_environment())
    rclpy.init(args=[])
    made = Rig()
    yield made
    made.close()
    rclpy.try_shutdown()


@pytest.fixture(autouse=True)
def still_works(rig: Rig) -> Iterator[None]:
    yield
    rig.check_good_one_works()


def image_message(fields: dict[str, Any], header: Header) -> Image:
    message = Image(
        header=header,
        encoding=fields["encoding"].replace("\0", ""),
        width=fields["width"],
        height=fields["height"],
        step=fields["step"],
        is_bigendian=int(fields["is_bigendian"]),
    )
    message.data.frombytes(fields["data"])
    return message


@pytest.mark.slow
@examples(2500)
@given(fields=raw_images(), header=headers)
def test_images(rig: Rig, fields: dict[str, Any], header: Header) -> None:
    message = image_message(fields, header)
    _, error, peak = peak_bytes(lambda: image_from_message(message, MAX_PIXELS))
    assert error is None or is_clear_line(str(error))
    assert peak < SPARE_BYTES
    rig.send("image", message)


@pytest.mark.slow
@examples(1500)
@given(data=files(), header=headers, format=encodings)
def test_compressed_images(rig: Rig, data: bytes, header: Header, format: str) -> None:
    message = CompressedImage(header=header, format=format.replace("\0", ""))
    message.data.frombytes(data)
    image, error, peak = peak_bytes(lambda: image_from_message(message, MAX_PIXELS))
    assert error is None or is_clear_line(str(error))
    assert peak < SPARE_BYTES
    if image is not None:
        rig.node._session.add_image(image)  # what the subscription does with it


@pytest.mark.slow
@examples(300)
@given(
    batch=st.lists(
        st.one_of(
            st.builds(
                InitTarget, header=headers, id=uint32, x=numbers, y=numbers, width=numbers,
                height=numbers, image_width=uint32, image_height=uint32,
            ),
            st.builds(
                RegionOfInterest, x_offset=uint32, y_offset=uint32, width=uint32, height=uint32
            ),
        ),
        min_size=10,
        max_size=10,
    )
)  # fmt: skip
def test_inits(rig: Rig, batch: list[InitTarget | RegionOfInterest]) -> None:
    rig.answers.clear()
    for message in batch:
        kind = "init_target" if isinstance(message, InitTarget) else "init_roi"
        rig.send(f"tracker/{kind}", message)
    rig.wait(lambda: len(rig.answers) == len(batch))
    for answer in rig.answers:
        assert answer.success or is_clear_line(answer.message), answer.message
    rig.node._session.reset()


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 300),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -1.0, 0.0, 0.5, 1.0]),
    st.text(max_size=20).map(lambda text: text.replace("\0", "")),
    st.sampled_from(["", "auto", "reliable", "onnxruntime", "../../etc/passwd", "\n", "x" * 5000]),
    st.lists(st.integers(-9, 9), min_size=1, max_size=3),
    st.lists(st.floats(), min_size=1, max_size=3),
    st.lists(st.text("ab", max_size=3), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
# What may change while the node is active, and what may not; the transport would move the topic.
TABLE = {parameter.name: parameter for parameter in parameters_of(Settings)}
names = [name for name in TABLE if name != "image_transport"]


@pytest.mark.slow
@examples(3000)
@given(changes=st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=4))
def test_parameters(rig: Rig, changes: dict[str, Any]) -> None:
    """All or nothing; what is refused is named in one line; the settings stay valid."""
    before = {name: rig.node.get_parameter(name).value for name in names}
    asked = [Parameter(name, value=value) for name, value in changes.items()]
    result = rig.node.set_parameters_atomically(asked)
    after = {name: rig.node.get_parameter(name).value for name in names}
    if result.successful:
        assert all(repr(after[name]) == repr(value) for name, value in changes.items())
    else:
        assert is_clear_line(result.reason), result.reason
        assert any(name in result.reason for name in changes), result.reason
        assert repr(after) == repr(before)
    assert rig.node._settings() is not None
    # Back to what the other tests start from.
    back = [
        Parameter(name, value=before[name])
        for name in changes
        if TABLE[name].changes is Changes.ANY_TIME
    ]
    assert not back or rig.node.set_parameters_atomically(back).successful
