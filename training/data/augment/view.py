"""A view of a photograph: looked up where a source grid says."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.images.resample import BORDER_BGR


@dataclass(frozen=True, eq=False)
class View:
    """What a search crop shows of one photograph.

    Attributes:
        image: uint8 (S, S, 3), BGR; ``BORDER_BGR`` outside the photograph.
        alpha: float32 (S, S), 1 on the object.
        covered: bool (S, S), True inside the photograph.
    """

    image: np.ndarray
    alpha: np.ndarray
    covered: np.ndarray


def look_up(image: np.ndarray, mask: np.ndarray, source_xy: np.ndarray) -> View:
    """Sample a photograph bilinearly.

    Args:
        image: uint8 (H, W, 3).
        mask: uint8 (H, W), 255 on the object.
        source_xy: float32 (S, S, 2), continuous photograph pixels.
    """
    height, width = image.shape[:2]
    x, y = source_xy[..., 0], source_xy[..., 1]
    # Half a pixel inside: there is no neighbour to interpolate with beyond.
    covered = (x >= 0.5) & (y >= 0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    step = _pixels_per_step(source_xy)
    # Only the part that is seen is shrunk and read.
    margin = int(2 * step) + 2
    left, top = max(int(x.min()) - margin, 0), max(int(y.min()) - margin, 0)
    right, bottom = min(int(x.max()) + margin, width), min(int(y.max()) + margin, height)
    if left >= right or top >= bottom:
        blank = np.empty((*x.shape, 3), np.uint8)
        blank[:] = BORDER_BGR
        return View(blank, np.zeros(x.shape, np.float32), covered)
    image, mask = image[top:bottom, left:right], mask[top:bottom, left:right]
    x, y = x - np.float32(left), y - np.float32(top)
    # Shrink by area first, or thin parts alias.
    if step > 2:
        factor = 2.0 ** np.floor(np.log2(step))
        rows, columns = image.shape[:2]
        small = max(round(columns / factor), 1), max(round(rows / factor), 1)
        x, y = x * np.float32(small[0] / columns), y * np.float32(small[1] / rows)
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    x, y = x - np.float32(0.5), y - np.float32(0.5)
    seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=BORDER_BGR)
    alpha = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderValue=0)
    return View(seen, alpha.astype(np.float32) / np.float32(255), covered)


def _pixels_per_step(source_xy: np.ndarray) -> float:
    """Photograph pixels from one pixel of the view to the next, in the middle of the view."""
    rows, columns = source_xy.shape[:2]
    middle = source_xy[rows // 2, columns // 2]
    across = source_xy[rows // 2, columns // 2 + 1] - middle
    down = source_xy[rows // 2 + 1, columns // 2] - middle
    return float(np.sqrt(abs(across[0] * down[1] - across[1] * down[0])))
