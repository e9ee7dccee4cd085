"""Occluders that are no objects: poles, beams and foliage."""

from __future__ import annotations

import cv2
import numpy as np


def bar(rng: np.random.Generator, size: int) -> np.ndarray:
    """A straight beam across the view, alpha float32 (S, S)."""
    angle = rng.normal(np.pi / 2, 0.35) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    middle = rng.uniform(0.15, 0.85, 2) * size
    width_px = size * rng.uniform(0.02, 0.09)
    ends = [middle + direction * reach for reach in (-2 * size, 2 * size)]
    return _line(size, np.array(ends), width_px)


def foliage(rng: np.random.Generator, size: int) -> np.ndarray:
    """A cluster of leaves, alpha float32 (S, S)."""
    mask = np.zeros((size, size), np.uint8)
    middle = rng.uniform(0, 1, 2) * size
    for _ in range(int(rng.integers(8, 25))):
        at = middle + rng.normal(0, 0.1 * size, 2)
        axes = rng.uniform(0.01, 0.05, 2) * size
        ellipse = (tuple(map(float, at)), tuple(map(float, 2 * axes)), float(rng.uniform(0, 180)))
        cv2.ellipse(mask, ellipse, 255, cv2.FILLED, cv2.LINE_AA)
    return mask.astype(np.float32) / np.float32(255)


def _line(size: int, points_xy: np.ndarray, width_px: float) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    ends = [tuple(int(v) for v in point) for point in np.round(points_xy)]
    cv2.line(mask, ends[0], ends[1], 255, max(round(width_px), 1), cv2.LINE_AA)
    return mask.astype(np.float32) / np.float32(255)
