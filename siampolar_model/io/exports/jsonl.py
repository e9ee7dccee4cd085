"""JSON Lines, the project's own format; docs/formats.md describes it."""

from __future__ import annotations

from pathlib import Path

from ..jsonl import json_line
from .base import FrameResult


class JsonLines:
    """One line of JSON for each frame."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, frame: FrameResult) -> None:
        self._file.write(json_line(frame.index, frame.stamp_ns, frame.targets))

    def close(self) -> None:
        self._file.close()
