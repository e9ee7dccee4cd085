"""The other process of the node's benchmark: publishes images like a camera, receives the targets.

Both ends of every latency are measured here, by one clock. Images are serialised beforehand,
because a camera's driver in C++ spends next to no time on that. Takes a request as JSON on the
command line and writes one line of JSON to standard output.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siampolar_model.bench.clip import load_clip
from siampolar_model.bench.results import NodeResult
from siampolar_model.errors import BenchError, SiampolarError
from siampolar_model.evaluation.timing import Percentiles
from siampolar_model.geometry.box import Box
from siampolar_model.results import TargetState

from ..messages.conversions import message_from_bgr, stamp_to_ns
from ..msg import InitResult, InitTarget, Targets
from ..runtime.run import one_line

#: How many frames of the video are played, forwards and backwards.
_FRAMES = 30

#: Seconds for the target to start, to settle, and for the last results to arrive.
_START_S, _SETTLE_S, _LINGER_S = 60.0, 2.0, 1.0

#: The stamp of a serialised message that begins with a header: after four bytes, little-endian.
_STAMP = struct.Struct("<iI")
_STAMP_AT = 4


@dataclass(frozen=True)
class Request:
    """What to publish.

    Attributes:
        node_pid: process of the tracker, whose processor time and memory are measured.
        box_xywh: the target on the first frame, in pixels of the video.
    """

    namespace: str
    node_pid: int
    video: str
    first: int
    last: int | None
    box_xywh: tuple[float, float, float, float]
    image_size: tuple[int, int]
    rate_hz: float
    seconds: float


class Camera(Node):
    """Publishes ``image`` and listens to the tracker in its namespace."""

    def __init__(self, request: Request) -> None:
        super().__init__("camera", namespace=request.namespace)
        last = request.first + _FRAMES - 1
        last = last if request.last is None else min(last, request.last)
        images, self._box = load_clip(
            Path(request.video),
            request.first,
            last,
            Box.from_xywh(*request.box_xywh),
            request.image_size,
        )
        self._size = request.image_size
        self._period_s = 1 / request.rate_hz
        self._messages = [_serialised(image) for image in images]
        self._order = [*range(len(images)), *range(len(images) - 2, 0, -1)]
        self._images = self.create_publisher(Image, "image", QoSProfile(depth=10))
        deep = QoSProfile(depth=1000)
        self._inits = self.create_publisher(InitTarget, "tracker/init_target", deep)
        self.create_subscription(Targets, "tracker/targets", self._on_targets, deep)
        self.create_subscription(InitResult, "tracker/init_result", self._on_answer, deep)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._tracker = f"{request.namespace.lstrip('/')}/tracker: tracker"
        #: Figures of the node's diagnostics while playing, by name.
        self.reported: dict[str, list[float]] = defaultdict(list)
        self._sent: set[int] = set()
        self.latency_s: dict[int, float] = {}
        self.tracking = 0
        self._started = False
        self._refused = ""

    def start_target(self, executor: SingleThreadedExecutor) -> None:
        """Show the first frame until the target is there.

        Raises:
            BenchError: it was refused, or nothing came.
        """
        end = time.monotonic() + _START_S
        while not self._started:
            if self._refused or time.monotonic() > end:
                raise BenchError(self._refused or f"no targets from the node in {_START_S:g} s")
            self._publish(0)
            x, y, width, height = self._box.as_xywh()
            image_width, image_height = self._size
            self._inits.publish(
                InitTarget(
                    id=1, x=x, y=y, width=width, height=height,
                    image_width=image_width, image_height=image_height,
                )
            )  # fmt: skip
            _spin(executor, time.monotonic() + 0.2)

    def play(self, executor: SingleThreadedExecutor, seconds: float) -> int:
        """Publish for some seconds, forgetting all earlier images; returns how many images."""
        self._sent, self.latency_s, self.tracking = set(), {}, 0
        self.reported.clear()
        start = time.monotonic()
        count = round(seconds / self._period_s)
        for step in range(count):
            _spin(executor, start + step * self._period_s)
            self._sent.add(self._publish(self._order[step % len(self._order)]))
        return count

    def _publish(self, index: int) -> int:
        head, rest = self._messages[index]
        stamp_ns = time.time_ns()
        stamp = _STAMP.pack(*divmod(stamp_ns, 1_000_000_000))
        self._images.publish(head + stamp + rest)
        return stamp_ns

    def _on_targets(self, message: Targets) -> None:
        now_ns = time.time_ns()
        self._started |= bool(message.targets)
        stamp_ns = stamp_to_ns(message.header.stamp)
        if stamp_ns in self._sent and stamp_ns not in self.latency_s:
            self.latency_s[stamp_ns] = (now_ns - stamp_ns) / 1e9
            self.tracking += any(one.state == TargetState.TRACKING for one in message.targets)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._tracker:
                for value in status.values:
                    if value.key.endswith(", ms"):
                        self.reported[value.key].append(float(value.value))

    def _on_answer(self, message: InitResult) -> None:
        self._refused = self._refused or refusal(message)


def refusal(answer: InitResult) -> str:
    """What the node has against the target; empty if it may still take it.

    Until the target is there, the camera asks again and again. An init from before the first image
    is refused once it has waited too long, and one that a slow node has not read yet is replaced by
    the next one.
    """
    if answer.success or "no image" in answer.message or "took its place" in answer.message:
        return ""
    return f"the node refused the target: {answer.message}"


def measure(request: Request) -> NodeResult:
    """One rate and one image size.

    Raises:
        BenchError: no target could be started, or no image came through.
    """
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    camera = Camera(request)
    executor.add_node(camera)
    try:
        camera.start_target(executor)
        camera.play(executor, _SETTLE_S)
        cpu_s, began = _cpu_s(request.node_pid), time.monotonic()
        sent = camera.play(executor, request.seconds)
        cpu_s, wall_s = _cpu_s(request.node_pid) - cpu_s, time.monotonic() - began
        _spin(executor, time.monotonic() + _LINGER_S)
    finally:
        executor.shutdown()
        camera.destroy_node()
        rclpy.try_shutdown()
    received = len(camera.latency_s)
    if not received:
        raise BenchError("no image came through; see the log of the node")
    latency_ms = Percentiles.of_seconds(list(camera.latency_s.values()))
    return NodeResult(
        image_size=request.image_size,
        rate_hz=request.rate_hz,
        sent=sent,
        lost=sent - received,
        tracking=camera.tracking / received,
        latency_ms=latency_ms,
        node_cpu=cpu_s / wall_s,
        node_memory_mb=_resident_mb(request.node_pid),
        stages_ms=stages_ms(latency_ms.p50, camera.reported),
    )


def stages_ms(latency_p50_ms: float, reported: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Where the time from stamp to targets goes, by name; empty without diagnostics.

    Args:
        latency_p50_ms: from an image's stamp until its targets came back.
        reported: what the node said every second, by the names of its diagnostics.
    """
    means = {name: sum(values) / len(values) for name, values in reported.items()}
    inside = means.pop("latency from arrival p50, ms", None)
    if inside is None:
        return {}
    ending = " per image, ms"
    parts = {name[: -len(ending)]: ms for name, ms in means.items() if name.endswith(ending)}
    outputs = sum(parts.pop(name) for name in list(parts) if name.startswith("~/"))
    known = {"decoding": parts.pop("decoding", 0.0), "the engine": parts.pop("the engine", 0.0)}
    return {
        "there and back": latency_p50_ms - inside,
        "waiting": inside - sum(known.values()) - outputs - sum(parts.values()),
        **known,
        "publishing": outputs + sum(parts.values()),
    }


def _serialised(image: np.ndarray) -> tuple[bytes, bytes]:
    """A message before and after its stamp."""
    data = serialize_message(message_from_bgr(image, Header(frame_id="camera")))
    if not data[1] & 1:
        raise BenchError("the middleware writes big-endian messages")
    return data[:_STAMP_AT], data[_STAMP_AT + _STAMP.size :]


def _spin(executor: SingleThreadedExecutor, until: float) -> None:
    """Serve callbacks until a time of the monotonic clock."""
    while (left := until - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)


def _cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(args: Sequence[str] | None = None) -> int:
    fields = json.loads((sys.argv[1:] if args is None else args)[0])
    for name in ("box_xywh", "image_size"):
        fields[name] = tuple(fields[name])
    answer: dict[str, Any]
    try:
        answer = {"result": asdict(measure(Request(**fields)))}
    except (SiampolarError, OSError) as error:
        answer = {"error": one_line(error)}
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
