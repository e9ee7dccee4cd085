"""Live sources: cameras, network streams, and motion JPEG on standard input.

A camera or stream is read by a thread of its own, which keeps the newest image alone: a tracker
that is slower than the camera skips images and never lags behind. A stream that breaks off is
opened again. Standard input is read in order, since the program that writes into it waits.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import av
import cv2
import numpy as np

from ..errors import VideoError
from .video import VideoFrame, reason_of

#: Seconds until a stream must have been opened, and until its next image must have come.
_OPEN_S, _READ_S = 10.0, 5.0

#: Seconds before a broken stream is opened again, doubled after every failure in a row.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0

#: Failures in a row after which a stream is given up.
_TRIES = 8

#: Without these, FFmpeg reads 5 MB of a pipe before it gives the first image.
_AT_ONCE = {"probesize": "32", "analyzeduration": "0"}

_CAMERA = re.compile(r"\d{1,3}|/dev/video\d+")
_URL = re.compile(r"(rtsp|rtsps|rtmp|http|https|udp|tcp|srt)://.+")


def is_live(source: str) -> bool:
    """Whether a text names a camera (``0``, ``/dev/video0``) or a stream's address, not a file."""
    return bool(_CAMERA.fullmatch(source) or _URL.fullmatch(source))


class LiveSource:
    """The newest images of a camera or stream; iterate over it once, best inside ``with``.

    Attributes:
        width, height: of the first image, pixels. An image of another size ends the iteration with
            an error, as targets belong to the size that they started on.
        received: images read so far.
        skipped: of those, how many were replaced by a newer one before they were asked for.
        notices: one line for every break and return of the stream.
    """

    def __init__(
        self,
        source: str,
        *,
        images: Callable[[str], Iterator[np.ndarray]] | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Open a source and wait for its first image.

        Args:
            source: see :func:`is_live`.
            images: opens the source and yields uint8 (H, W, 3) BGR images until it breaks off;
                None: a camera or a stream by ``source``.
            sleep: waits before a broken stream is opened again; None: until :meth:`close`.

        Raises:
            VideoError: it cannot be opened or gives no image.
        """
        self.source = source
        self.notices: list[str] = []
        self.received = self.skipped = 0
        self._images = images or (_camera_images if _CAMERA.fullmatch(source) else _stream_images)
        self._closing = threading.Event()
        self._sleep: Callable[[float], object] = sleep or self._closing.wait
        self._changed = threading.Condition()
        self._newest: VideoFrame | None = None
        self._failure: VideoError | None = None
        first = self._images(source)
        try:
            image = next(first)
        except StopIteration:
            raise VideoError(f"{source}: gives no image") from None
        self.height, self.width = image.shape[:2]
        self._put(image)
        self._thread = threading.Thread(
            target=self._read, args=(first,), name="siampolar-live", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[VideoFrame]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest or self._failure or self._closing.is_set()
                )
                frame, self._newest = self._newest, None
            if frame is None:
                if self._failure is not None and not self._closing.is_set():
                    raise self._failure
                return
            size = frame.image.shape[1], frame.image.shape[0]
            if size != (self.width, self.height):
                raise VideoError(
                    f"{self.source}: image {frame.index} is {size[0]}x{size[1]} px; the images "
                    f"before it are {self.width}x{self.height}"
                )
            yield frame

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading; iterating ends here. A source that never answers is left behind."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=_READ_S)

    def _put(self, image: np.ndarray) -> None:
        with self._changed:
            self.skipped += self._newest is not None
            self._newest = VideoFrame(self.received, time.time_ns(), image)
            self.received += 1
            self._changed.notify_all()

    def _read(self, images: Iterator[np.ndarray]) -> None:
        failures, pause_s = 0, _FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                for image in images:
                    if self._closing.is_set():
                        return
                    if failures:
                        self.notices.append(f"{self.source}: images come again")
                    failures, pause_s = 0, _FIRST_PAUSE_S
                    self._put(image)
                reason = "the stream has ended"
            except VideoError as error:
                reason = str(error)
            failures += 1
            if failures == 1:
                self.notices.append(f"{self.source}: broke off ({reason}); opening it again")
            if failures > _TRIES:
                with self._changed:
                    self._failure = VideoError(
                        f"{self.source}: could not be opened again in {_TRIES} tries ({reason})"
                    )
                    self._changed.notify_all()
                return
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            images = self._images(self.source)


class MotionJpeg:
    """Images of a motion JPEG stream in order, such as standard input; use it in ``with``.

    Attributes:
        width, height: of the first image, pixels.
    """

    def __init__(self, file: BinaryIO | None = None, name: str = "-") -> None:
        """Read the first image.

        Args:
            file: where JPEG images follow each other; None: standard input.
            name: for messages.

        Raises:
            VideoError: no JPEG image in it.
        """
        self.notices: list[str] = []
        self._name = name
        self._frames = self._read(_Pipe(file or sys.stdin.buffer))
        self._first = next(self._frames, None)
        if self._first is None:
            raise VideoError(f"{name}: no JPEG image on standard input")
        self.height, self.width = self._first.shape[:2]

    def _read(self, pipe: _Pipe) -> Iterator[np.ndarray]:
        for image in _decoded(
            self._name,
            lambda: av.open(
                pipe, format="mjpeg", options=_AT_ONCE, buffer_size=4096, metadata_errors="replace"
            ),
        ):
            if pipe.interrupted is not None:
                break
            yield image
        if pipe.interrupted is not None:
            raise pipe.interrupted

    def __iter__(self) -> Iterator[VideoFrame]:
        if self._first is None:
            return
        image, self._first = self._first, None
        index = 0
        yield VideoFrame(index, time.time_ns(), image)
        for index, image in enumerate(self._frames, 1):
            if image.shape[:2] != (self.height, self.width):
                raise VideoError(
                    f"{self._name}: image {index} is {image.shape[1]}x{image.shape[0]} px; the "
                    f"images before it are {self.width}x{self.height}"
                )
            yield VideoFrame(index, time.time_ns(), image)

    def __enter__(self) -> MotionJpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self._first = None


class _Pipe:
    """Gives FFmpeg what has arrived, not only whole buffers.

    Attributes:
        interrupted: what Ctrl-C raised while FFmpeg waited here. FFmpeg would lose it and read on,
            so to FFmpeg the pipe ends.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.interrupted: KeyboardInterrupt | None = None

    def read(self, size: int) -> bytes:
        if self.interrupted is not None:
            return b""
        try:
            return self._read(size)
        except KeyboardInterrupt as stop:
            self.interrupted = stop
            return b""


def _stream_images(url: str) -> Iterator[np.ndarray]:
    # TCP: a lost packet of an RTSP stream over UDP costs every image until the next key frame.
    options = {"rtsp_transport": "tcp", "fflags": "nobuffer"}
    yield from _decoded(
        url,
        lambda: av.open(
            url, options=options, timeout=(_OPEN_S, _READ_S), metadata_errors="replace"
        ),
    )


def _decoded(name: str, open_: Callable[[], Any]) -> Iterator[np.ndarray]:
    """BGR images of what PyAV opens; damaged ones are left out.

    Raises:
        VideoError: it cannot be opened, or reading fails.
    """
    try:
        container = open_()
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name}: cannot be opened ({reason_of(error)})") from None
    with container:
        if not container.streams.video:
            raise VideoError(f"{name}: has no video stream")
        packets = container.demux(container.streams.best("video"))
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                raise VideoError(f"{name}: {reason_of(error)}") from None
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                yield frame.to_ndarray(format="bgr24")


def _camera_images(source: str) -> Iterator[np.ndarray]:
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    try:
        if not camera.isOpened():
            raise VideoError(
                f"camera {source} cannot be opened; give its number, such as 0, or its path, such "
                "as /dev/video0"
            )
        while True:
            read, image = camera.read()
            if not read:
                raise VideoError(f"camera {source} gives no more images")
            yield image
    finally:
        camera.release()
