"""Reading videos and folders of images, and writing H.264 that a browser plays."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..errors import FrameError, VideoError, counted
from ..images.picture import (
    PICTURE_SUFFIXES,
    check_size,
    is_picture,
    read_picture,
    to_bgr8,
)
from ..images.value_range import value_range_of
from .frame_times import FrameTimes, length_s
from .image_folder import image_folder
from .orientation import orientation_of

#: Frames a second of a folder of images, and of a video that does not say.
DEFAULT_FPS = 30.0

#: A higher rate is a clock's, as in files that count in 1/90000 s and name no rate.
_MAX_FPS = 1000.0

#: Seconds to which the times of a video that is written are exact, where they are given.
_TICK = Fraction(1, 1000)

# Codecs that give one frame for each packet. Others hide some on purpose, as VP8 does.
_FRAME_PER_PACKET = frozenset(
    ("av1", "ffv1", "gif", "h264", "hevc", "huffyuv", "mjpeg", "png", "prores", "rawvideo", "vp9")
)

# AVFMT_NOTIMESTAMPS of FFmpeg: a container without times, or none at all.
_NO_TIMESTAMPS = 0x80

# Matrix of BT.601, in limited range, and primaries and transfer of BT.709: what PyAV makes of BGR
# images, written into the file because players assume another matrix of HD video that says
# nothing. PyAV before 16 ignores a file's matrix and reads all as BT.601.
_BT601_MATRIX, _BT709_PRIMARIES, _BT709_TRANSFER, _LIMITED_RANGE = 6, 1, 1, 1


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One image of a video.

    Attributes:
        index: position in the whole video, from 0.
        stamp_ns: presentation time in nanoseconds.
        image: uint8 (H, W, 3), BGR.
    """

    index: int
    stamp_ns: int
    image: np.ndarray


