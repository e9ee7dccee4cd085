"""The frames of a video, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import VideoError
from .live import LiveSource, MotionJpeg, is_live
from .video import VideoFrame, VideoReader


def read_video(
    source: str | Path | int, *, first: int = 0, last: int | None = None
) -> Iterator[VideoFrame]:
    """The frames of a video, one after another; what was opened is closed at the end.

    Args:
        source: video file, folder of images in the order of their names, number of a camera,
            address of a stream such as ``rtsp://...``, or ``-`` for motion JPEG on standard input.
        first, last: indices of the first and last frame wanted, both included; only for files and
            folders.

    Yields:
        Frames with ``image`` (uint8 (H, W, 3), BGR), ``index`` from 0 and ``stamp_ns``. A camera
        or stream gives its newest image and skips those that came while the caller was busy.

    Raises:
        VideoError: it cannot be opened or read, or has no frame in that range; raised when the
            first frame is asked for.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import VideoWriter, read_video
        >>> with VideoWriter("short.mp4", fps=30) as out:
        ...     for _ in range(3):
        ...         out.write(np.zeros((48, 64, 3), np.uint8))
        >>> for frame in read_video("short.mp4"):
        ...     print(frame.index, frame.stamp_ns // 1_000_000, frame.image.shape)
        0 0 (48, 64, 3)
        1 33 (48, 64, 3)
        2 66 (48, 64, 3)
    """
    with open_video(source, first=first, last=last) as opened:
        yield from opened


def open_video(
    source: str | Path | int, *, first: int = 0, last: int | None = None
) -> VideoReader | LiveSource | MotionJpeg:
    """The reader of a source, to be used in ``with``; its ``notices`` are worth showing.

    Args:
        source, first, last: see :func:`read_video`.

    Raises:
        VideoError: it cannot be opened, or has no frame in that range.
    """
    name = str(source)
    if isinstance(source, Path) or not (name == "-" or is_live(name)):
        return VideoReader(name, first=first, last=last)
    if (first, last) != (0, None):
        raise VideoError(f"{name}: first and last choose frames of a file or folder only")
    return MotionJpeg() if name == "-" else LiveSource(name)
