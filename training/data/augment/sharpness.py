"""What lens, motion and coding take from a view; uint8 (H, W, 3) in BGR."""

from __future__ import annotations

import cv2
import numpy as np


def blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Out of focus."""
    return cv2.GaussianBlur(image, (0, 0), sigma_px)


def motion_blur(image: np.ndarray, length_px: int, angle_rad: float) -> np.ndarray:
    """Smear along a straight line; also for an alpha, where only the object moves."""
    kernel = np.zeros((length_px, length_px), np.float32)
    middle = (length_px - 1) / 2
    half = np.array([np.cos(angle_rad), np.sin(angle_rad)]) * middle
    start, end = np.round(middle - half).astype(int), np.round(middle + half).astype(int)
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def far_away(image: np.ndarray, factor: float) -> np.ndarray:
    """As of an object ``factor`` times as large in the camera's image: shrunk and enlarged."""
    height, width = image.shape[:2]
    small = max(round(width * factor), 1), max(round(height * factor), 1)
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """JPEG artefacts."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
