"""Putting pictures together: other backgrounds, distractors behind, occluders in front."""

from __future__ import annotations

import cv2
import numpy as np


def blend(under: np.ndarray, over: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``alpha * over + (1 - alpha) * under``, uint8."""
    weight = np.empty((*alpha.shape, 3), np.float32)
    weight[:] = alpha[..., None]
    mixed = (over.astype(np.float32) - under) * weight + under
    return cv2.convertScaleAbs(mixed)


def soften(alpha: np.ndarray, sigma_px: float) -> np.ndarray:
    """Soft edges, as a lens gives them; a hard one would tell what was pasted."""
    return cv2.GaussianBlur(alpha, (0, 0), sigma_px)


def with_surroundings(alpha: np.ndarray, reach_px: float, ramp_px: float) -> np.ndarray:
    """The object and what lies about it, float32: 1 up to ``reach_px`` from the object, then
    falling to 0 over ``ramp_px``.

    Another background begins where this ends. At an object that is cut out along its mask a seam
    tells where the outline is; here the outline is as photographed.
    """
    distance = cv2.distanceTransform((alpha < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(1 - (distance - reach_px) / ramp_px, 0, 1).astype(np.float32)


def background_part(
    rng: np.random.Generator, image: np.ndarray, size: int, least_side: float = 0.5
) -> np.ndarray:
    """A random square of a photograph, mirrored or not, uint8 (size, size, 3)."""
    height, width = image.shape[:2]
    side = max(int(min(height, width) * rng.uniform(least_side, 1.0)), 1)
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    part = image[y : y + side, x : x + side]
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    part = cv2.resize(part, (size, size), interpolation=method)
    return cv2.flip(part, 1) if rng.random() < 0.5 else part


def put_behind(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    """A distractor: another picture everywhere but on the target (``mask`` uint8 0/1)."""
    return blend(image, other, alpha * (1 - mask))


def put_in_front(
    image: np.ndarray,
    mask: np.ndarray,
    other: np.ndarray,
    alpha: np.ndarray,
    least_px: float,
) -> tuple[np.ndarray, np.ndarray] | None:
    """An occluder: the new image and what is left of the mask.

    Returns:
        None if less than ``least_px`` of the target's area would be left.
    """
    left = mask * (alpha < 0.5).astype(np.uint8)
    if cv2.countNonZero(left) < least_px:
        return None
    return blend(image, other, alpha), left


def in_colours_of(image: np.ndarray, alpha: np.ndarray, model_bgr: np.ndarray) -> np.ndarray:
    """Move an object's mean colour to another's: a distractor in the same shirt."""
    weight = float(alpha.sum())
    if weight < 1:
        return image
    mean = (image * alpha[..., None]).sum((0, 1)) / weight
    return cv2.add(image, (*map(float, model_bgr - mean), 0.0))


def mean_colour(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean BGR, float64 (3,), where ``mask`` is not 0."""
    return np.array(cv2.mean(image, mask)[:3])
