"""The console in a real browser, with the real node, tracker and video publisher, over DDS."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
pytest.importorskip("aiohttp", reason="needs aiohttp (extra console)")
pytest.importorskip("playwright", reason="needs playwright (extra dev)")

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from siampolar_model.geometry.box import Box
from siampolar_ros.demo.default_clip import Clip, ClipError, default_clip, moving_clip
from support.console_page import ConsolePage, chromium
from support.ros_graph import Graph

SIZE = (640, 272)


def clip_or_skip(find: Callable[[], Clip]) -> Clip:
    try:
        return find()
    except ClipError as error:
        pytest.skip(f"the demo clip: {error}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


class Robot:
    """Tracker and console, and the video that is played to them."""

    def __init__(self, folder: Path) -> None:
        self.graph = Graph(folder)
        self.graph.start_tracker()
        self.url = self.start_console(port=0)
        self._video: Any = None

    def start_console(self, **parameters: object) -> str:
        """Start a console; returns its address."""
        graph = self.graph
        child = graph.start("console_node", trackers=f"{graph.namespace}/tracker", **parameters)

        def address() -> re.Match[str] | None:
            return re.search(r"open (http://\S+)", graph.log("console_node"))

        graph.wait(address, 60, lambda: graph.log("console_node"))
        found = address()
        assert found and child.poll() is None
        return found.group(1)

    def play(self, clip: Clip) -> None:
        """Play a clip from its start, in a loop.

        Its first image comes when a page is open, and it stands still until it is let go.
        """
        if self._video is not None:
            self._video.terminate()
            self._video.wait(20)
        reset = self.graph.node.create_client(Trigger, "tracker/reset")
        self.graph.wait(reset.service_is_ready, 20)
        self.graph.wait(reset.call_async(Trigger.Request()).done, 20)
        self._video = self.graph.start(
            "video_publisher_node", path=clip.path, first_frame=clip.first, last_frame=clip.last,
            rate=6.0, loop=True, paused=True, wait_for_subscribers=2,
        )  # fmt: skip

    def let_go(self, going: bool = True) -> None:
        """Let the video run, or stop it."""
        client = self.graph.node.create_client(SetParameters, "video_publisher/set_parameters")
        self.graph.wait(client.service_is_ready, 20)
        paused = Parameter("paused", Parameter.Type.BOOL, not going)
        done = client.call_async(SetParameters.Request(parameters=[paused.to_parameter_msg()]))
        self.graph.wait(done.done, 20)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    made = Robot(tmp_path_factory.mktemp("robot"))
    yield made
    made.graph.close()


@pytest.fixture
def cyclist(started: Robot) -> Clip:
    """He waits at a crossing, in sight all the time; the clip is being played."""
    clip = clip_or_skip(default_clip)
    started.play(clip)
    return clip


@pytest.fixture
def open_page(
    started: Robot, browser: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[..., ConsolePage]]:
    pages: list[ConsolePage] = []

    def open_one(size: tuple[int, int] = (1280, 760), **options: Any) -> ConsolePage:
        width, height = size
        made = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(ConsolePage(made, SIZE))
        pages[-1].open(started.url)
        return pages[-1]

    yield open_one
    for number, one in enumerate(pages, 1):
        one.picture(f"end_of_{request.node.name}_{number}")
        one.page.close()
        assert one.errors == []


def overlap(box: Sequence[float], other: Sequence[float]) -> float:
    return Box.from_xywh(*box).iou(Box.from_xywh(*other))


def wait_for_words(page: ConsolePage, words: str) -> None:
    """Wait until a message on the page has these words."""
    script = "words => document.querySelector('#log').innerText.includes(words)"
    page.page.wait_for_function(script, arg=words)


@pytest.mark.slow
def test_what_is_dragged_is_outlined_within_a_second_drawn_again_and_removed(
    started: Robot, cyclist: Clip, open_page: Callable[..., ConsolePage]
) -> None:
    page = open_page()
    page.picture("desktop_empty")
    took_s = []
    for _ in range(3):  # other work on the machine may hold one of them up
        page.drag(*cyclist.box_xywh)
        began = time.monotonic()
        id = page.new_target()
        took_s.append(time.monotonic() - began)
        assert overlap(page.box(id), cyclist.box_xywh) > 0.6
        assert page.painted(*cyclist.box_xywh) > 500
        wait_for_words(page, f"Target {id} is followed.")
        page.wait_for_state(id, "tracking uncertain")
        if took_s[-1] < 1.0:
            break
        page.page.keyboard.press("X")
        page.page.wait_for_selector(".target", state="detached")
    assert min(took_s) < 1.0, took_s
    started.let_go()
    page.wait_for_state(id, "tracking")
    page.page.keyboard.press(f"{id}")
    page.page.keyboard.press("r")
    assert f"target {id} again" in page.page.inner_text("#hint")
    page.drag(*cyclist.box_xywh)
    wait_for_words(page, "again")
    assert page.page.locator(".target").count() == 1
    page.page.keyboard.press("x")
    page.page.wait_for_selector(".target", state="detached")
    wait_for_words(page, f"Target {id} removed.")


@pytest.mark.slow
def test_lost_and_found_are_seen_on_the_page(
    started: Robot, open_page: Callable[..., ConsolePage]
) -> None:
    clip = clip_or_skip(moving_clip)
    started.play(clip)
    page = open_page()
    page.drag(*clip.box_xywh)
    id = page.new_target()
    started.let_go()
    page.wait_for_state(id, "tracking")
    page.picture("desktop_tracking")
    page.wait_for_state(id, "lost")
    page.picture("desktop_lost")
    page.wait_for_state(id, "tracking")
    script = "() => /3 *[12]*1/.test(document.querySelector('.target').dataset.strip)"
    page.page.wait_for_function(script)
    page.picture("desktop_found")


@pytest.mark.slow
def test_what_is_drawn_on_a_frozen_picture_ends_on_the_same_object(
    started: Robot, cyclist: Clip, open_page: Callable[..., ConsolePage]
) -> None:
    page = open_page()
    page.drag(*cyclist.box_xywh)
    live = page.new_target()
    started.let_go()
    page.wait_for_state(live, "tracking")
    page.page.keyboard.press(" ")
    assert page.page.is_visible("#frozen")
    stamp = page.page.evaluate("document.querySelector('#stage').dataset.stamp")
    time.sleep(0.7)  # the stream goes on; what is shown does not
    assert page.page.evaluate("document.querySelector('#stage').dataset.stamp") == stamp
    page.page.keyboard.press("l")
    x, y, width, height = cyclist.box_xywh
    corners = [(0.5, 0), (1, 0.4), (0.9, 1), (0.1, 1), (0, 0.4), (0.4, 0)]
    page.lasso([(x + width * u, y + height * v) for u, v in corners])
    late = page.new_target(live)
    page.picture("desktop_frozen")
    page.page.keyboard.press(" ")
    page.wait_for_state(late, "tracking")
    # One thing has one target: the one that was there before says so, and gives way.
    reason = f'[data-id="{live}"] .reason:has-text("only target {late} is seen where it was")'
    page.page.wait_for_selector(reason)
    page.wait_for_state(late, "tracking")
    assert overlap(page.box(late), cyclist.box_xywh) > 0.5


@pytest.mark.slow
def test_two_browsers_at_once_one_of_them_a_phone(
    started: Robot, cyclist: Clip, open_page: Callable[..., ConsolePage]
) -> None:
    desktop = open_page()
    phone = open_page((390, 780), has_touch=True, is_mobile=True, device_scale_factor=2)
    touch(phone, cyclist.box_xywh)
    id = phone.new_target()
    assert desktop.new_target() == id
    started.let_go()
    for page in (desktop, phone):
        page.wait_for_state(id, "tracking")
    phone.picture("phone_tracking")
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "the page is wider than the phone"
    phone.page.tap(".target .remove")
    desktop.page.wait_for_selector(".target", state="detached")


def touch(page: ConsolePage, box_xywh: tuple[float, float, float, float]) -> None:
    """Drag a box with a finger."""
    x, y, width, height = box_xywh
    session = page.page.context.new_cdp_session(page.page)
    for kind, u in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0), ("touchEnd", 1.0)):
        left, top = page.at(x + width * u, y + height * u)
        points = [] if kind == "touchEnd" else [{"x": left, "y": top}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.slow
def test_a_wrong_token_is_refused_and_the_right_one_opens_the_page(
    started: Robot, cyclist: Clip, browser: Any
) -> None:
    url = started.start_console(port=0, host="0.0.0.0")
    token = url.partition("token=")[2]
    assert len(token) >= 24
    port = url.split(":")[2].partition("/")[0]
    address = f"http://127.0.0.1:{port}/"
    made = browser.new_page()
    page = ConsolePage(made, SIZE)
    answer = made.goto(f"{address}?token=wrong")
    assert answer is not None and answer.status == 403
    assert "This token is wrong" in made.inner_text("body")
    page.picture("token")
    made.fill("input", token)
    made.click("button")
    made.wait_for_selector("#empty", state="hidden", timeout=30_000)
    assert made.url == address
    made.close()
