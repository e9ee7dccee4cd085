"""The node ``console``: a page for operators; see docs/console.md.

It finds the trackers on the network by itself. The page is served by a thread of its own;
everything of ROS happens in the executor's thread, to which the server hands its requests.
"""

from __future__ import annotations

import secrets
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile

from siampolar_model.errors import SiampolarError

from ..console.access import Access, is_this_machine
from ..console.camera_feed import CameraFeed
from ..console.protocol import Answer, Remove, Start
from ..console.tracker_link import SHAPES, TrackerLink, find_trackers
from ..parameters.nodes import ConsoleSettings
from ..parameters.table import GIVEN, Parameters
from ..runtime.run import StartError, run_node
from ..runtime.timers import steady_timer

#: Seconds between two looks for trackers, and until one that is gone is taken off the page.
_LOOK_S, _GONE_S = 1.0, 10.0


class ConsoleNode(Node):
    """Links every tracker to a feed that the server reads."""

    def __init__(self) -> None:
        super().__init__("console", **GIVEN)
        self._calls: deque[Callable[[], None]] = deque()
        self._links: dict[str, TrackerLink] = {}
        self._feeds: Mapping[str, CameraFeed] = {}
        self._watched: frozenset[str] = frozenset()
        self._missing: dict[str, int] = {}
        self._guard = self.create_guard_condition(self._run_calls)
        try:
            self._params = Parameters(self, ConsoleSettings)
            self._settings = self._params.settings()
            access = Access.of(self._settings.host, self._settings.token, secrets.token_urlsafe(24))
            self._server = _make_server(self, access, self._params.settings)
            port = self._serve()
        except SiampolarError as error:
            self.destroy_node()
            raise StartError(str(error)) from None
        self._diagnostics = self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10)
        )
        self._timer = steady_timer(self, _LOOK_S, self._look)
        self._look()
        self.get_logger().info(f"open {_address(self._settings.host, port, access.token)}")

    def close(self) -> None:
        self._server.stop()

    def _serve(self) -> int:
        host, port = self._settings.host, self._settings.port
        try:
            return self._server.start()
        except OSError as error:
            raise StartError(
                f"the console cannot be served on {host}:{port}: {error.strerror or error}; give "
                "another address or port (port:=0 takes a free one)"
            ) from None

    # ---- for the server, from its thread -------------------------------------------------------

    def cameras(self) -> Mapping[str, CameraFeed]:
        return self._feeds

    def watch(self, cameras: frozenset[str]) -> None:
        self._post(lambda: self._set_watched(cameras))

    def ask(self, command: Start | Remove, on_answer: Callable[[Answer], None]) -> None:
        self._post(lambda: self._pass_on(command, on_answer))

    def shapes(self) -> tuple[str, ...]:
        return SHAPES

    def warn(self, text: str) -> None:
        self.get_logger().warning(" ".join(text.split()), throttle_duration_sec=1.0)

    def _post(self, call: Callable[[], None]) -> None:
        """Have something done in the executor's thread."""
        self._calls.append(call)
        self._guard.trigger()

    # ---- in the executor's thread --------------------------------------------------------------

    def _run_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _set_watched(self, cameras: frozenset[str]) -> None:
        self._watched = cameras
        for name, link in self._links.items():
            link.watch(name in cameras)

    def _pass_on(self, command: Start | Remove, on_answer: Callable[[Answer], None]) -> None:
        link = self._links.get(command.camera)
        if link is None:
            known = ", ".join(self._links) or "none"
            text = f"there is no tracker {command.camera!r} on the network; found: {known}"
            on_answer(Answer(False, command.id, text))
        elif isinstance(command, Start):
            link.start(command, on_answer)
        else:
            link.remove(command, on_answer)

    def _look(self) -> None:
        """Find trackers that came, and forget those that are gone."""
        found = find_trackers(self, self._settings.trackers)
        for name, place in found.items():
            self._missing.pop(name, None)
            if name in self._links:
                self._links[name].move(place)
            else:
                self._links[name] = TrackerLink(self, place, CameraFeed())
                self._links[name].watch(name in self._watched)
        for name in set(self._links) - set(found):
            self._missing[name] = self._missing.get(name, 0) + 1
            if self._missing[name] * _LOOK_S >= _GONE_S:
                del self._missing[name]
                self._links.pop(name).close()
        for link in self._links.values():
            link.expire()
        self._feeds = {name: link.feed for name, link in self._links.items()}

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            link = self._links.get("/" + status.hardware_id)
            if link is not None:
                level = status.level
                link.feed.set_diagnostics(
                    {
                        "name": status.name.partition(": ")[2] or status.name,
                        # A byte field: bytes in rclpy, and a number in some releases.
                        "level": level[0] if isinstance(level, bytes) else int(level),
                        "message": status.message,
                        "values": {one.key: one.value for one in status.values},
                    }
                )


def _make_server(node: ConsoleNode, access: Access, settings: Callable[[], ConsoleSettings]) -> Any:
    """The server.

    Raises:
        StartError: aiohttp is not installed.
    """
    try:
        from ..console.server import ConsoleServer
    except ModuleNotFoundError as error:
        raise StartError(
            f"the console needs {error.name}: pip install aiohttp (extra console)"
        ) from None
    return ConsoleServer(node, access, settings)


def _address(host: str, port: int, token: str) -> str:
    """What to open in a browser."""
    import socket

    name = f"[{host}]" if ":" in host else host
    if not is_this_machine(host) and host in ("0.0.0.0", "::", ""):
        name = socket.gethostname()
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def main(args: Sequence[str] | None = None) -> int:
    return run_node("console", ConsoleNode, ConsoleNode.close, None, args)


if __name__ == "__main__":
    sys.exit(main())
