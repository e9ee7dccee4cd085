"""What the console costs the tracker next to it: fails if that is more than it may be.

    make console-cost MINUTES=10

The cyclist of the demo at 1280x720 and 30 Hz over DDS, one target: a minute without the console,
MINUTES with it and one browser, and another minute without it. The browser is a client that reads
and acknowledges pictures as the page does: a real one runs on another machine, and its drawing
would be measured here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from siampolar_ros.bench.camera import Request
from siampolar_ros.demo.children import Children
from siampolar_ros.demo.default_clip import default_clip
from siampolar_ros.runtime.environment import dds_environment, local_environment

SIZE, RATE_HZ, WITHOUT_S = (1280, 720), 30.0, 60.0

#: What the console may cost: ms of the 95th percentile, share of a core, growth of its memory.
MAX_P95_MS, MAX_CPU, MAX_GROWTH = 3.0, 0.30, 0.01


@dataclass
class Usage:
    """Of a process, once a second."""

    cpu_s: list[float]
    rss_mb: list[float]

    def note(self, pid: int) -> None:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        self.cpu_s.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        self.rss_mb.append(int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)


async def browse(url: str, camera: str) -> None:
    """Show pictures until a line comes in, then print how many there were."""
    import aiohttp

    count = 0
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{url}ws", headers={"Origin": url.rstrip("/")}) as socket,
    ):
        await socket.send_json({"type": "watch", "camera": camera, "pictures": True})
        while not ended.done():
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                (length,) = struct.unpack_from("<I", message.data)
                stamp = json.loads(message.data[4 : 4 + length])["stamp"]
                await socket.send_json({"type": "shown", "stamp": stamp})
                count += 1
    print(count, flush=True)


def play(namespace: str, tracker_pid: int, seconds: float, usage: Usage, pid: int | None) -> dict:
    """Publish and measure; a process's usage is noted meanwhile."""
    clip = default_clip()
    request = Request(
        namespace, tracker_pid, str(clip.path), clip.first, clip.last, clip.box_xywh, SIZE,
        RATE_HZ, seconds,
    )  # fmt: skip
    command = [sys.executable, "-m", "siampolar_ros.bench.camera", json.dumps(asdict(request))]
    camera = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while camera.poll() is None:
        time.sleep(1.0)
        if pid is not None:
            usage.note(pid)
    assert camera.stdout is not None
    answer: dict[str, Any] = json.loads(camera.stdout.read().splitlines()[-1])
    if "error" in answer:
        raise SystemExit(f"console-cost: {answer['error']}")
    return dict(answer["result"])


def run(minutes: float) -> int:
    os.environ.update({**dds_environment(), **local_environment()})
    namespace = f"/console_cost_{os.getpid()}"
    usage = Usage([], [])
    with TemporaryDirectory() as folder, Children(Path(folder)) as children:
        tracker = children.start("tracker_node", namespace, {})
        before = play(namespace, tracker, WITHOUT_S, usage, None)
        with Children(Path(folder)) as others:
            names = {"port": 0, "trackers": f"{namespace}/tracker"}
            console = others.start("console_node", namespace, names)
            while not (found := re.search(r"open (\S+)", others.log("console_node"))):
                others.check("console_node")
                time.sleep(0.1)
            command = [sys.executable, __file__, "--browse", found.group(1)]
            browser = subprocess.Popen(
                [*command, f"{namespace}/tracker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            beside = play(namespace, tracker, 60 * minutes, usage, console)
            shown = int(browser.communicate("\n", timeout=30)[0])
        after = play(namespace, tracker, WITHOUT_S, usage, None)
    quarter = len(usage.rss_mb) // 4
    tenth = max(5, len(usage.rss_mb) // 10)
    early, late = (
        np.median(usage.rss_mb[quarter : quarter + tenth]),
        np.median(usage.rss_mb[-tenth:]),
    )
    p95 = {name: part["latency_ms"]["p95"] for name, part in
           (("before", before), ("beside", beside), ("after", after))}  # fmt: skip
    figures = {
        "latency_p95_ms": p95,
        "p95_growth_ms": p95["beside"] - (p95["before"] + p95["after"]) / 2,
        "images_lost": [part["lost"] for part in (before, beside, after)],
        "console_cpu": (usage.cpu_s[-1] - usage.cpu_s[quarter]) / (len(usage.cpu_s) - 1 - quarter),
        "console_memory_mb": [float(early), float(late)],
        "pictures_per_s": shown / (60 * minutes),
    }
    print(json.dumps(figures, indent=1))
    bars = [
        ("growth of the tracker's p95, ms", figures["p95_growth_ms"], MAX_P95_MS),
        ("share of a core", figures["console_cpu"], MAX_CPU),
        ("growth of the console's memory, as a share", late / early - 1, MAX_GROWTH),
    ]
    for name, value, most in bars:
        verdict = "ok" if value <= most else "TOO MUCH"
        print(f"console-cost: {name}: {value:.3f}, at most {most:g}: {verdict}")
    return int(any(value > most for _, value, most in bars))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--browse", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.browse:
        asyncio.run(browse(*arguments.browse))
        return 0
    return run(arguments.minutes)


if __name__ == "__main__":
    sys.exit(main())
