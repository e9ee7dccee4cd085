"""Light and colour of a view; every function takes and gives uint8 (H, W, 3) in BGR."""

from __future__ import annotations

import cv2
import numpy as np

#: Mean level that night leaves, at least, before gamma.
_DARKEST = 30.0


def colour_table(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Look-up table uint8 (256, 3): gamma, a gain for each channel and an offset."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma = np.exp(rng.uniform(-strength, strength) * 1.5)
    gain = np.exp(rng.uniform(-strength, strength) + rng.uniform(-strength, strength, 3) * 0.4)
    offset = rng.uniform(-strength, strength) * 0.3
    return np.clip((level**gamma * gain + offset) * 255, 0, 255).astype(np.uint8)


def apply_table(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Look every channel up in its column of a table (256, 3)."""
    return cv2.LUT(image, table[:, None])


def chain(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The table of one change after the other."""
    return second[first, np.arange(3)]


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Mix with the grey image: 0 is grey, 1 unchanged, above 1 more vivid."""
    return cv2.addWeighted(image, factor, grey(image), 1 - factor, 0)


def grey(image: np.ndarray) -> np.ndarray:
    """Without colour, as from a monochrome camera."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def shade(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """Light from one side: a ramp of up to ``1 +- strength`` across the image."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle))
    down = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle))
    gain = 1 + np.float32(strength * rng.uniform(0.3, 1) / np.sqrt(2)) * (across + down[:, None])
    return _times(image, gain)


def shadow(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A straight-edged shadow over a part of the image."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    at = rng.uniform(0.25, 0.75, 2) * (width, height)
    distance = (x - np.float32(at[0])) * np.float32(np.cos(angle)) + (
        (y - np.float32(at[1])) * np.float32(np.sin(angle))
    )[:, None]
    softness = width * rng.uniform(0.005, 0.05)
    inside = np.clip(distance / np.float32(softness) + 0.5, 0, 1)
    return _times(image, 1 - np.float32(rng.uniform(0.3, 0.65)) * inside)


def night(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Little light: dark, pale, tinted by lamps, and grainy."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    warm, gain = rng.uniform(-0.25, 0.35), rng.uniform(0.3, 0.6)
    # What is dark already would become black.
    gain = max(gain, min(_DARKEST / max(float(image.mean()), 1.0), 1.0))
    tint = np.array([1 - warm, 1.0, 1 + warm], np.float32)
    table = level ** rng.uniform(0.9, 1.3) * gain * tint
    dark = apply_table(image, np.clip(table * 255, 0, 255).astype(np.uint8))
    return noise(rng, saturation(dark, rng.uniform(0.2, 0.7)), rng.uniform(2, 7))


def noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian noise, the same in all channels."""
    grain = rng.standard_normal(image.shape[:2], np.float32) * np.float32(sigma)
    return cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U)


def _times(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U)
