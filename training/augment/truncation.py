"""The border of the camera's image runs through the target."""

from __future__ import annotations

import cv2
import numpy as np

from siampolar_model.frames import BORDER_BGR


def truncate(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, least_visible: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut image and mask off at one side, through the target's box.

    Beyond lies the colour that the tracker's crops have outside of an image.

    Args:
        mask: uint8 (S, S), 0 or 1; an empty one changes nothing.
        least_visible: share of the target that must be left, else nothing is cut.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return image, mask
    vertical, far = rng.random() < 0.5, rng.random() < 0.5
    share = rng.uniform(0, 1 - least_visible)
    start, length = (x, width) if vertical else (y, height)
    at = round(start + length * (1 - share)) if far else round(start + length * share)
    beyond = slice(at, None) if far else slice(0, at)
    index = (slice(None), beyond) if vertical else (beyond, slice(None))
    left = mask.copy()
    left[index] = 0
    if cv2.countNonZero(left) < least_visible * cv2.countNonZero(mask):
        return image, mask
    image = image.copy()
    image[index] = BORDER_BGR
    return image, left
