"""The border of the camera's image: nothing is seen beyond it, and it may run through the target.

The tracker's crops have ``BORDER_BGR`` there, whatever light and coding did to the image, so the
border is painted last.
"""

from __future__ import annotations

import cv2
import numpy as np

from siampolar_model.geometry.crops import CropWindow
from siampolar_model.images.resample import BORDER_BGR

#: A border cuts off at most this share of the target's box.
_DEEPEST = 0.5


def border(rng: np.random.Generator, mask: np.ndarray, least_px: float) -> np.ndarray:
    """A border at one side of the view: through the target in half the cases, else next to it.

    Args:
        mask: uint8 (S, S), 0 or 1, the target; if there is none, the border may lie anywhere.
        least_px: area of the target that must be left, else no border is drawn.

    Returns:
        bool (S, S), True beyond the border.
    """
    size = mask.shape[0]
    beyond = np.zeros(mask.shape, bool)
    x, y, width, height = cv2.boundingRect(mask) if mask.any() else (0, 0, size, size)
    vertical, far = rng.random() < 0.5, rng.random() < 0.5
    start, length = (x, width) if vertical else (y, height)
    # Pixels of the view before the target, seen from the side that is cut off.
    before = size - start - length if far else start
    if rng.random() < 0.5:
        depth = before + length * rng.uniform(0, _DEEPEST)
    else:
        depth = before * rng.uniform(0, 1)
    rows = beyond.T if vertical else beyond
    rows[size - round(depth) :] = far
    rows[: round(depth)] |= not far
    if cv2.countNonZero(mask * ~beyond) < least_px:
        return np.zeros(mask.shape, bool)
    return beyond


def outside(window: CropWindow, width: int, height: int) -> np.ndarray:
    """bool (size, size): where a crop shows nothing of an image of width x height pixels."""
    centers = np.arange(window.size) + 0.5
    x, y = window.points_to_image(np.stack([centers, centers], 1)).T
    return ((x < 0) | (x > width)) | ((y < 0) | (y > height))[:, None]


def paint(image: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """The image with the border's colour where ``beyond`` is True."""
    if not beyond.any():
        return image
    image = image.copy()
    image[beyond] = BORDER_BGR
    return image