class VideoReader:
    """The frames of a video file or of a folder of images in the order of their names.

    Iterate over it once, best inside ``with``. The frames of a video are turned and mirrored as
    they are displayed; a picture, alone or in a folder, is taken as it is stored (see
    ``images/picture.py``). Frames with more than 8 bits become 8 bits by the value range of the
    first one.

    Attributes:
        width, height: size of the first frame in pixels.
        fps: nominal frames per second.
        n_frames: how many frames it will yield, as far as the file knows; None: unknown.
        notices: what is worth knowing about the file, one line each; damaged parts are added while
            it is read.
        damaged_packets: parts of a video file that could not be decoded and were skipped, so far.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import VideoReader, VideoWriter
        >>> with VideoWriter("clip.mp4", fps=25) as out:
        ...     for _ in range(5):
        ...         out.write(np.zeros((48, 64, 3), np.uint8))
        >>> with VideoReader("clip.mp4", first=2) as reader:
        ...     print(reader.width, reader.height, reader.fps, reader.n_frames)
        ...     print([frame.index for frame in reader])
        64 48 25.0 3
        [2, 3, 4]
    """

    width: int
    height: int
    fps: float
    n_frames: int | None
    notices: list[str]
    damaged_packets: int

    def __init__(
        self,
        path: str | Path,
        *,
        first: int = 0,
        last: int | None = None,
        folder_fps: float = DEFAULT_FPS,
    ) -> None:
        """Open a video.

        Args:
            path: video file or folder.
            first, last: indices of the first and last frame wanted, both included.
            folder_fps: frames a second of a folder of images.

        Raises:
            VideoError: nothing there, nothing readable in it, or no frame in the range.
        """
        self.path = Path(path)
        if first < 0 or (last is not None and last < first):
            raise VideoError(f"frames {first} to {last}: need 0 <= first <= last")
        self._first, self._last = first, last
        self.notices, self.damaged_packets = [], 0
        self._value_range: tuple[float, float] | None = None
        self._is_askew = False
        self._container: Any = None
        self._frames: Generator[VideoFrame, None, None] | None = None
        self._next: VideoFrame | None = None
        if not self.path.exists():
            raise VideoError(f"{self.path}: no such video file or folder of images")
        try:
            self._open(folder_fps)
        except BaseException:
            self.close()
            raise

    def _open(self, folder_fps: float) -> None:
        total: int | None
        if self.path.is_dir():
            self.fps = folder_fps
            folder = image_folder(self.path)
            self._images = folder.files
            if not self._images:
                raise VideoError(
                    f"{self.path}: no images in this folder ({', '.join(PICTURE_SUFFIXES)})"
                )
            self.notices += folder.notices
            total = len(self._images)
            self._frames = self._read_images()
        elif is_picture(self.path):
            self.fps = folder_fps
            self._images = (self.path,)  # as in a folder: FFmpeg's rules are others
            total = 1
            self._frames = self._read_images()
        else:
            self._stream = self._open_file()
            self.fps = _frames_per_second(self._stream)
            total = self._stream.frames or None
            self._frames = self._read_file()
        first, last = self._first, self._last
        if total is not None and first >= total:
            raise VideoError(f"{self.path}: has {total} frames; first frame {first} is beyond them")
        end = total if last is None else last + 1 if total is None else min(last + 1, total)
        self.n_frames = None if end is None else end - first
        self._next = next(self._frames, None)
        if self._next is None:
            damaged = f"; {self._damage()}" if self.damaged_packets else ""
            raise VideoError(f"{self.path}: no frame can be read from frame {first} on{damaged}")
        self.height, self.width = self._next.image.shape[:2]

    def __iter__(self) -> Iterator[VideoFrame]:
        if self._next is not None:
            frame, self._next = self._next, None
            yield frame
        for frame in self._frames or ():
            height, width = frame.image.shape[:2]
            if (width, height) != (self.width, self.height):
                raise VideoError(
                    f"{self.path}: frame {frame.index} is {width}x{height} px; "
                    f"the frames before it are {self.width}x{self.height}"
                )
            yield frame

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; iterating ends here."""
        self._next = None
        if self._frames is not None:
            self._frames.close()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _read_images(self) -> Generator[VideoFrame, None, None]:
        end = None if self._last is None else self._last + 1
        for index, path in list(enumerate(self._images))[self._first : end]:
            try:
                pixels = read_picture(path)
            except FrameError as error:
                raise VideoError(str(error)) from None
            yield VideoFrame(index, round(index * 1e9 / self.fps), self._to_bgr(pixels))

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        """8 bits of any pixels, by the value range of the first frame."""
        if pixels.dtype != np.uint8 and self._value_range is None:
            self._value_range = value_range_of(pixels)
        return to_bgr8(pixels, self._value_range)

    def _open_file(self) -> Any:
        try:
            # "file:" keeps FFmpeg from taking a name such as "data:x" or "concat:a|b" for a URL.
            # "replace": titles and tags may be in any encoding.
            self._container = av.open(f"file:{self.path}", metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self.path}: cannot be opened as a video ({reason_of(error)})"
            ) from None
        if self._container.format.name == "tty":  # FFmpeg would draw any text file as ANSI art
            raise VideoError(f"{self.path}: cannot be opened as a video (a text file)")
        if not self._container.streams.video:
            raise VideoError(f"{self.path}: has no video stream")
        # Not the first one: that may be a cover picture.
        stream = self._container.streams.best("video")
        stream.thread_type = "AUTO"
        if (count := sum(not _is_cover(one) for one in self._container.streams.video)) > 1:
            self.notices.append(f"{self.path}: has {count} videos; stream {stream.index} is taken")
        return stream

    def _read_file(self) -> Generator[VideoFrame, None, None]:
        for index, frame in enumerate(self._decode()):
            if self._last is not None and index > self._last:
                break
            if index < self._first:
                continue
            if frame.pts is None or frame.time_base is None:
                stamp_ns = round(index * 1e9 / self.fps)
            else:
                stamp_ns = round(frame.pts * frame.time_base * 1_000_000_000)
            orientation = orientation_of(frame)  # a phone held upright, a front camera
            if not orientation.is_known and not self._is_askew:
                self._is_askew = True
                self.notices.append(
                    f"{self.path}: its header asks for more than quarter turns and mirrors; frames "
                    "are taken as they are stored"
                )
            yield VideoFrame(index, stamp_ns, orientation.apply(self._to_bgr(_pixels(frame))))

    def _decode(self) -> Generator[Any, None, None]:
        """Decoded frames; a packet that cannot be decoded is counted and skipped, as players do.

        At the end of the file, notices say what is missing.
        """
        packets = frames = marked = 0
        times = FrameTimes(1 / self.fps)
        for packet in self._packets():
            packets += packet.size > 0
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                self.damaged_packets += 1
                continue
            marked += packet.is_corrupt
            frames += len(decoded)
            for frame in decoded:
                try:
                    check_size(frame.width, frame.height)
                except FrameError as error:
                    raise VideoError(f"{self.path}: {error}") from None
                times.take(frame)
                yield frame
        if self.damaged_packets:
            self.notices.append(f"{self.path}: {self._damage()} could not be decoded")
        if marked:
            self.notices.append(
                f"{self.path}: {counted(marked, 'packet')} arrived with parts missing"
            )
        known = self.damaged_packets
        silent = packets - frames - known
        if silent > 0 and self._stream.codec_context.name in _FRAME_PER_PACKET:
            known += silent
            self.notices.append(f"{self.path}: {counted(silent, 'packet')} gave no frame")
        if self._stream.frames and packets != self._stream.frames:
            self.notices.append(
                f"{self.path}: its index lists {counted(self._stream.frames, 'frame')}, but "
                f"there are {packets}"
            )
        if int(self._container.format.flags) & _NO_TIMESTAMPS:
            self.notices.append(
                f"{self.path}: a raw {self._container.format.name} stream says neither its length "
                f"nor the times of its frames; {self.fps:g} a second are assumed"
            )
        missing = times.missing(length_s(self._container, self._stream), known)
        self.notices += [f"{self.path}: {reason}" for reason in missing]

    def _packets(self) -> Generator[Any, None, None]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.notices.append(f"{self.path}: reading ended early ({reason_of(error)})")
                return
            if packet is None:
                return
            yield packet

    def _damage(self) -> str:
        return counted(self.damaged_packets, "damaged packet")


class VideoWriter:
    """Writes BGR images of one size as H.264 (yuv420p) into an MP4 file; use it in ``with``.

    An odd width or height, which H.264 does not take, is extended by repeating the last column
    or row. The images go into a hidden folder next to ``path``; :meth:`close` makes the file whole
    and moves it there, so that an older file of this name is replaced by a playable one or stays.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import VideoWriter
        >>> with VideoWriter("grey.mp4", fps=30) as out:
        ...     out.write(np.full((48, 64, 3), 128, np.uint8))
    """

    def __init__(self, path: str | Path, fps: float, *, crf: int = 20) -> None:
        """Prepare a file.

        Args:
            path: file to write, ``.mp4``; an existing one is replaced.
            fps: frames a second, above 0.
            crf: constant rate factor, 0 (lossless) to 51; lower is better and larger.

        Raises:
            VideoError: a folder that does not exist, a folder in the file's place, another
                suffix, or a number out of range.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise VideoError(f"{self.path}: the output must end in .mp4")
        if not self.path.parent.is_dir():
            raise VideoError(f"{self.path}: the folder {self.path.parent} does not exist")
        if self.path.is_dir():
            raise VideoError(f"{self.path}: is a folder; give the name of a file in it")
        if not 0 < fps <= 1000:
            raise VideoError(f"{self.path}: {fps:g} frames a second; must be above 0, up to 1000")
        if not 0 <= crf <= 51:
            raise VideoError(f"{self.path}: crf {crf}; must be 0 to 51")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._crf = crf
        self._container: Any = None
        self._stream: Any = None
        self._size: tuple[int, int] | None = None
        self._hidden: Path | None = None
        self._first_ns: int | None = None
        self._shown = -1

    def write(self, image: np.ndarray, stamp_ns: int | None = None) -> None:
        """Append one image, uint8 (H, W, 3) BGR, of the size of the first.

        Args:
            stamp_ns: when it is shown, nanoseconds after any moment, for images that do not come at
                one rate; None: a period after the one before.

        Raises:
            VideoError: another size, or a file that cannot be written.
        """
        height, width = image.shape[:2]
        if self._size is None:
            self._open(width, height, timed=stamp_ns is not None)
        if self._size != (width, height):
            raise VideoError(
                f"{self.path}: image of {width}x{height} px in a video of "
                f"{'x'.join(map(str, self._size or ()))}"
            )
        if width % 2 or height % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame = frame.reformat(format="yuv420p")
        if stamp_ns is not None:
            self._first_ns = stamp_ns if self._first_ns is None else self._first_ns
            shown = round((stamp_ns - self._first_ns) * 1e-9 / _TICK)
            # Two images never have one time.
            frame.pts = self._shown = max(shown, self._shown + 1)
            frame.time_base = _TICK
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            # PyAV crashes when an encoder is flushed into a file whose header was not written.
            container, self._container = self._container, None
            with contextlib.suppress(av.FFmpegError, OSError):
                container.close()
            self._discard()
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Finish the file and move it into place.

        Raises:
            VideoError: it cannot be written; an older file of this name is still there then.
        """
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            try:
                container.mux(self._stream.encode())
            finally:
                container.close()
            assert self._hidden is not None
            os.replace(self._hidden / self.path.name, self.path)
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        finally:
            self._discard()

    def _discard(self) -> None:
        """Delete the hidden folder and what is left in it."""
        if self._hidden is not None:
            shutil.rmtree(self._hidden, ignore_errors=True)
            self._hidden = None

    def _unwritable(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path}: cannot be written ({reason_of(error)})")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, width: int, height: int, timed: bool) -> None:
        try:
            # The index goes to the front, so that a browser starts before it has everything.
            self._hidden = Path(
                tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            )
            self._container = av.open(
                f"file:{self._hidden / self.path.name}",
                "w", format="mp4", options={"movflags": "+faststart"},
            )  # fmt: skip
            self._stream = self._container.add_stream("libx264", rate=self._rate)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._discard()
            raise self._unwritable(error) from None
        self._size = (width, height)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        # libx264's macroblock tree (core 165, AVX) decides by memory that it never wrote, so that
        # the same images gave other bytes in one file of twenty, in the lowest rows.
        self._stream.options = {"crf": str(self._crf), "preset": "veryfast", "mbtree": "0"}
        context = self._stream.codec_context
        if timed:
            context.time_base = _TICK
        context.colorspace = _BT601_MATRIX
        context.color_primaries, context.color_trc = _BT709_PRIMARIES, _BT709_TRANSFER
        context.color_range = _LIMITED_RANGE


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _frames_per_second(stream: Any) -> float:
    """The first rate of a stream that can be one of images; clocks are not."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= _MAX_FPS:
            return float(rate)
    return DEFAULT_FPS


def _pixels(frame: Any) -> np.ndarray:
    """Pixels of a decoded frame: grey of more than 8 bits as uint16, everything else as BGR."""
    if frame.format.name.startswith("gray") and frame.format.components[0].bits > 8:
        pixels: np.ndarray = frame.reformat(format="gray16le").to_ndarray()
        return pixels
    image: np.ndarray = frame.to_ndarray(format="bgr24")
    return image


def reason_of(error: Exception) -> str:
    """What FFmpeg or the system says, without the path and without line breaks."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
