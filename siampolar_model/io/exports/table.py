"""CSV: one row for each target and frame, for a spreadsheet or pandas."""

from __future__ import annotations

import csv
from pathlib import Path

from ...results import TargetState
from .base import FrameResult

#: As the fields of the message Target, then the area of the mask.
COLUMNS = (
    "frame", "stamp_s", "id", "state", "reason", "confidence", "score", "quality",
    "x", "y", "width", "height", "velocity_x", "velocity_y",
    "predicted_x", "predicted_y", "predicted_width", "predicted_height", "mask_area_px",
)  # fmt: skip


class CsvTable:
    """Columns as in :data:`COLUMNS`; lost targets are rows with their last box and no area.

    Where no box is predicted, its four cells are empty.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def write(self, frame: FrameResult) -> None:
        for target in frame.targets:
            lost = target.state == TargetState.LOST
            area = 0 if lost else int(target.mask(frame.height, frame.width).sum())
            plain = target.to_dict()
            self._rows.writerow(
                [
                    frame.index, f"{frame.stamp_ns / 1e9:.9f}",
                    *(plain[name] for name in COLUMNS[2:8]),
                    *plain["box"], *plain["velocity"], *(plain["predicted_box"] or [""] * 4), area,
                ]
            )  # fmt: skip

    def close(self) -> None:
        self._file.close()
