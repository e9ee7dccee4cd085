"""A red and yellow ball that rolls over noise, 3 px to the right on every frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

#: Its box on the first frame, as the command line takes it.
BOX = "60,40,60,60"


def image(index: int) -> np.ndarray:
    """uint8 (200, 320, 3), BGR."""
    picture = np.random.default_rng(index).integers(90, 130, (200, 320, 3), dtype=np.uint8)
    cv2.circle(picture, (90 + 3 * index, 70), 30, (30, 30, 220), cv2.FILLED)
    cv2.circle(picture, (90 + 3 * index, 60), 12, (220, 200, 30), cv2.FILLED)
    return picture


def write_frames(folder: Path) -> Path:
    """Six frames as PNG files in a new folder."""
    folder.mkdir()
    for index in range(6):
        cv2.imwrite(str(folder / f"{index:05d}.png"), image(index))
    return folder
