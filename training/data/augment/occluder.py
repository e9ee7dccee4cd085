"""Occluders that are no objects: poles, beams and foliage."""

from __future__ import annotations

import cv2
import numpy as np


def bar(rng: np.random.Generator, size: int, at_xy: np.ndarray) -> np.ndarray:
    """A straight beam across the view through a point, alpha float32 (S, S)."""
    angle = rng.normal(np.pi / 2, 0.35) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    start, end = (tuple(map(int, np.round(at_xy + direction * k * size))) for k in (-2, 2))
    mask = np.zeros((size, size), np.uint8)
    cv2.line(mask, start, end, 255, max(round(size * rng.uniform(0.02, 0.09)), 1), cv2.LINE_AA)
    return mask.astype(np.float32) / np.float32(255)


def foliage(rng: np.random.Generator, size: int, at_xy: np.ndarray) -> np.ndarray:
    """A cluster of leaves about a point, alpha float32 (S, S)."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(8, 25))):
        at = at_xy + rng.normal(0, 0.1 * size, 2)
        axes = rng.uniform(0.01, 0.05, 2) * size
        ellipse = (tuple(map(float, at)), tuple(map(float, 2 * axes)), float(rng.uniform(0, 180)))
        cv2.ellipse(mask, ellipse, 255, cv2.FILLED, cv2.LINE_AA)
    return mask.astype(np.float32) / np.float32(255)
