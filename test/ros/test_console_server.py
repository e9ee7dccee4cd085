"""The console's server with a robot that only counts: who gets in, and what a bad browser costs."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs aiohttp (extra console)")

import aiohttp

from siampolar_model.images.compressed import CompressedFrame
from siampolar_model.images.frame import Frame
from siampolar_model.session.history import StampedImage
from siampolar_ros.console.access import Access
from siampolar_ros.console.browser import MAX_ON_THEIR_WAY
from siampolar_ros.console.camera_feed import CameraFeed, TargetList
from siampolar_ros.console.protocol import Answer, Remove, Start
from siampolar_ros.console.server import ConsoleServer
from siampolar_ros.parameters.nodes import ConsoleSettings
from support.deaf_browser import DeafBrowser
from support.malformed import is_clear_line
from support.malformed_texts import malformed_texts

TOKEN = "the-token-of-this-test"


class CountingRobot:
    """Two cameras; answers every command at once and notes what was asked of it."""

    def __init__(self) -> None:
        self.feeds = {"/front/tracker": CameraFeed(), "/rear/tracker": CameraFeed()}
        self.watched: frozenset[str] = frozenset()
        self.commands: list[Start | Remove] = []
        self.warnings: list[str] = []

    def cameras(self) -> Mapping[str, CameraFeed]:
        return self.feeds

    def watch(self, cameras: frozenset[str]) -> None:
        self.watched = cameras

    def ask(self, command: Start | Remove, on_answer: Callable[[Answer], None]) -> None:
        self.commands.append(command)
        on_answer(Answer(True, 7, "target 7 is followed"))

    def shapes(self) -> tuple[str, ...]:
        return ("box",)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def publish(self, stamp_ns: int, camera: str = "/front/tracker", width: int = 64) -> None:
        frame = Frame.from_bgr(np.zeros((48, width, 3), np.uint8))
        target = {"id": 1, "state": 1, "confidence": 0.9, "box": [1, 2, 3, 4], "polygon": []}
        self.feeds[camera].add_targets(TargetList(stamp_ns, (width, 48), (target,)), 0.01)
        self.feeds[camera].add_image(StampedImage(stamp_ns, frame))


class Served:
    """A server on a free port, and its robot."""

    def __init__(self, token: str, **settings: Any) -> None:
        self.robot = CountingRobot()
        self.settings = replace(ConsoleSettings(), port=0, max_rate=60.0, **settings)
        self.server = ConsoleServer(self.robot, Access(token), lambda: self.settings)
        self.port = self.server.start()
        self.url = f"http://127.0.0.1:{self.port}"

    def headers(self, token: str = "") -> dict[str, str]:
        cookie = {"Cookie": f"siampolar_console_{self.port}={token}"} if token else {}
        return {"Origin": self.url, **cookie}


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def make(token: str = "", **settings: Any) -> Served:
        made.append(Served(token, **settings))
        return made[-1]

    yield make
    for one in made:
        began = time.monotonic()
        one.server.stop()
        assert time.monotonic() - began < 5


def run(work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function with a client."""

    async def with_client() -> Any:
        cookies = aiohttp.CookieJar(unsafe=True)  # also of addresses without a name
        async with aiohttp.ClientSession(cookie_jar=cookies) as client:
            return await asyncio.wait_for(work(client), 60)

    return asyncio.run(with_client())


async def text_of(browser: Any, kind: str) -> dict[str, Any]:
    """The next text of a type; others and pictures are passed over."""
    while True:
        message = await browser.receive(timeout=10)
        if message.type is aiohttp.WSMsgType.TEXT:
            content: dict[str, Any] = json.loads(message.data)
            if content["type"] == kind:
                return content
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message


async def picture_of(browser: Any, shown: bool = True) -> dict[str, Any]:
    """Header of the next picture, which is reported as drawn."""
    while True:
        message = await browser.receive(timeout=10)
        if message.type is aiohttp.WSMsgType.BINARY:
            (length,) = struct.unpack_from("<I", message.data)
            header: dict[str, Any] = json.loads(message.data[4 : 4 + length])
            assert message.data[4 + length :].startswith(b"\xff\xd8")
            if shown:
                await browser.send_json({"type": "shown", "stamp": header["stamp"]})
            return header


def watch(camera: str = "/front/tracker", pictures: bool = True) -> dict[str, Any]:
    return {"type": "watch", "camera": camera, "pictures": pictures}


