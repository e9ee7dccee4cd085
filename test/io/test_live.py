"""Live sources: the newest image wins, broken streams come back, standard input in order."""

from __future__ import annotations

import http.server
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siampolar_model.errors import VideoError
from siampolar_model.io.live import LiveSource, MotionJpeg, is_live


def picture(index: int, width: int = 64) -> np.ndarray:
    return np.full((48, width, 3), index, np.uint8)


def jpeg(index: int, width: int = 64) -> bytes:
    return cv2.imencode(".jpg", picture(10 * index, width))[1].tobytes()


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("0", True), ("12", True), ("/dev/video7", True), ("rtsp://robot:8554/cam", True),
        ("http://10.0.0.1/stream.mjpg", True), ("https://x/y", True), ("udp://@:1234", True),
        ("my.mp4", False), ("2024", False), ("folder/0", False), ("rtsp:/x", False), ("-", False),
        ("file://a", False), ("/dev/null", False),
    ],
)  # fmt: skip
def test_what_is_live(text: str, live: bool) -> None:
    assert is_live(text) == live


def test_a_slow_reader_gets_the_newest_image() -> None:
    going = threading.Event()

    def images(source: str) -> Iterator[np.ndarray]:
        yield picture(0)
        going.wait()
        for index in range(1, 6):
            yield picture(index)
        threading.Event().wait(0.5)

    with LiveSource("0", images=images) as source:
        frames = iter(source)
        assert next(frames).index == 0
        going.set()
        wait_until(lambda: source.received == 6)
        frame = next(frames)
        assert frame.index == 5 and frame.image[0, 0, 0] == 5 and source.skipped == 4


def test_a_broken_stream_is_opened_again_and_given_up_in_the_end() -> None:
    opened: list[int] = []
    slept: list[float] = []

    def images(source: str) -> Iterator[np.ndarray]:
        opened.append(len(opened))
        if len(opened) == 1:
            yield picture(0)
            raise VideoError("cable pulled")
        if len(opened) == 4:
            yield picture(7)
        raise VideoError("refused")

    with LiveSource("rtsp://x/y", images=images, sleep=slept.append) as source:
        seen = []
        with pytest.raises(VideoError, match=r"could not be opened again in 8 tries \(refused\)"):
            for frame in source:
                seen.append(int(frame.image[0, 0, 0]))
        assert seen[-1] == 7 and len(opened) == 4 + 8
        assert slept[:3] == [0.5, 1.0, 2.0] and max(slept) == 8.0
        assert "broke off (cable pulled); opening it again" in source.notices[0]
        assert source.notices[1].endswith("images come again")


def test_closing_ends_a_reader_that_waits() -> None:
    def images(source: str) -> Iterator[np.ndarray]:
        yield picture(0)
        raise VideoError("gone")

    source = LiveSource("0", images=images)
    frames = iter(source)
    next(frames)
    threading.Timer(0.1, source.close).start()
    assert list(frames) == []


def test_an_image_of_another_size_is_named() -> None:
    def images(source: str) -> Iterator[np.ndarray]:
        yield picture(0)
        yield picture(1, 32)
        threading.Event().wait(0.5)

    message = "image 1 is 32x48 px; the images before it are 64x48"
    with LiveSource("0", images=images) as source, pytest.raises(VideoError, match=message):
        list(source)


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match="camera /dev/video99 cannot be opened; give its number"):
        LiveSource("/dev/video99")


def test_a_stream_over_http(tmp_path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(12):
                data = jpeg(index)
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\n"
                    b"Content-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
                )
                time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/stream.mjpg"
        with LiveSource(url) as source:
            values = []
            for frame in source:
                values.append(int(frame.image.mean()))
                if source.received >= 20:  # it ended and was opened again
                    break
        assert source.notices and "broke off" in source.notices[0]
        assert (source.width, source.height) == (64, 48) and max(values) > 80
    finally:
        server.shutdown()
        server.server_close()


def test_nobody_there() -> None:
    with pytest.raises(VideoError, match=r"rtsp://127\.0\.0\.1:9/x: cannot be opened"):
        LiveSource("rtsp://127.0.0.1:9/x")


def test_motion_jpeg_in_order() -> None:
    data = b"".join(jpeg(index) for index in range(8))
    with MotionJpeg(io.BytesIO(data)) as source:
        assert (source.width, source.height) == (64, 48)
        assert [round(f.image.mean() / 10) for f in source] == list(range(8))
    for bad in (b"", b"not a picture"):
        with pytest.raises(VideoError, match="-: "):
            MotionJpeg(io.BytesIO(bad))
    with pytest.raises(VideoError, match="image 1 is 32x48"):
        list(MotionJpeg(io.BytesIO(jpeg(0) + jpeg(1, 32))))
