"""What an export of results needs to know of a frame, and how one is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from ...results import Target
from ..staging import Staging


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Results on one frame of a video.

    Attributes:
        index: position of the frame in its video, from 0.
        stamp_ns: its time in nanoseconds.
        width, height: of the image, pixels.
        targets: all targets on it, lost ones included.
        image: uint8 (H, W, 3), BGR; None where no format needs it.
    """

    index: int
    stamp_ns: int
    width: int
    height: int
    targets: Sequence[Target]
    image: np.ndarray | None = None


class Export(Protocol):
    """Writes the results of one video. ``path`` is the file or folder to write into."""

    def __init__(self, path: Path) -> None: ...
    def write(self, frame: FrameResult) -> None: ...
    def close(self) -> None: ...


class Exports:
    """Several exports of one video, which all appear when the ``with`` block ends.

    Leaving the block by an exception other than KeyboardInterrupt deletes what was written so far.
    After an interruption everything until then is kept.

    Args:
        wanted: classes and where each is to be written.

    Raises:
        OSError: a folder that does not exist or cannot be written to.
    """

    def __init__(self, wanted: Sequence[tuple[type[Export], Path]]) -> None:
        self._staging = Staging()
        self._writers = [make(self._staging.place(path)) for make, path in wanted]

    def write(self, frame: FrameResult) -> None:
        for writer in self._writers:
            writer.write(frame)

    def __enter__(self) -> Exports:
        self._staging.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        keep = error is None or isinstance(error, KeyboardInterrupt)
        try:
            for writer in self._writers:
                writer.close()
        finally:
            self._staging.__exit__(*((None, None, None) if keep else (kind, error, trace)))
