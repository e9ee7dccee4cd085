"""The processes of the demo, each with its log."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from siampolar_model.errors import SiampolarError


class DemoError(SiampolarError, RuntimeError):
    """The demo cannot go on; the message is one clear line."""


class Children:
    """The processes of the demo, each with its log; they end with the demo, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []

    def start(self, module: str, namespace: str, parameters: dict[str, Any]) -> int:
        """Run a node's module; returns its process id."""
        command = [sys.executable, "-m", f"siampolar_ros.nodes.{module}", "--ros-args"]
        command += ["-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            # Quoted for YAML, so that a file called "123" or "a: b" stays text.
            text = "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else value
            command += ["-p", f"{name}:={text}"]
        log = (self._folder / f"{module}.log").open("wb")
        self._logs.append(log)
        self._running[module] = subprocess.Popen(command, stdout=log, stderr=log)
        return self._running[module].pid

    def ended(self, module: str) -> bool:
        return self._running[module].poll() is not None

    def check(self, *modules: str) -> None:
        """Raise if one of these has ended.

        Raises:
            DemoError: with the last line of its log.
        """
        for module in modules:
            if self.ended(module):
                name = module.removesuffix("_node").replace("_", " ")
                raise DemoError(f"the {name} ended: {self.last_line(module)}")

    def log(self, module: str) -> str:
        """All that a process has written so far."""
        return (self._folder / f"{module}.log").read_text(errors="replace")

    def last_line(self, module: str) -> str:
        """The last error in a process's log, else its last line."""
        lines = self.log(module).splitlines()
        errors = [line for line in lines if "[ERROR]" in line or "[FATAL]" in line]
        return (errors or lines or ["no output"])[-1].split("]: ", 1)[-1]

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in self._running.values():
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for log in self._logs:
            log.close()
