"""Serves the page and its WebSocket; knows no ROS.

One thread with an event loop, and one more that encodes pictures. What a browser does cannot wait
in the robot: it has at most two pictures on their way and a bounded queue of texts, its texts are
read at a bounded rate, and what it may not send is refused in one line.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from typing import Protocol

from aiohttp import WSMsgType, web

from ..parameters.nodes import ConsoleSettings
from . import jpeg, protocol
from .access import Access
from .browser import Browser
from .camera_feed import CameraFeed, View
from .protocol import Answer, Message, ProtocolError, Remove, Shown, Start, Watch

#: Texts of one browser per second, of which the page sends one for each picture; what comes faster
#: waits in its own connection.
_MAX_TEXTS_PER_S = 100

#: Seconds between two messages with rates and states, and after which a silent connection ends.
_STATUS_S, _HEARTBEAT_S = 0.5, 20.0

#: Seconds until an answer that never comes is given up.
_ANSWER_S = 8.0

_PAGE = {
    "/": ("index.html", "text/html"),
    "/console.css": ("console.css", "text/css"),
    "/console.js": ("console.js", "text/javascript"),
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ASK_FOR_TOKEN = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>siampolar console</title>
<link rel="stylesheet" href="/console.css"><body class="ask"><form action="/">
<h1>siampolar console</h1><p>{why}</p><label>Token <input name="token" type="password" autofocus>
</label><button class="primary">Open</button></form>"""


class Robot(Protocol):
    """What the server needs of the node; every method may be called from any thread."""

    def cameras(self) -> Mapping[str, CameraFeed]:
        """The feeds by name."""

    def watch(self, cameras: frozenset[str]) -> None:
        """Pictures of these cameras are wanted, and of no others."""

    def ask(self, command: Start | Remove, on_answer: Callable[[Answer], None]) -> None:
        """Pass a command on; ``on_answer`` is called once, from any thread."""

    def shapes(self) -> tuple[str, ...]:
        """The shapes that targets can be started by."""

    def warn(self, text: str) -> None:
        """Something was refused, or failed: one line for the log."""


