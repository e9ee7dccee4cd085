"""The images of a benchmark, in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import BenchError
from ..geometry.box import Box
from ..io.video import VideoReader

#: A clip is cut off at this many frames, or at this many bytes of pixels.
MAX_FRAMES, MAX_BYTES = 200, 1_000_000_000


def load_clip(
    video: Path, first: int, last: int | None, box: Box, size: tuple[int, int] | None = None
) -> tuple[list[np.ndarray], Box]:
    """Frames as uint8 (H, W, 3) BGR and the box on the first of them.

    Args:
        box: in pixels of the video.
        size: width and height wanted, at least the video's; the video stands in the middle of its
            mirror images, so that the target keeps its size in pixels. None: the video's own.

    Raises:
        BenchError: the video is larger than ``size``.
        VideoError: the video cannot be read.
    """
    images: list[np.ndarray] = []
    left = top = 0
    with VideoReader(video, first=first, last=last) as reader:
        for frame in reader:
            image = frame.image
            if size is not None:
                height, width = image.shape[:2]
                if size[0] < width or size[1] < height:
                    raise BenchError(f"{video} is {width}x{height}, more than {size[0]}x{size[1]}")
                left, top = (size[0] - width) // 2, (size[1] - height) // 2
                right, bottom = size[0] - width - left, size[1] - height - top
                image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT)
            images.append(image)
            if len(images) == MAX_FRAMES or len(images) * image.nbytes > MAX_BYTES:
                break
    return images, Box(box.x1 + left, box.y1 + top, box.x2 + left, box.y2 + top)


def side_by_side(
    images: Sequence[np.ndarray], box: Box, count: int
) -> tuple[list[np.ndarray], list[Box]]:
    """Every image repeated ``count`` times in rows, and the box in each copy.

    Targets in copies of their own move as in the video and do not meet. Images that no longer fit
    into :data:`MAX_BYTES` are left out, but for two.
    """
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    height, width = images[0].shape[:2]
    kept = max(2, MAX_BYTES // (images[0].nbytes * rows * columns))
    places = [divmod(index, columns) for index in range(count)]
    boxes = [
        Box(box.x1 + x * width, box.y1 + y * height, box.x2 + x * width, box.y2 + y * height)
        for y, x in places
    ]
    return [np.tile(image, (rows, columns, 1)) for image in images[:kept]], boxes
