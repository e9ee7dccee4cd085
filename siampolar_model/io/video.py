"""Reading videos and folders of images, and writing H.264 that a browser plays."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..errors import VideoError

#: Image files that count as frames of a folder.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")

#: Frames a second of a folder of images, and of a video that does not say.
DEFAULT_FPS = 30.0

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

    Iterate over it once, best inside ``with``. Numbers in file names sort as numbers.

    Attributes:
        width, height: size of the first frame in pixels, as displayed.
        fps: nominal frames a second.
        n_frames: how many frames it will yield, as far as the file knows; None: unknown.
    """

    width: int
    height: int
    fps: float
    n_frames: int | None

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
            self._images = image_files(self.path)
            if not self._images:
                raise VideoError(
                    f"{self.path}: no images in this folder ({', '.join(IMAGE_SUFFIXES)})"
                )
            total = len(self._images)
            self._frames = self._read_images()
        else:
            self._stream = self._open_file()
            self.fps = float(self._stream.average_rate or 0) or DEFAULT_FPS
            total = self._stream.frames or None
            self._frames = self._read_file()
        first, last = self._first, self._last
        if total is not None and first >= total:
            raise VideoError(f"{self.path}: has {total} frames; first frame {first} is beyond them")
        end = total if last is None else last + 1 if total is None else min(last + 1, total)
        self.n_frames = None if end is None else end - first
        self._next = next(self._frames, None)
        if self._next is None:
            raise VideoError(f"{self.path}: no frame can be read from frame {first} on")
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
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise VideoError(f"{path}: not a readable image")
            yield VideoFrame(index, round(index * 1e9 / self.fps), image)

    def _open_file(self) -> Any:
        try:
            self._container = av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self.path}: cannot be opened as a video ({_reason(error)})"
            ) from None
        if self._container.format.name == "tty":  # FFmpeg would draw any text file as ANSI art
            raise VideoError(f"{self.path}: cannot be opened as a video (a text file)")
        if not self._container.streams.video:
            raise VideoError(f"{self.path}: has no video stream")
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        return stream

    def _read_file(self) -> Generator[VideoFrame, None, None]:
        index = -1
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                if self._last is not None and index > self._last:
                    return
                if index < self._first:
                    continue
                if frame.pts is None or frame.time_base is None:
                    stamp_ns = round(index * 1e9 / self.fps)
                else:
                    stamp_ns = round(frame.pts * frame.time_base * 1_000_000_000)
                image = frame.to_ndarray(format="bgr24")
                turns = round(getattr(frame, "rotation", 0) / 90) % 4  # a phone held upright
                if turns:
                    image = np.ascontiguousarray(np.rot90(image, turns))
                yield VideoFrame(index, stamp_ns, image)
        except av.FFmpegError as error:
            raise VideoError(
                f"{self.path}: frame {index + 1} cannot be decoded ({_reason(error)})"
            ) from None


def read_video(
    source: str | Path, *, first: int = 0, last: int | None = None
) -> Iterator[VideoFrame]:
    """The frames of a video, one after another; the file is closed at the end.

    Args:
        source: video file, or folder of images in the order of their names.
        first, last: indices of the first and last frame wanted, both included.

    Yields:
        Frames with ``image`` (uint8 (H, W, 3), BGR), ``index`` and ``stamp_ns``.

    Raises:
        VideoError: see :class:`VideoReader`; raised when the first frame is asked for.
    """
    with VideoReader(source, first=first, last=last) as reader:
        yield from reader


class VideoWriter:
    """Writes BGR images of one size as H.264 (yuv420p) into an MP4 file; use it in ``with``.

    An odd width or height, which H.264 does not take, is extended by repeating the last column
    or row. The file is opened with the first image and complete only after closing.
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

    def write(self, image: np.ndarray) -> None:
        """Append one image, uint8 (H, W, 3) BGR, of the size of the first.

        Raises:
            VideoError: another size, or a file that cannot be written.
        """
        height, width = image.shape[:2]
        if self._size is None:
            self._open(width, height)
        if self._size != (width, height):
            raise VideoError(
                f"{self.path}: image of {width}x{height} px in a video of "
                f"{'x'.join(map(str, self._size or ()))}"
            )
        if width % 2 or height % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame = frame.reformat(format="yuv420p")
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            # PyAV crashes when an encoder is flushed into a file whose header was not written.
            container, self._container = self._container, None
            with contextlib.suppress(av.FFmpegError, OSError):
                container.close()
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Finish the file."""
        if self._container is not None:
            container, self._container = self._container, None
            try:
                try:
                    container.mux(self._stream.encode())
                finally:
                    container.close()
            except (av.FFmpegError, OSError) as error:
                raise self._unwritable(error) from None

    def _unwritable(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path}: cannot be written ({_reason(error)})")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, width: int, height: int) -> None:
        try:
            # The index goes to the front, so that a browser starts before it has everything.
            self._container = av.open(
                str(self.path), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._stream = self._container.add_stream("libx264", rate=self._rate)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._unwritable(error) from None
        self._size = (width, height)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        # libx264's macroblock tree (core 165, AVX) decides by memory that it never wrote, so that
        # the same images gave other bytes in one file of twenty, in the lowest rows.
        self._stream.options = {"crf": str(self._crf), "preset": "veryfast", "mbtree": "0"}
        context = self._stream.codec_context
        context.colorspace = _BT601_MATRIX
        context.color_primaries, context.color_trc = _BT709_PRIMARIES, _BT709_TRANSFER
        context.color_range = _LIMITED_RANGE


def image_files(folder: Path) -> list[Path]:
    """The images of a folder by name, numbers in names compared as numbers."""

    def key(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", path.name.lower())
        return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in files if path.is_file()), key=key)


def _reason(error: Exception) -> str:
    """What FFmpeg or the system says, without the path and without line breaks."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
