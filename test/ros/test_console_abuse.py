"""Bad browsers at a real console next to a real tracker: the others notice nothing."""

from __future__ import annotations

import asyncio
import json
import random
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
pytest.importorskip("aiohttp", reason="needs aiohttp (extra console)")

import aiohttp

from siampolar_model.io.video import VideoWriter
from siampolar_ros.messages.conversions import stamp_to_ns
from siampolar_ros.msg import InitTarget
from support.deaf_browser import DeafBrowser
from support.malformed import is_clear_line
from support.malformed_texts import malformed_texts
from support.ros_graph import Graph

pytestmark = pytest.mark.slow

RATE_HZ = 15.0


class Robot:
    """Video, tracker with one target, and console."""

    def __init__(self, graph: Graph) -> None:
        self.graph, folder = graph, graph.folder
        noise = np.random.default_rng(7).integers(0, 256, (480, 640, 3), np.uint8)
        image = cv2.GaussianBlur(noise, (0, 0), 3)
        cv2.circle(image, (320, 240), 60, (0, 120, 255), cv2.FILLED)
        with VideoWriter(folder / "disc.mp4", RATE_HZ) as video:
            for _ in range(10):
                video.write(image)
        graph.start_tracker()
        self.camera = f"{graph.namespace}/tracker"
        self.console = graph.start("console_node", port=0, trackers=self.camera)
        graph.start("video_publisher_node", path=folder / "disc.mp4", loop=True, rate=RATE_HZ)
        graph.wait(lambda: graph.targets, 60, lambda: graph.log("tracker_node"))
        assert graph.ask(InitTarget(x=250.0, y=170.0, width=140.0, height=140.0)).success
        address = r"open http://127.0.0.1:(\d+)/"
        graph.wait(lambda: re.search(address, graph.log("console_node")), 60)
        self.port = int(re.findall(address, graph.log("console_node"))[0])

    @property
    def console_mb(self) -> float:
        status = Path("/proc", str(self.console.pid), "status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+)", status)
        assert resident is not None
        return int(resident.group(1)) / 1024

    def results_in(self, seconds: float) -> int:
        """How many images the tracker answers for in this time."""
        self.graph.targets.clear()
        self.graph.spin(seconds)
        return len({stamp_to_ns(one.header.stamp) for one in self.graph.targets})


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    graph = Graph(tmp_path)
    try:
        yield Robot(graph)
    finally:
        graph.close()


class GoodBrowser:
    """Reads and reports every picture, in a thread of its own."""

    def __init__(self, robot: Robot) -> None:
        self.stamps: list[str] = []
        self._url, self._camera = f"http://127.0.0.1:{robot.port}", robot.camera
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()))
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(20)

    async def _read(self) -> None:
        headers = {"Origin": self._url}
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{self._url}/ws", headers=headers) as browser,
        ):
            await browser.send_json({"type": "watch", "camera": self._camera, "pictures": True})
            while not self._stop.is_set():
                message = await browser.receive(timeout=20)
                if message.type is aiohttp.WSMsgType.BINARY:
                    (length,) = struct.unpack_from("<I", message.data)
                    self.stamps.append(json.loads(message.data[4 : 4 + length])["stamp"])
                    await browser.send_json({"type": "shown", "stamp": self.stamps[-1]})


@pytest.fixture
def good(robot: Robot) -> Iterator[GoodBrowser]:
    made = GoodBrowser(robot)
    robot.graph.wait(lambda: len(made.stamps) > 5, 30, lambda: robot.graph.log("console_node"))
    yield made
    made.close()


def test_a_browser_that_stops_reading_for_a_minute_changes_nothing(
    robot: Robot, good: GoodBrowser
) -> None:
    """Neither for another browser nor for the tracker, and the console keeps its size."""
    seconds = 20.0
    shown = len(good.stamps)
    results = robot.results_in(seconds)
    shown = len(good.stamps) - shown
    assert shown > 2 * seconds  # also on a busy machine; what follows is compared with it

    deaf = [DeafBrowser(robot.port, robot.camera)]
    ended = threading.Event()

    def stay_deaf() -> None:
        """It reports what the good one was shown, and comes again when it was shown out."""
        while not ended.wait(1 / RATE_HZ):
            try:
                deaf[-1].report_as_drawn(good.stamps[-1])
            except OSError:
                deaf.append(DeafBrowser(robot.port, robot.camera))

    thread = threading.Thread(target=stay_deaf)
    thread.start()
    try:
        robot.graph.spin(5.0)
        before_mb, before = robot.console_mb, len(good.stamps)
        counts = []
        for _ in range(3):
            began = len(good.stamps)
            counts.append((robot.results_in(seconds), len(good.stamps) - began))
    finally:
        ended.set()
        thread.join()
        for one in deaf:
            one.close()
    # Other work on the machine may take its share from one of the three.
    assert np.median([one for one, _ in counts]) > 0.9 * results, (counts, results)
    assert np.median([one for _, one in counts]) > 0.9 * shown, (counts, shown)
    assert len(good.stamps) - before > 0.8 * 3 * shown
    assert robot.console_mb < before_mb + 10
    assert len(deaf) < 5 and robot.console.poll() is None


def test_5000_malformed_messages_are_refused_one_by_one_and_pictures_go_on(
    robot: Robot, good: GoodBrowser
) -> None:
    texts = malformed_texts(random.Random(5), 5000)
    refusals: list[str] = []

    async def send(client: Any, part: list[str]) -> None:
        url = f"http://127.0.0.1:{robot.port}"
        browser = await client.ws_connect(f"{url}/ws", headers={"Origin": url})
        sending = asyncio.create_task(_send_all(browser, part))
        count = 0
        while count < len(part):
            message = await browser.receive(timeout=30)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            content = json.loads(message.data)
            if content["type"] == "refused":
                refusals.append(content["text"])
                count += 1
        await sending
        await browser.close()

    async def send_from_five() -> None:
        async with aiohttp.ClientSession() as client:
            await asyncio.gather(*(send(client, texts[k::5]) for k in range(5)))

    def shown_per_s(work: Callable[[], object]) -> float:
        began, count = time.monotonic(), len(good.stamps)
        work()
        return (len(good.stamps) - count) / (time.monotonic() - began)

    def refuse_all() -> None:
        asyncio.run(asyncio.wait_for(send_from_five(), 120))

    before = shown_per_s(lambda: robot.graph.spin(5.0))
    during = shown_per_s(refuse_all)
    after = shown_per_s(lambda: robot.graph.spin(5.0))
    assert len(refusals) == len(texts) == 5000 and all(map(is_clear_line, refusals))
    # The sender takes its share of this machine as well.
    assert during > 0.3 * min(before, after), (before, during, after)
    assert robot.console.poll() is None and robot.results_in(2) > 0
    log = robot.graph.log("console_node")
    assert "Traceback" not in log and "[ERROR]" not in log


async def _send_all(browser: Any, texts: list[str]) -> None:
    for text in texts:
        await browser.send_str(text)
