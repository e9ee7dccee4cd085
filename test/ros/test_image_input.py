"""The image subscription: transports, reliability, and what it knows of its publishers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from siampolar_model.session.history import StampedImage
from siampolar_ros.health.stream_health import Level
from siampolar_ros.interfaces.camera_info_input import CameraInfoInput, camera_info_topic
from siampolar_ros.interfaces.image_input import ImageInput, image_topic
from siampolar_ros.messages.conversions import jpeg_from_bgr, message_from_bgr
from siampolar_ros.parameters.settings import ImageSettings
from siampolar_ros.runtime.environment import dds_environment, local_environment

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
_NUMBERS = itertools.count()


class Rig:
    """An image input on one node and cameras on another."""

    def __init__(self, image: str = "image", **settings: Any) -> None:
        namespace = f"/image_rig_{next(_NUMBERS)}"
        self.settings = ImageSettings(**settings)
        remap = ["--ros-args", "-r", f"image:={image}"]
        self.node = Node("taker", namespace=namespace, cli_args=remap)
        self.cameras = Node("cameras", namespace=namespace)
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.cameras):
            self.executor.add_node(node)
        self.images: list[StampedImage] = []
        self.input = ImageInput(self.node, lambda: self.settings, self.images.append)

    def wait(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.input.health.judge()
            self.executor.spin_once(timeout_sec=0.02)

    def camera(self, kind: Any = Image, topic: str = "image", reliability: Any = RELIABLE) -> Any:
        qos = QoSProfile(depth=10, reliability=reliability)
        return self.cameras.create_publisher(kind, topic, qos)

    def take(self, publisher: Any, message: Any) -> StampedImage:
        """Publish until the image comes through."""
        count = len(self.images)
        end = time.monotonic() + 10
        while len(self.images) == count:
            assert time.monotonic() < end, self.input.health.judge()
            publisher.publish(message)
            for _ in range(10):
                self.executor.spin_once(timeout_sec=0.02)
        return self.images[-1]

    def close(self) -> None:
        self.input.close()
        self.executor.shutdown()
        self.node.destroy_node()
        self.cameras.destroy_node()


@pytest.fixture
def make_rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Rig]]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    rigs: list[Rig] = []

    def make(**settings: Any) -> Rig:
        rigs.append(Rig(**settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
    rclpy.shutdown()


def picture(width: int = 40, height: int = 30) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 4)


def test_names_of_topics() -> None:
    assert image_topic("/camera/image_raw", "raw") == "/camera/image_raw"
    assert image_topic("/camera/image_raw", "compressed") == "/camera/image_raw/compressed"
    assert image_topic("/camera/image/compressed", "compressed") == "/camera/image/compressed"


def test_size_and_encoding_may_change_with_every_image(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    camera = rig.camera()
    first = rig.take(camera, message_from_bgr(picture(), Header(frame_id="a")))
    assert first.header.frame_id == "a" and first.size == (40, 30)
    assert first.arrived_s is not None and 0 <= time.monotonic() - first.arrived_s < 10
    grey = Image(encoding="mono16", width=7, height=3, step=16, is_bigendian=1)
    grey.data.frombytes(np.arange(24, dtype=">u2").tobytes())
    second = rig.take(camera, grey)
    assert second.frame.encoding == "mono16" and second.size == (7, 3)
    assert second.frame.decode().planes[0][1, 0] == 8  # the eighth sample of a padded row
    third = rig.take(camera, message_from_bgr(picture(50, 20), Header()))
    assert np.array_equal(third.frame.to_bgr(), picture(50, 20))


def test_refused_images_are_counted_and_the_stream_goes_on(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(max_image_pixels=1000)
    camera = rig.camera()
    rig.take(camera, message_from_bgr(picture(20, 20), Header()))
    for bad in (
        message_from_bgr(picture(40, 30), Header()),
        Image(width=3, height=3, encoding="x"),
    ):
        refused = rig.input.health.counts.refused
        camera.publish(bad)
        rig.wait(lambda n=refused: rig.input.health.counts.refused > n)
    verdict = rig.input.health.judge()
    assert verdict.level is Level.WARN and "unknown encoding 'x'" in verdict.reason
    rig.settings = ImageSettings(max_image_pixels=2000)
    rig.take(camera, message_from_bgr(picture(40, 30), Header()))


def test_compressed_images_and_a_change_of_transport(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(image_transport="compressed")
    assert rig.input.topic.endswith("/image/compressed")
    packed, raw = rig.camera(CompressedImage, "image/compressed"), rig.camera()
    image = rig.take(packed, jpeg_from_bgr(picture(), Header(frame_id="jpeg")))
    assert image.header.frame_id == "jpeg" and image.size == (40, 30)
    assert np.abs(image.frame.to_bgr().astype(int) - picture()).mean() < 8
    packed.publish(CompressedImage(data=b"GIF89a"))
    rig.wait(lambda: rig.input.health.counts.refused == 1)
    rig.settings = ImageSettings()
    rig.wait(lambda: not rig.input.topic.endswith("/compressed"))
    assert rig.take(raw, message_from_bgr(picture(), Header())).frame.encoding == "bgr8"


def test_a_topic_that_is_named_compressed_is_taken_as_it_is(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(image="front/compressed")
    rig.settings = ImageSettings(image_transport="compressed")
    rig.wait(lambda: rig.input.transport == "compressed")
    assert rig.input.topic == rig.input.base and rig.input.base.endswith("/front/compressed")
    rig.take(rig.camera(CompressedImage, "front/compressed"), jpeg_from_bgr(picture(), Header()))


def test_a_topic_of_the_other_type_is_named(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    # As another process: within one, a topic has one type.
    context = rclpy.Context()
    context.init()
    camera = Node("camera", namespace=rig.node.get_namespace(), context=context)
    camera.create_publisher(CompressedImage, "image", 10)
    rig.wait(lambda: rig.input.health.judge().level is Level.ERROR)
    assert rig.input.health.judge().reason.endswith(
        "carries sensor_msgs/msg/CompressedImage; set image_transport to compressed"
    )
    camera.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(
    ("transport", "kind", "topic", "words"),
    [
        ("raw", CompressedImage, "image/compressed", "set image_transport to compressed"),
        ("compressed", Image, "image", "set image_transport to raw"),
    ],
)
def test_the_other_transport_of_the_same_images_is_named(
    make_rig: Callable[..., Rig], transport: str, kind: type, topic: str, words: str
) -> None:
    rig = make_rig(image_transport=transport)
    rig.camera(kind, topic)
    rig.wait(lambda: rig.input.health.judge().level is Level.ERROR)
    reason = rig.input.health.judge().reason
    assert reason.startswith(f"nobody publishes images on {rig.input.topic}, but on ")
    assert reason.endswith(f"/{topic}; {words}")


def test_reliability_follows_the_publishers_that_come_and_go(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    steady = rig.camera()
    rig.take(steady, message_from_bgr(picture(), Header()))
    assert rig.input.reliability == RELIABLE
    other = rig.camera(reliability=BEST_EFFORT)
    rig.wait(lambda: rig.input.reliability == BEST_EFFORT)
    for camera in (steady, other):
        rig.take(camera, message_from_bgr(picture(), Header()))
    rig.cameras.destroy_publisher(other)
    rig.wait(lambda: rig.input.reliability == RELIABLE)
    rig.take(steady, message_from_bgr(picture(), Header()))
    assert rig.input.health.judge().level is Level.OK


def test_incompatible_quality_of_service_is_said_and_auto_mends_it(
    make_rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    rig = make_rig(image_reliability="reliable")
    camera = rig.camera(reliability=BEST_EFFORT)
    rig.wait(lambda: "incompatible QoS (reliability)" in rig.input.health.judge().reason)
    verdict = rig.input.health.judge()
    assert verdict.level is Level.ERROR and "set it to auto" in verdict.reason
    assert (
        "offers incompatible QoS (reliability): none of its images arrives"
        in capfd.readouterr().err
    )
    rig.settings = ImageSettings()
    rig.take(camera, message_from_bgr(picture(), Header()))
    assert rig.input.health.judge().level is Level.OK


def test_publishers_that_are_gone_are_noticed(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    camera = rig.camera()
    rig.take(camera, message_from_bgr(picture(), Header()))
    rig.cameras.destroy_publisher(camera)
    rig.wait(lambda: "nobody publishes on" in rig.input.health.judge().reason)
    rig.take(rig.camera(), message_from_bgr(picture(), Header()))


def test_camera_info_lies_beside_the_image_unless_it_is_remapped(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig()
    for image in ("/front/image_raw", "/front/image_raw/compressed"):
        assert camera_info_topic(rig.node, image) == "/front/camera_info"
    other = Node("other", cli_args=["--ros-args", "-r", "camera_info:=/calibration"])
    assert camera_info_topic(other, "/front/image_raw") == "/calibration"
    other.destroy_node()
    infos: list[CameraInfo] = []
    taken = CameraInfoInput(rig.node, rig.input.base, infos.append)
    camera = rig.camera(CameraInfo, "camera_info")
    end = time.monotonic() + 10
    while not infos:
        assert time.monotonic() < end
        camera.publish(CameraInfo(width=9))
        rig.executor.spin_once(timeout_sec=0.05)
    assert infos[0].width == 9
    taken.close()


def test_a_raw_encoding_is_taken_with_one_warning(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    rig = make_rig()
    logger = type(rig.node.get_logger())
    monkeypatch.setattr(logger, "warning", lambda self, text, **_: warnings.append(text))
    camera = rig.camera()
    message = message_from_bgr(np.full((4, 6, 3), 7, np.uint8), Header())
    message.encoding = "8UC3"
    for _ in range(3):
        assert rig.take(camera, message).frame.encoding == "bgr8"
    told = [text for text in warnings if "8UC3" in text]
    assert len(told) == 1 and told[0].endswith("they are taken for bgr8")
