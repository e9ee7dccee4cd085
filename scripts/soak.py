"""Runs the tracker node for minutes and fails if it leaks, loses images or slows down.

    make soak MINUTES=10

A process publishes 1280x720 at 30 Hz over DDS: three textured patches that move on a textured
background. The node follows them with the shipped network, while targets are started (also on
images of the past), started again, removed and reset at random. Once a second its memory, threads
and files are noted; OUT/soak.json and OUT/soak.png hold everything.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from siampolar_ros.messages.conversions import message_from_bgr, stamp_from_ns, stamp_to_ns
from siampolar_ros.msg import InitResult, InitTarget, Targets
from siampolar_ros.srv import Remove

WIDTH, HEIGHT, RATE_HZ, SIDE = 1280, 720, 30.0, 96
NAMESPACE = "/soak"
PATCHES = 3

#: Seconds between two things that the operator does.
_EVERY_S = (1.0, 4.0)


class SoakError(RuntimeError):
    """The run cannot go on; one line."""


# ---- the camera, a process of its own -----------------------------------------------------------


def patch_xy(patch: int, stamp_ns: int) -> tuple[int, int]:
    """Top left corner of a patch in the image of this stamp."""
    t = stamp_ns / 1e9
    x = WIDTH / 2 + WIDTH * 0.35 * math.sin(t * (0.31 + 0.05 * patch) + 2 * patch) - SIDE / 2
    y = HEIGHT / 2 + HEIGHT * 0.3 * math.sin(t * (0.43 + 0.03 * patch) + patch) - SIDE / 2
    return round(x), round(y)


def run_camera() -> int:
    """Publish until a line comes in, then print how many images were sent."""
    random_ = np.random.default_rng(1)
    noise = random_.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    background = cv2.GaussianBlur(noise, (0, 0), 6)
    cells = random_.integers(0, 256, (PATCHES, 6, 6, 3), np.uint8)
    patches = [cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) for c in cells]
    rclpy.init(args=[])
    node = Node("camera", namespace=NAMESPACE)
    publisher = node.create_publisher(Image, "image", QoSProfile(depth=10))
    while publisher.get_subscription_count() < 1:
        time.sleep(0.1)
    time.sleep(2.0)  # both sides know each other now: nothing that is sent may be missing
    sent, due = 0, time.monotonic()
    stopped = _Line()
    while not stopped.came():
        stamp_ns = time.time_ns()
        image = background.copy()
        for index, patch in enumerate(patches):
            x, y = patch_xy(index, stamp_ns)
            image[y : y + SIDE, x : x + SIDE] = patch
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera")
        publisher.publish(message_from_bgr(image, header))
        sent += 1
        # Never faster than a camera: when this process was held up, the rest is late as well.
        due = max(due + 1 / RATE_HZ, time.monotonic() + 0.5 / RATE_HZ)
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(2.0)
    print(sent, flush=True)
    return 0


class _Line:
    """Whether a line came on standard input."""

    def __init__(self) -> None:
        self._came = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        sys.stdin.readline()
        self._came.set()

    def came(self) -> bool:
        return self._came.is_set()


# ---- the operator, in this process --------------------------------------------------------------


@dataclass
class Seconds:
    """What was measured once a second, and of every result."""

    at_s: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)
    result_at_s: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    tracking: list[int] = field(default_factory=list)


class Operator(Node):
    """Starts, restarts, removes and resets targets at random, and takes the time of results."""

    def __init__(self, seed: int) -> None:
        super().__init__("operator", namespace=NAMESPACE)
        self.noted = Seconds()
        self.began_s = time.monotonic()
        self.asked = self.answered = self.started = 0
        self._random = random.Random(seed)
        self._ids: list[int] = []
        self._stamps: list[int] = []
        deep = QoSProfile(depth=1000)
        self.create_subscription(Targets, "tracker/targets", self._on_targets, deep)
        self.create_subscription(InitResult, "tracker/init_result", self._on_answer, deep)
        self._init = self.create_publisher(InitTarget, "tracker/init_target", deep)
        self._remove = self.create_client(Remove, "tracker/remove")
        self._reset = self.create_client(Trigger, "tracker/reset")

    def act(self) -> None:
        """Do one thing."""
        choice = self._random.random()
        if choice < 0.1:
            self._reset.call_async(Trigger.Request())
        elif choice < 0.25 and self._ids:
            self._remove.call_async(Remove.Request(id=self._random.choice(self._ids)))
        elif self._stamps:
            again = self._random.choice(self._ids) if len(self._ids) >= PATCHES else 0
            self._ask(again)

    def _ask(self, id: int) -> None:
        late = self._random.choice((1, 1, 5, 15))  # images ago
        stamp_ns = self._stamps[-min(late, len(self._stamps))]
        x, y = patch_xy(self._random.randrange(PATCHES), stamp_ns)
        message = InitTarget(
            id=id, x=float(x), y=float(y), width=float(SIDE), height=float(SIDE),
            image_width=WIDTH, image_height=HEIGHT,
        )  # fmt: skip
        message.header.stamp = stamp_from_ns(stamp_ns)
        self._init.publish(message)
        self.asked += 1

    def _on_targets(self, message: Targets) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._ids = [target.id for target in message.targets]
        if self._stamps and stamp_ns <= self._stamps[-1]:
            return  # reported again, because a target has joined or gone
        self._stamps = [*self._stamps[-30:], stamp_ns]
        self.noted.result_at_s.append(time.monotonic() - self.began_s)
        self.noted.latency_ms.append((time.time_ns() - stamp_ns) / 1e6)
        self.noted.tracking.append(sum(target.state == 1 for target in message.targets))

    def _on_answer(self, message: InitResult) -> None:
        self.answered += 1
        self.started += message.success

    def note(self, pid: int) -> None:
        proc = Path("/proc", str(pid))
        rss_kb = re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())
        assert rss_kb is not None
        self.noted.at_s.append(time.monotonic() - self.began_s)
        self.noted.rss_mb.append(int(rss_kb.group(1)) / 1024)
        self.noted.threads.append(len(list((proc / "task").iterdir())))
        self.noted.fds.append(len(list((proc / "fd").iterdir())))

    def run(self, seconds: float, tracker: subprocess.Popen[bytes]) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(self)
        note_s = act_s = self.began_s
        while (now_s := time.monotonic()) < self.began_s + seconds:
            if tracker.poll() is not None:
                raise SoakError(f"the tracker ended with {tracker.returncode}")
            if now_s >= note_s:
                self.note(tracker.pid)
                note_s += 1.0
            if now_s >= act_s:
                self.act()
                act_s = now_s + self._random.uniform(*_EVERY_S)
            executor.spin_once(timeout_sec=0.05)
        end_s = time.monotonic() + 3.0  # for answers still on their way
        while time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.05)
        executor.shutdown()


# ---- the verdict --------------------------------------------------------------------------------


def judge(noted: Seconds, figures: dict[str, Any]) -> list[str]:
    """What is wrong, one line each; ``figures`` is filled."""
    problems = []
    at_s, result_s = np.array(noted.at_s), np.array(noted.result_at_s)
    if not len(result_s):
        return ["there is no result at all"]
    warm_s = float(result_s[0] + min(60.0, (at_s[-1] - result_s[0]) / 3))
    warm = at_s >= warm_s
    rss, threads, fds = (np.array(v)[warm] for v in (noted.rss_mb, noted.threads, noted.fds))
    tenth = max(5, len(rss) // 10)
    first_mb, last_mb = float(np.median(rss[:tenth])), float(np.median(rss[-tenth:]))
    growth = last_mb / first_mb - 1
    figures |= {"warm_up_s": warm_s, "rss_mb": [first_mb, last_mb], "rss_growth": growth}
    if growth >= 0.01:
        problems.append(f"memory grew by {growth:.2%}, from {first_mb:.1f} to {last_mb:.1f} MB")
    for name, values in (("threads", threads), ("fds", fds)):
        figures[name] = [int(values.min()), int(values.max())]
        if values.min() != values.max():
            problems.append(f"{name} vary between {values.min()} and {values.max()}")
    latency = np.array(noted.latency_ms)
    middle_s = (warm_s + result_s[-1]) / 2
    halves = [latency[(result_s >= warm_s) & (result_s < middle_s)], latency[result_s >= middle_s]]
    p99 = [float(np.percentile(half, 99)) for half in halves]
    figures["latency_ms"] = {
        f"p{q}": float(np.percentile(latency[result_s >= warm_s], q)) for q in (50, 95, 99)
    } | {"p99_of_halves": p99}
    if p99[1] > 2 * p99[0] + 10:
        problems.append(f"p99 latency went from {p99[0]:.1f} to {p99[1]:.1f} ms")
    sent, received = figures["sent"], figures["received"]
    if received != sent or figures["lost"]:
        problems.append(f"{sent} images sent, {received} received, {figures['lost']} lost")
    if figures["processed"] + figures["skipped"] != received:
        problems.append(f"{received} received are not processed + skipped")
    if figures["inits"]["answered"] != figures["inits"]["asked"]:
        problems.append("{asked} inits asked for, {answered} answered".format(**figures["inits"]))
    tracked = float(np.mean(np.array(noted.tracking) > 0))
    figures["images_with_a_tracked_target"] = tracked
    if tracked < 0.5:
        problems.append(f"only {tracked:.0%} of the images have a target that is being tracked")
    return problems


def plot(noted: Seconds, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    axes[0].plot(noted.at_s, noted.rss_mb)
    axes[0].set_ylabel("memory, MB")
    axes[1].plot(noted.at_s, noted.threads, label="threads")
    axes[1].plot(noted.at_s, noted.fds, label="file descriptors")
    axes[1].legend(loc="upper right", fontsize="small")
    result_s, latency = np.array(noted.result_at_s), np.array(noted.latency_ms)
    seconds = result_s.astype(int)
    for percent in (50, 99):
        each = [float(np.percentile(latency[seconds == s], percent)) for s in np.unique(seconds)]
        axes[2].plot(np.unique(seconds), each, label=f"p{percent}")
    axes[2].legend(loc="upper right", fontsize="small")
    axes[2].set_ylabel("stamp to result, ms")
    axes[3].plot(result_s, noted.tracking, linewidth=0.8)
    axes[3].set(xlabel="seconds", ylabel="targets tracked")
    figure.savefig(path, dpi=120)


def run_soak(minutes: float, out: Path, seed: int) -> int:
    out.mkdir(parents=True, exist_ok=True)
    # Other nodes on this machine that come and go would show in the counts of threads and files.
    os.environ["ROS_DOMAIN_ID"] = str(10 + os.getpid() % 90)
    log = out / "tracker.log"
    ros = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
    with log.open("wb") as file:
        tracker = subprocess.Popen(
            [sys.executable, "-m", "siampolar_ros.nodes.tracker_node", *ros],
            stdout=file,
            stderr=file,
        )
    camera = subprocess.Popen(
        [sys.executable, __file__, "--camera"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    rclpy.init(args=[])
    operator = Operator(seed)
    try:
        operator.run(60 * minutes, tracker)
        sent, _ = camera.communicate(b"\n", timeout=60)
    except SoakError as error:
        print(f"soak: {error}; its log is {log}", file=sys.stderr)
        return 1
    finally:
        operator.destroy_node()
        rclpy.try_shutdown()
        for child in (camera, tracker):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.wait(timeout=60)
    counted = re.findall(r"(received|processed|skipped|lost) (\d+)", log.read_text())
    figures: dict[str, Any] = {
        "minutes": minutes,
        "seed": seed,
        "sent": int(sent),
        **dict.fromkeys(("received", "processed", "skipped", "lost"), 0),
        **{name: int(count) for name, count in counted},
        "inits": {
            "asked": operator.asked, "answered": operator.answered, "started": operator.started
        },
    }  # fmt: skip
    problems = judge(operator.noted, figures)
    figures["problems"] = problems
    (out / "soak.json").write_text(json.dumps(figures | {"noted": asdict(operator.noted)}) + "\n")
    plot(operator.noted, out / "soak.png")
    print(json.dumps(figures, indent=1))
    for problem in problems:
        print(f"soak: {problem}", file=sys.stderr)
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("soak_out"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--camera", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.camera:
        return run_camera()
    return run_soak(arguments.minutes, arguments.out, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
