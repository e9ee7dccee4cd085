"""The demo to look at: footage in a loop, the tracker on it, and the operator console."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from siampolar_model.geometry.box import Box

from .children import Children, DemoError
from .default_clip import Clip

#: Where the page is served, if nobody else is served there.
PORT = 8090

#: Seconds until the page must be served, and between two looks at the processes.
_START_S, _LOOK_S = 120.0, 0.5


def run_live(clip: Clip, box: Box | None, advice: str, rate: float | None, out: Path) -> None:
    """Run until Ctrl-C.

    Args:
        box: starts a target on the first frame; None: the user draws one.
        advice: what to look at, in one line.
        rate: images per second; None: the clip's own.
        out: folder for the logs.

    Raises:
        DemoError: a process ended early.
    """
    namespace = f"/demo_{os.getpid()}"
    port = free_port(PORT)
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background of a shell
    with Children(out) as children:
        try:
            children.start("tracker_node", namespace, {})
            children.start(
                "console_node", namespace, {"port": port, "trackers": f"{namespace}/tracker"}
            )
            video = {
                "path": str(clip.path), "first_frame": clip.first, "last_frame": clip.last,
                "rate": float(rate or clip.rate), "loop": True, "paused": box is not None,
                "wait_for_subscribers": 1 if box is None else 2,
            }  # fmt: skip
            children.start("video_publisher_node", namespace, video)
            if box is not None:
                text = ",".join(f"{value:g}" for value in box.as_xywh())
                children.start("first_target_node", namespace, {"box": text})
            address = _wait_for_address(children)
            console.print(f"open [bold]{address}[/bold]   (Ctrl-C ends the demo)")
            console.print(advice)
            if has_display(os.environ):
                webbrowser.open(address)
            while True:
                time.sleep(_LOOK_S)
                children.check("tracker_node", "console_node", "video_publisher_node")
        except KeyboardInterrupt:
            console.print("ended")


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether a browser could open a window here."""
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def free_port(wanted: int) -> int:
    """``wanted`` if it can be served on, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


def _wait_for_address(children: Children) -> str:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        found = re.search(r"open (http://\S+)", children.log("console_node"))
        if found:
            return found.group(1)
        children.check("console_node", "tracker_node")
        time.sleep(0.1)
    raise DemoError(f"the console does not start: {children.last_line('console_node')}")