async def settled(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


# ---- who gets in ---------------------------------------------------------------------------


def test_the_page_and_its_files_are_served_with_their_types(serve: Callable[..., Served]) -> None:
    at = serve()

    async def work(client: Any) -> None:
        for path, kind, words in (
            ("/", "text/html", "siampolar"),
            ("/console.css", "text/css", "--accent"),
            ("/console.js", "text/javascript", "connect()"),
        ):
            async with client.get(at.url + path) as answer:
                assert answer.status == 200 and answer.content_type == kind
                assert words in await answer.text()
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        async with client.get(at.url + "/../setup.py") as answer:
            assert answer.status == 404

    run(work)


def test_a_token_opens_the_page_and_leaves_the_address(serve: Callable[..., Served]) -> None:
    at = serve(TOKEN)

    async def work(client: Any) -> None:
        for query, why in (("", "The node prints it"), ("?token=wrong", "This token is wrong")):
            async with client.get(f"{at.url}/{query}") as answer:
                assert answer.status == 403 and why in await answer.text()
        async with client.get(f"{at.url}/?token={TOKEN}") as answer:
            assert answer.status == 200 and answer.url.query_string == ""
            assert "Targets" in await answer.text()
        async with client.ws_connect(f"{at.url}/ws", headers={"Origin": at.url}) as browser:
            assert await text_of(browser, "cameras")  # the cookie was kept

    run(work)
    assert not any(TOKEN in warning for warning in at.robot.warnings)


@pytest.mark.parametrize(
    ("token", "headers", "words"),
    [
        ("", {"Origin": "http://evil.example"}, "may not use the console"),
        ("", {}, "may not use the console"),
        ("", {"Host": "evil.example"}, "served to its own machine only"),
        (
            TOKEN,
            {"Cookie": "siampolar_console_PORT=wrong", "Origin": "URL"},
            "no token, or a wrong",
        ),
        (TOKEN, {"Origin": "URL"}, "no token, or a wrong one"),
        (TOKEN, {"Cookie": f"siampolar_console_PORT={TOKEN}"}, "may not use the console"),
    ],
)
def test_a_socket_is_refused_in_one_line(
    serve: Callable[..., Served], token: str, headers: dict[str, str], words: str
) -> None:
    at = serve(token)
    filled = {
        name: value.replace("PORT", str(at.port)).replace("URL", at.url)
        for name, value in headers.items()
    }

    async def work(client: Any) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.ws_connect(f"{at.url}/ws", headers=filled)
        assert refusal.value.status == 403

    run(work)
    assert any(words in warning for warning in at.robot.warnings)
    assert all(map(is_clear_line, at.robot.warnings))


def test_more_browsers_than_allowed_are_refused(serve: Callable[..., Served]) -> None:
    at = serve(max_browsers=2)

    async def work(client: Any) -> None:
        first = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        second = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        assert refusal.value.status == 503
        await first.close()
        await settled(lambda: len(at.server._browsers) == 1)
        assert await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        assert await text_of(second, "cameras")

    run(work)


def test_an_address_in_use_is_named(serve: Callable[..., Served]) -> None:
    at = serve()
    settings = replace(ConsoleSettings(), port=at.port)
    with pytest.raises(OSError, match="address already in use"):
        ConsoleServer(CountingRobot(), Access(""), lambda: settings).start()


# ---- what a browser gets -------------------------------------------------------------------


def test_two_browsers_get_what_they_watch_and_commands_are_answered(
    serve: Callable[..., Served],
) -> None:
    at = serve()

    async def work(client: Any) -> None:
        front = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        rear = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        hello = await text_of(front, "cameras")
        assert hello["cameras"] == ["/front/tracker", "/rear/tracker"] and hello["shapes"] == [
            "box"
        ]
        await front.send_json(watch())
        await rear.send_json(watch("/rear/tracker"))
        await settled(lambda: at.robot.watched == {"/front/tracker", "/rear/tracker"})
        at.robot.publish(1)
        at.robot.publish(2, "/rear/tracker")
        one, other = await picture_of(front), await picture_of(rear)
        assert (one["stamp"], one["size"], one["targets"][0]["id"]) == ("1", [64, 48], 1)
        assert other["stamp"] == "2"
        start = {
            "type": "start", "request": 5, "camera": "/front/tracker", "id": 7, "stamp": "1",
            "size": [64, 48], "shape": "box", "values": [1, 2, 3, 4],
        }  # fmt: skip
        await front.send_json(start)
        answer = await text_of(front, "answer")
        text = "target 7 is followed"
        assert answer == {"type": "answer", "request": 5, "ok": True, "id": 7, "text": text}
        status = await text_of(front, "status")
        assert status["camera"] == "/front/tracker" and set(status["strips"]) == {"1"}
        await front.close()
        await settled(lambda: at.robot.watched == {"/rear/tracker"})
        late = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await late.send_json(watch("/rear/tracker"))
        assert (await picture_of(late))["stamp"] == "2"  # which stands still
        await late.close()
        await rear.send_json(watch("", pictures=False))
        await settled(lambda: at.robot.watched == frozenset())

    run(work)
    assert [type(command) for command in at.robot.commands] == [Start]


def test_at_most_two_pictures_are_on_their_way_and_the_newest_comes_next(
    serve: Callable[..., Served],
) -> None:
    at = serve()

    async def work(client: Any) -> None:
        browser = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await browser.send_json(watch())
        await settled(lambda: at.robot.watched)
        stamps: list[str] = []
        for stamp_ns in range(1, 11):
            at.robot.publish(stamp_ns)
            await asyncio.sleep(0.05)
            while len(stamps) < min(stamp_ns, MAX_ON_THEIR_WAY):
                stamps.append((await picture_of(browser, shown=False))["stamp"])
        assert stamps == ["1", "2"]
        await browser.send_json({"type": "shown", "stamp": "2"})
        assert (await picture_of(browser))["stamp"] == "10"

    run(work)


def test_a_damaged_image_is_left_out(serve: Callable[..., Served]) -> None:
    at = serve()
    whole = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    without_pixels = whole[: whole.find(b"\xff\xda")]

    async def work(client: Any) -> None:
        browser = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await browser.send_json(watch())
        await settled(lambda: at.robot.watched)
        broken = StampedImage(1, CompressedFrame(without_pixels))
        at.robot.feeds["/front/tracker"].add_image(broken)
        await settled(lambda: at.robot.warnings)
        at.robot.publish(2)
        assert (await picture_of(browser))["stamp"] == "2"

    run(work)
    assert "JPEG image of 64x48 px" in at.robot.warnings[0]


# ---- what a bad browser costs --------------------------------------------------------------


def test_malformed_messages_are_refused_one_by_one(serve: Callable[..., Served]) -> None:
    """A thousand of them; test_console_abuse.py sends five thousand to the node."""
    at = serve()
    texts = malformed_texts(random.Random(2), 1000)

    async def send(client: Any, part: list[str]) -> int:
        browser = await client.ws_connect(f"{at.url}/ws", headers=at.headers(), max_msg_size=0)

        async def send_all() -> None:
            for text in part:
                await browser.send_str(text)

        sending = asyncio.create_task(send_all())
        refused = 0
        while refused < 0.9 * len(part):
            assert is_clear_line((await text_of(browser, "refused"))["text"])
            refused += 1
            if refused == len(part):
                break
        await sending
        await browser.close()
        return refused

    async def work(client: Any) -> None:
        count = len(texts) // 5
        parts = [texts[k * count : (k + 1) * count] for k in range(5)]
        await asyncio.gather(*(send(client, part) for part in parts))
        browser = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await browser.send_json(watch())
        await settled(lambda: at.robot.watched)
        at.robot.publish(1)
        assert (await picture_of(browser))["stamp"] == "1"

    run(work)
    assert len(at.robot.warnings) == len(texts)
    assert all(map(is_clear_line, at.robot.warnings)) and not at.robot.commands


def test_bytes_far_too_long_texts_and_no_http_at_all_end_only_themselves(
    serve: Callable[..., Served],
) -> None:
    at = serve()

    async def work(client: Any) -> None:
        good = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await good.send_json(watch())
        await settled(lambda: at.robot.watched)
        bad = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
        await bad.send_bytes(b"\0" * 1000)
        assert (await text_of(bad, "refused"))["text"] == "bytes instead of a text"
        await bad.send_str("x" * 1_000_000)
        at.robot.publish(1)
        assert (await picture_of(good))["stamp"] == "1"

    run(work)
    random_ = random.Random(3)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", at.port)) as raw:
            raw.sendall(random_.randbytes(random_.randrange(1, 3000)))
    run(lambda client: _is_served(client, at))


async def _is_served(client: Any, at: Served) -> None:
    async with client.get(at.url + "/") as answer:
        assert answer.status == 200


def test_a_browser_that_does_not_read_delays_no_other(serve: Callable[..., Served]) -> None:
    """Its socket takes what the system's buffers hold; then it gets nothing, and costs nothing."""
    at = serve()
    stop = threading.Event()

    def publish() -> None:
        stamp_ns = 1
        while not stop.wait(1 / 30):
            stamp_ns += 1
            at.robot.publish(stamp_ns, width=640)

    async def work(client: Any) -> list[float]:
        deaf = DeafBrowser(at.port, "/front/tracker")
        # It reports every picture as drawn, and reads none of them.
        await settled(lambda: at.robot.watched)
        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            good = await client.ws_connect(f"{at.url}/ws", headers=at.headers())
            await good.send_json(watch())
            times = []
            for k in range(90):
                header = await picture_of(good)
                if k % 2 == 0:
                    deaf.report_as_drawn(header["stamp"])
                times.append(time.monotonic())
        finally:
            stop.set()
            publisher.join()
            deaf.close()
        return times

    times = run(work)
    gaps = np.diff(times)
    # At 30 images per second; other work on the machine may hold one of them up.
    assert np.median(gaps) < 0.05 and np.sort(gaps)[-5] < 0.3