class ConsoleServer:
    """Runs from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, robot: Robot, access: Access, settings: Callable[[], ConsoleSettings]
    ) -> None:
        self._robot = robot
        self._access = access
        self._settings = settings
        self._browsers: set[Browser] = set()
        self._pumps: dict[str, _Pump] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._encoder = ThreadPoolExecutor(1, "jpeg")
        # Cookies of one host are shared by all its ports, so the port is added when it is known.
        self._cookie = "siampolar_console"

    def start(self) -> int:
        """Serve; returns the port.

        Raises:
            OSError: the address cannot be served on.
        """
        started: list[int | OSError] = []
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._run(started, ready))
            self._loop.close()

        self._thread = threading.Thread(target=run, name="console", daemon=True)
        self._thread.start()
        ready.wait()
        if isinstance(started[0], OSError):
            self._thread.join()
            self._encoder.shutdown()
            raise started[0]
        self._cookie += f"_{started[0]}"
        return started[0]

    def stop(self) -> None:
        """End all connections."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)
            self._encoder.shutdown()

    async def _run(self, started: list[int | OSError], ready: threading.Event) -> None:
        app = web.Application(client_max_size=4096)
        for path in _PAGE:
            app.router.add_get(path, self._serve_page)
        app.router.add_get("/ws", self._serve_socket)
        app.on_response_prepare.append(_add_headers)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        settings = self._settings()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except (OSError, OverflowError) as error:
            started.append(error if isinstance(error, OSError) else OSError(str(error)))
            ready.set()
            await runner.cleanup()
            return
        started.append(runner.addresses[0][1])
        ready.set()
        status = asyncio.ensure_future(self._keep_up())
        await self._stop.wait()
        status.cancel()
        for pump in self._pumps.values():
            pump.close()
        await runner.cleanup()

    # ---- pages ---------------------------------------------------------------------------------

    async def _serve_page(self, request: web.Request) -> web.StreamResponse:
        refusal = self._access.refusal(request.host, None)
        if refusal:
            return self._refuse(403, refusal)
        name, kind = _PAGE[request.path]
        if name == "index.html":
            token = request.query.get("token")
            if token is not None and self._access.knows(token):
                # The address without the token is what stays in the browser's history.
                there = web.HTTPSeeOther("/")
                there.set_cookie(
                    self._cookie, token, httponly=True, samesite="Strict", max_age=30 * 86400
                )
                raise there
            if token is not None or not self._has_token(request):
                why = "This token is wrong." if token else "The node prints it when it starts."
                if token:
                    self._robot.warn(f"a wrong token from {request.remote}")
                text = _ASK_FOR_TOKEN.format(why=why)
                return web.Response(text=text, content_type="text/html", status=403)
        content = files(__package__).joinpath("page", name).read_bytes()
        return web.Response(body=content, content_type=kind, charset="utf-8")

    def _has_token(self, request: web.Request) -> bool:
        return self._access.knows(request.cookies.get(self._cookie, ""))

    def _refuse(self, status: int, reason: str) -> web.Response:
        self._robot.warn(reason)
        return web.Response(text=reason + "\n", status=status)

    # ---- one browser ---------------------------------------------------------------------------

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        refusal = self._access.refusal(request.host, request.headers.get("Origin", ""))
        if refusal:
            return self._refuse(403, refusal)
        if not self._has_token(request):
            return self._refuse(403, f"no token, or a wrong one, from {request.remote}")
        if len(self._browsers) >= self._settings().max_browsers:
            return self._refuse(
                503, f"{len(self._browsers)} browsers are connected already (max_browsers)"
            )
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=4 * protocol.MAX_TEXT, timeout=1.0
        )
        browser = Browser(socket)
        self._browsers.add(browser)
        sender: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            self._greet(browser)
            sender = self._loop.create_task(browser.send())
            await self._read(browser, socket)
        finally:
            self._browsers.discard(browser)
            self._update_watched()
            if sender is not None:
                sender.cancel()
                with suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                    await sender
        return socket

    async def _read(self, browser: Browser, socket: web.WebSocketResponse) -> None:
        began, count = time.monotonic(), 0
        async for message in socket:
            if message.type is WSMsgType.ERROR:  # not a WebSocket's frame, or a far too long one
                self._robot.warn(f"a browser sent what is not allowed: {socket.exception()}")
                return
            await browser.wait_for_room()
            count += 1
            ahead_s = count / _MAX_TEXTS_PER_S - (time.monotonic() - began)
            if ahead_s > 0.1:
                await asyncio.sleep(ahead_s)
            elif ahead_s < -1.0:  # silence does not allow a burst
                began, count = time.monotonic(), 0
            try:
                if message.type is not WSMsgType.TEXT:
                    raise ProtocolError("bytes instead of a text")
                self._handle(browser, protocol.parse(message.data))
            except ProtocolError as error:
                self._robot.warn(f"a browser sent what is not allowed: {error}")
                browser.put_answer(protocol.refused(error))

    def _handle(self, browser: Browser, message: Message) -> None:
        if isinstance(message, Shown):
            browser.shown(message.stamp_ns)
            if browser.camera in self._pumps:
                self._pumps[browser.camera].wake()
        elif isinstance(message, Watch):
            browser.camera, browser.pictures = message.camera, message.pictures
            self._update_watched()
            if message.camera in self._pumps:
                self._pumps[message.camera].welcome(browser)
        else:
            task = self._loop.create_task(self._ask(browser, message))
            self._asking.add(task)  # the loop itself keeps no reference
            task.add_done_callback(self._asking.discard)

    async def _ask(self, browser: Browser, command: Start | Remove) -> None:
        decided: asyncio.Future[Answer] = asyncio.Future()

        def decide(answer: Answer) -> None:
            if not decided.done():
                decided.set_result(answer)

        def on_answer(answer: Answer) -> None:
            self._loop.call_soon_threadsafe(decide, answer)

        self._robot.ask(command, on_answer)
        try:
            answer = await asyncio.wait_for(decided, _ANSWER_S)
        except asyncio.TimeoutError:
            answer = Answer(False, command.id, f"no answer within {_ANSWER_S:g} s")
        browser.put_answer(protocol.answer(command.request, answer))

    # ---- to all browsers -----------------------------------------------------------------------

    def _greet(self, browser: Browser) -> None:
        cameras = sorted(self._robot.cameras())
        shapes = self._robot.shapes()
        browser.put_text({"type": "cameras", "cameras": cameras, "shapes": shapes})

    async def _keep_up(self) -> None:
        """Tell all browsers twice a second how their camera is doing, and which ones there are."""
        while True:
            try:
                self._send_status()
            except Exception as error:  # nothing that a robot reports may end the page
                self.warn(f"status: {type(error).__name__}: {error}")
            await asyncio.sleep(_STATUS_S)

    def _send_status(self) -> None:
        cameras = self._robot.cameras()
        if set(cameras) != set(self._pumps):
            self._update_pumps(cameras)
            for browser in self._browsers:
                self._greet(browser)
        watched = {browser.camera for browser in self._browsers} & set(cameras)
        figures = {name: cameras[name].status() for name in watched}
        for browser in self._browsers:
            if browser.camera in figures:
                about = {"camera": browser.camera, "delay_ms": browser.delay_ms}
                browser.put_text({"type": "status", **about, **figures[browser.camera]})

    def _update_watched(self) -> None:
        watched = {browser.camera for browser in self._browsers}
        for name, pump in self._pumps.items():
            if name not in watched:
                pump.forget()
        self._robot.watch(frozenset(watched & set(self._robot.cameras())))

    def _update_pumps(self, cameras: Mapping[str, CameraFeed]) -> None:
        for name in set(self._pumps) - set(cameras):
            self._pumps.pop(name).close()
        for name in set(cameras) - set(self._pumps):
            self._pumps[name] = _Pump(name, cameras[name], self)
        self._update_watched()

    def takers(self, camera: str) -> list[Browser]:
        """The browsers that a picture of this camera may be sent to now."""
        return [b for b in self._browsers if b.camera == camera and b.has_room]

    async def encode(self, view: View) -> bytes:
        """The JPEG of a view.

        Raises:
            FrameError: its image is damaged.
        """
        settings = self._settings()
        arguments = view.image.frame, settings.max_width, settings.jpeg_quality
        return await self._loop.run_in_executor(self._encoder, jpeg.encode, *arguments)

    def warn(self, text: str) -> None:
        self._robot.warn(text)

    @property
    def period_s(self) -> float:
        """Least time between two pictures of a camera."""
        return 1.0 / self._settings().max_rate

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop


