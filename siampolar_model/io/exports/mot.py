"""MOT challenge text: one line for each box, frames from 1."""

from __future__ import annotations

from pathlib import Path

from ...results import TargetState
from .base import FrameResult


class MotText:
    """``frame,id,left,top,width,height,confidence,-1,-1,-1``, without lost targets.

    Pixels are counted from 1 in MOT challenge files, so a box at the image's corner has left = 1.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="ascii")

    def write(self, frame: FrameResult) -> None:
        for target in frame.targets:
            if target.state == TargetState.LOST:
                continue
            x, y, width, height = target.box.as_xywh()
            self._file.write(
                f"{frame.index + 1},{target.id},{x + 1:.2f},{y + 1:.2f},{width:.2f},{height:.2f},"
                f"{target.confidence:.4f},-1,-1,-1\n"
            )

    def close(self) -> None:
        self._file.close()
