"""What is reported of a stream of images, and when."""

from __future__ import annotations

import re

import pytest

from siampolar_ros.health.stream_health import Level, StreamHealth


class Stream:
    """A stream with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.health = StreamHealth("/camera/image", lambda: self.now)

    def play(
        self, seconds: float, rate: float = 10, every: int = 1, lost: int = 0, info: bool = False
    ) -> None:
        """Let time go by; every n-th image arrives, ``lost`` are reported for each that does."""
        for k in range(round(seconds * rate)):
            self.now += 1 / rate
            if info:
                self.health.announced()
            if every and k % every == 0:
                self.health.received()
                if lost:
                    self.health.lost(lost)
            if k % round(rate) == 0:
                self.health.judge()  # once a second, as the node does

    def judge(self) -> tuple[Level, str]:
        verdict = self.health.judge()
        return verdict.level, verdict.reason


@pytest.fixture
def stream() -> Stream:
    made = Stream()
    made.health.set_publishers(1)
    return made


def test_a_stream_that_runs_is_well_and_its_rate_is_that_of_the_last_seconds(
    stream: Stream,
) -> None:
    stream.play(20, rate=30)
    assert stream.judge() == (Level.OK, "30.0 images per second")
    stream.play(20, rate=5)
    assert stream.judge() == (Level.OK, "5.0 images per second")


def test_waiting_for_a_publisher_and_for_the_first_image() -> None:
    stream = Stream()
    assert stream.judge() == (Level.OK, "nobody publishes images on /camera/image yet")
    stream.health.set_publishers(1)
    assert stream.judge() == (Level.OK, "waiting for the first image on /camera/image")
    stream.health.set_publishers(0)
    stream.now += 5.1
    assert stream.judge() == (Level.WARN, "nobody publishes images on /camera/image yet")
    stream.health.set_publishers(1)
    level, reason = stream.judge()
    assert level is Level.WARN and "no image yet" in reason and "config/fastdds.xml" in reason


def test_a_stream_that_stops_and_comes_back(stream: Stream) -> None:
    stream.play(5)
    stream.now += 1.9
    assert stream.health.silent_s is None and stream.judge()[0] is Level.OK
    stream.now += 0.2
    assert stream.health.silent_s == pytest.approx(2.1)
    assert stream.judge() == (Level.ERROR, "no image on /camera/image for 2.1 s")
    stream.health.set_publishers(0)
    assert stream.judge() == (
        Level.ERROR, "nobody publishes on /camera/image any more; last image 2.1 s ago"
    )  # fmt: skip
    stream.health.set_publishers(1)
    stream.play(6)
    assert stream.health.silent_s is None and stream.judge()[0] is Level.OK


def test_a_publisher_whose_images_arrive_is_there_even_if_it_was_not_seen_yet() -> None:
    stream = Stream()
    stream.play(3)
    assert stream.judge()[0] is Level.OK
    stream.now += 1.1
    assert "nobody publishes on /camera/image any more" in stream.judge()[1]


def test_a_slow_stream_is_given_five_of_its_own_periods(stream: Stream) -> None:
    stream.play(10, rate=1)
    stream.now += 4.9
    assert stream.health.silent_s is None
    stream.now += 0.2
    assert stream.health.silent_s == pytest.approx(5.1)


@pytest.mark.parametrize(
    "how", [{"lost": 2}, {"every": 3, "info": True}, {"every": 0, "info": True}]
)
def test_fewer_than_half_of_what_was_announced_names_the_profile(
    stream: Stream, how: dict[str, int]
) -> None:
    stream.play(8, **how)
    level, reason = stream.judge()
    assert level is Level.ERROR
    assert re.match(r"\d+ of \d+ images on /camera/image arrived in [56] s; ", reason)
    assert "config/fastdds.xml" in reason and "FASTDDS_DEFAULT_PROFILES_FILE" in reason


@pytest.mark.parametrize("how", [{"lost": 1}, {"every": 2, "info": True}])
def test_half_of_them_is_a_warning(stream: Stream, how: dict[str, int]) -> None:
    stream.play(8, **how)
    level, reason = stream.judge()
    assert level is Level.WARN and "config/fastdds.xml" in reason


def test_an_image_for_each_camera_info_or_for_nearly_each_is_well(stream: Stream) -> None:
    stream.play(8, info=True)
    assert stream.judge()[0] is Level.OK
    for _ in range(4):
        stream.health.announced()  # of images that are still on their way, or lost
    assert stream.judge()[0] is Level.OK


def test_losses_of_long_ago_are_forgotten(stream: Stream) -> None:
    stream.play(8, lost=5)
    stream.play(7)
    assert stream.judge()[0] is Level.OK


def test_refused_images_and_the_last_reason(stream: Stream) -> None:
    stream.play(3)
    stream.health.received()
    stream.health.refused("unknown encoding 'x'")
    level, reason = stream.judge()
    assert level is Level.WARN and "1 of 31 images" in reason and "unknown encoding 'x'" in reason
    assert stream.health.counts.refused == 1


def test_the_same_images_by_another_transport_are_pointed_to() -> None:
    stream = Stream()
    neighbour = "but on /camera/image/compressed; set image_transport to compressed"
    stream.health.set_publishers(0, (), neighbour)
    level, reason = stream.judge()
    assert level is Level.ERROR
    assert reason == f"nobody publishes images on /camera/image, {neighbour}"


def test_publishers_of_another_type() -> None:
    stream = Stream()
    stream.health.set_publishers(0, ("sensor_msgs/msg/CompressedImage",))
    assert stream.judge() == (
        Level.ERROR,
        "/camera/image carries sensor_msgs/msg/CompressedImage; set image_transport to compressed",
    )
    stream.health.set_publishers(0, ("std_msgs/msg/String",))
    assert stream.judge()[1] == "/camera/image carries std_msgs/msg/String, not images"


def test_incompatible_qos_is_worse_while_nothing_arrives(stream: Stream) -> None:
    stream.health.set_incompatible("offers best effort")
    assert stream.judge() == (Level.ERROR, "offers best effort")
    stream.play(3)
    assert stream.judge() == (Level.WARN, "offers best effort")
    stream.health.set_publishers(0)
    stream.health.set_publishers(1)
    assert stream.judge()[0] is Level.OK


def test_two_announced_images_that_are_on_their_way_are_no_loss(stream: Stream) -> None:
    """A camera sends its small message first; the image may take longer than the node's look."""
    for _ in range(2):
        stream.health.announced()
    assert stream.judge() == (Level.OK, "waiting for the first image on /camera/image")
    for _ in range(2):
        stream.health.announced()
    level, reason = stream.judge()
    assert level == Level.ERROR and reason.startswith("0 of 4 images on /camera/image arrived")
