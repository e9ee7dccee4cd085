"""A camera, a tracker and an operator as processes over real DDS, to do harm to.

Nothing of ROS runs in the test's own process, so that each test chooses the middleware's settings.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siampolar_ros.runtime.environment import dds_environment, local_environment

HERE = Path(__file__).resolve().parent
TRACKING, LOST = 1, 3
#: Images are most of a tracker's memory: it shall soon have them all.
HISTORY_S = 1.0
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    fds: int
    threads: int
    rss_mb: float


class Child:
    """A process: its lines of standard output, its log, and what it holds."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log_path = log
        self.lines: list[str] = []
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def pid(self) -> int:
        """Of the Python process; ``ip netns exec`` replaces itself by it."""
        return self.process.pid

    @property
    def usage(self) -> Usage:
        proc = Path("/proc", str(self.pid))
        rss_kb = re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())
        assert rss_kb is not None
        return Usage(
            len(list((proc / "fd").iterdir())),
            len(list((proc / "task").iterdir())),
            int(rss_kb.group(1)) / 1024,
        )

    def settled_usage(self) -> Usage:
        """Once its history is full."""
        time.sleep(2 * HISTORY_S)
        return self.usage

    def end(self) -> int:
        """SIGINT and its exit code.

        Raises:
            AssertionError: it does not end.
        """
        self.interrupt()
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} does not end: {self.log[-1000:]}") from None

    def interrupt(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGINT)


class Bench:
    """A namespace of its own.

    Args:
        folder: for logs.
        profile: use the shipped Fast DDS profile.
        udp: no shared memory.
    """

    def __init__(self, folder: Path, *, profile: bool = True, udp: bool = False) -> None:
        self.folder = folder
        self.namespace = f"/fault_{os.getpid()}_{next(_NUMBERS)}"
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FASTDDS_", "FASTRTPS_", "MALLOC_"))
        }
        self.env = {**clean, **local_environment(clean)}
        # Other nodes that come and go on this machine would show in threads and files.
        # The doubles are modules of this package.
        self.env["PYTHONPATH"] = os.pathsep.join((str(HERE.parent), clean.get("PYTHONPATH", "")))
        self.env["ROS_DOMAIN_ID"] = str(10 + os.getpid() % 90)
        if profile and not udp:
            self.env.update(dds_environment(clean))
        if udp:
            self.env["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
        self.children: list[Child] = []
        self.operator: Child

    def start(
        self,
        name: str,
        *arguments: object,
        netns: str = "",
        remap: Mapping[str, str] | None = None,
        **parameters: object,
    ) -> Child:
        """Run a script of this folder, or a module of siampolar_ros, in this namespace."""
        script = HERE / f"{name}.py"
        command = ["ip", "netns", "exec", netns] if netns else []
        command += [sys.executable]
        package = "support" if script.is_file() else "siampolar_ros.nodes"
        command += ["-m", f"{package}.{name}"]
        command += [*map(str, arguments), "--ros-args", "-r", f"__ns:={self.namespace}"]
        for old, new in (remap or {}).items():
            command += ["-r", f"{old}:={new}"]
        if name == "tracker_double":
            parameters = {"history_s": HISTORY_S, **parameters}
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        child = Child(name, command, self.env, self.folder / f"{name}.log")
        self.children.append(child)
        return child

    def open(self, camera: tuple[object, ...] = (), **parameters: object) -> tuple[Child, Child]:
        """Camera, tracker (with a test double for its engine) and operator; the first two."""
        tracker = self.start("tracker_double", **parameters)
        self.operator = self.start("operator_double")
        return self.start("camera_double", *camera), tracker

    def close(self) -> None:
        """End everything; the tracker must do so in order."""
        for child in self.children:
            child.interrupt()
        problems = []
        for child in self.children:
            try:
                code = child.end()
            except AssertionError as error:
                problems.append(str(error))
                continue
            if child.name == "tracker_double" and (code or "Traceback" in child.log):
                problems.append(f"{child.name} ended with {code}: {child.log[-2000:]}")
        assert problems == []

    # ---- what the operator hears ------------------------------------------------------------

    def events(self, key: str, since: int = 0) -> list[dict[str, Any]]:
        """Messages with this key, after the first ``since`` lines."""
        found = (json.loads(line) for line in self.operator.lines[since:])
        return [event for event in found if key in event]

    @property
    def mark(self) -> int:
        """How many lines there are, to ask for later ones."""
        return len(self.operator.lines)

    def wait(
        self, condition: Callable[[], Any], seconds: float = 60, why: str = "nothing came"
    ) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            logs = "\n".join(f"{c.name}: {c.log[-1500:]}" for c in self.children)
            assert time.monotonic() < end, f"{why} in {seconds:g} s\n{logs}"
            time.sleep(0.05)
        return found

    def stream(self, results: int = 10, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait for this number of results from now on, and return them."""
        mark = self.mark
        self.wait(lambda: len(self.events("targets", mark)) >= results, seconds, "no results")
        return self.events("targets", mark)

    def states(self, seconds: float = 60) -> dict[int, int]:
        """State of each target in the next results."""
        return {int(id): state for id, state in self.stream(2, seconds)[-1]["targets"].items()}

    def init(self, box: tuple[float, ...], **more: object) -> list[dict[str, Any]]:
        """Ask for a target until there is an answer (requests are lost before nodes have met)."""
        for _ in range(60):
            mark = self.mark
            self.operator.tell(json.dumps({"init": list(box), **more}))
            end = time.monotonic() + 3
            while time.monotonic() < end:
                if answers := self.events("success", mark):
                    return answers
                time.sleep(0.05)
        raise AssertionError("no answer to an init")

    def follow(self, box: tuple[float, ...], **more: object) -> int:
        """Start a target and wait until it is tracked; its id."""
        self.stream(3)
        (answer, *_) = self.init(box, **more)
        assert answer["success"], answer
        id = int(answer["id"])
        self.wait(lambda: self.states().get(id) == TRACKING)
        return id
