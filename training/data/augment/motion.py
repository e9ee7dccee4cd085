"""Where each pixel of a view comes from: affine, perspective and non-rigid motion.

Coordinates are continuous (see siampolar_model/results.py); a *source grid* is float32 (S, S, 2),
the place in the photograph that each of the view's pixels shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Largest perspective term: what is farthest away at a view's corner is half as large.
MAX_TILT = 0.25
#: Control points a side of the non-rigid field.
_KNOTS = 5


def affine(
    rng: np.random.Generator, rotation_sigma_rad: float, shear: float, log_aspect: float
) -> np.ndarray:
    """Rotation, shear and aspect without a change of area, float64 (2, 2)."""
    angle_rad = rng.normal(0, rotation_sigma_rad)
    aspect = rng.uniform(-log_aspect, log_aspect)
    return turned(angle_rad, aspect, rng.uniform(-shear, shear))


def turned(angle_rad: float, log_aspect: float, slant: float) -> np.ndarray:
    """Aspect, then slant, then rotation; without a change of area, float64 (2, 2)."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    stretch = np.exp(log_aspect / 2)
    matrix: np.ndarray = (
        np.array([[cos, -sin], [sin, cos]])
        @ np.array([[1, slant], [0, 1]])
        @ np.diag([stretch, 1 / stretch])
    )
    return matrix


def perspective(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Tilt of the plane that the object lies in, float64 (2,): see :func:`source_grid`."""
    return np.clip(rng.normal(0, sigma, 2), -MAX_TILT, MAX_TILT)


def bend(rng: np.random.Generator, size: int, sigma_px: float) -> np.ndarray:
    """A smooth field of displacements float32 (S, S, 2), for what is not rigid."""
    knots = rng.normal(0, sigma_px, (_KNOTS, _KNOTS, 2)).astype(np.float32)
    return cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an object stands in a view of S x S pixels.

    Attributes:
        at_xy: view pixel that shows ``middle_xy``.
        middle_xy: photograph pixel in the middle of the object.
        linear: float64 (2, 2), directions in the photograph to directions in the view.
        zoom: view pixels per photograph pixel, ``linear`` having no scale of its own.
    """

    at_xy: np.ndarray
    middle_xy: np.ndarray
    linear: np.ndarray
    zoom: float


def source_grid(
    placement: Placement,
    size: int,
    tilt: np.ndarray | None = None,
    field_px: np.ndarray | None = None,
) -> np.ndarray:
    """Source grid float32 (size, size, 2) of a view.

    With d a pixel's distance from ``at_xy``, bent by ``field_px``, its source is
    ``middle + (linear * zoom)^-1 d / (1 + tilt . d / (size / 2))``.
    """
    axis = np.arange(size, dtype=np.float32) + 0.5
    x, y = axis - np.float32(placement.at_xy[0]), axis - np.float32(placement.at_xy[1])
    offset = np.empty((size, size, 2), np.float32)
    offset[..., 0], offset[..., 1] = x, y[:, None]
    if field_px is not None:
        offset += field_px
    if tilt is not None:
        depth = 1 + offset @ (tilt / (size / 2)).astype(np.float32)
        offset /= np.maximum(depth, 0.25)[..., None]
    inverse = np.linalg.inv(placement.linear * placement.zoom)
    matrix = np.column_stack([inverse, placement.middle_xy]).astype(np.float32)
    return cv2.transform(offset, matrix)
