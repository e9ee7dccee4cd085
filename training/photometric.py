"""Changes of light, colour and sharpness between two views; each takes and gives uint8 BGR."""

from __future__ import annotations

import cv2
import numpy as np


def jitter_pair(
    rng: np.random.Generator, template: np.ndarray, search: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Change both views alike (the camera), and each a little more by itself (the moment)."""
    shared = _colour_table(rng, 0.25)
    grey = rng.random() < 0.08
    views = []
    for image in (template, search):
        image = cv2.LUT(image, _colour_table(rng, 0.12)[shared, np.arange(3)][:, None])
        image = saturation(image, float(np.exp(rng.uniform(-0.3, 0.3))))
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        if rng.random() < 0.15:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0))
        if rng.random() < 0.15:
            image = motion_blur(image, int(rng.integers(3, 12)), rng.uniform(0, np.pi))
        if rng.random() < 0.15:
            image = compress(image, int(rng.integers(25, 85)))
        if rng.random() < 0.2:
            image = noise(rng, image, rng.uniform(2, 10))
        views.append(image)
    return views[0], views[1]


def _colour_table(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Look-up table uint8 (256, 3): gamma, gain a channel and offset."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma = np.exp(rng.uniform(-strength, strength) * 1.5)
    gain = np.exp(rng.uniform(-strength, strength) + rng.uniform(-strength, strength, 3) * 0.4)
    offset = rng.uniform(-strength, strength) * 0.3
    return np.clip((level**gamma * gain + offset) * 255, 0, 255).astype(np.uint8)


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Mix with the grey image: 0 is grey, 1 unchanged, above 1 more vivid."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def motion_blur(image: np.ndarray, length_px: int, angle_rad: float) -> np.ndarray:
    """Smear along a straight line."""
    kernel = np.zeros((length_px, length_px), np.float32)
    middle = (length_px - 1) / 2
    half = np.array([np.cos(angle_rad), np.sin(angle_rad)]) * middle
    start, end = np.round(middle - half).astype(int), np.round(middle + half).astype(int)
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """JPEG artefacts."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian noise, the same in all channels."""
    added = rng.standard_normal(image.shape[:2], np.float32)[..., None] * sigma
    return np.clip(image + added, 0, 255).astype(np.uint8)
