"""CSV: one row for each target and frame, for a spreadsheet or pandas."""

from __future__ import annotations

import csv
from pathlib import Path

from .base import FrameResult

COLUMNS = (
    "frame", "stamp_s", "id", "state", "score", "quality", "x", "y", "width", "height",
    "mask_area_px",
)  # fmt: skip


class CsvTable:
    """Columns as in :data:`COLUMNS`; lost targets are rows with their last box and no area."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def write(self, frame: FrameResult) -> None:
        for target in frame.targets:
            name = target.state.name.lower()
            lost = name == "lost"
            area = 0 if lost else int(target.mask(frame.height, frame.width).sum())
            box = (f"{value:.2f}" for value in target.box.as_xywh())
            self._rows.writerow(
                [
                    frame.index, f"{frame.stamp_ns / 1e9:.9f}", target.id, name,
                    f"{target.score:.4f}", f"{target.quality:.4f}", *box, area,
                ]
            )  # fmt: skip

    def close(self) -> None:
        self._file.close()