class _Pump:
    """Sends the newest picture of one camera to every browser that has room for it."""

    def __init__(self, name: str, feed: CameraFeed, server: ConsoleServer) -> None:
        self._name, self._feed, self._server = name, feed, server
        self._event = asyncio.Event()
        self._last: tuple[int, bytes] | None = None
        self._task = server.loop.create_task(self._run())
        feed.listen(self._wake_soon)

    def _wake_soon(self) -> None:
        """From another thread."""
        self._server.loop.call_soon_threadsafe(self._event.set)

    def wake(self) -> None:
        self._event.set()

    def welcome(self, browser: Browser) -> None:
        """A browser shows this camera from now on: a picture that stands still is all there is."""
        if self._last is not None and browser.has_room:
            browser.put_picture(*self._last)
        self.wake()

    def forget(self) -> None:
        """Nobody shows this camera any more."""
        self._last = None

    def close(self) -> None:
        self._feed.listen(lambda: None)
        self._task.cancel()

    async def _run(self) -> None:
        due_s = 0.0
        while True:
            await self._event.wait()
            now = time.monotonic()
            if now < due_s:
                await asyncio.sleep(due_s - now)
            self._event.clear()
            view = self._feed.take() if self._server.takers(self._name) else None
            if view is not None:
                period_s = self._server.period_s
                due_s = max(due_s, time.monotonic() - period_s) + period_s
                try:
                    await self._send(view)
                except Exception as error:  # a damaged image: the next one may be whole
                    self._server.warn(f"{self._name}: no picture: {type(error).__name__}: {error}")

    async def _send(self, view: View) -> None:
        data = await self._server.encode(view)
        targets = None if view.targets is None else view.targets.targets
        stamp_ns = view.image.stamp_ns
        header = {"camera": self._name, "stamp": str(stamp_ns), "size": view.image.size,
                  "targets": targets}  # fmt: skip
        packed = protocol.picture(header, data)
        self._last = stamp_ns, packed
        for browser in self._server.takers(self._name):
            browser.put_picture(*self._last)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
