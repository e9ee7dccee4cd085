"""Light, colour and sharpness of a pair: what both views share, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .augment import light, sharpness
from .checked import CHANCE, checked


@dataclass(frozen=True)
class PhotometrySettings:
    """Chances for a view or a pair, and strengths.

    Attributes:
        colour_shared: strength of the change that both views share (the camera).
        colour: the same for each view alone (the moment).
        grey, night: chances that the whole pair is without colour, or taken with little light.
        far: chance that the whole pair shows an object that is small in the camera's image.
    """

    colour_shared: float = 0.25
    colour: float = 0.12
    log_saturation: float = 0.3
    grey: float = 0.08
    night: float = 0.05
    far: float = 0.15
    shade: float = 0.15
    shadow: float = 0.08
    blur: float = 0.12
    motion_blur: float = 0.15
    noise: float = 0.2
    compress: float = 0.2

    def __post_init__(self) -> None:
        checked(self, dict.fromkeys(vars(self), CHANCE))


def jitter_pair(
    rng: np.random.Generator,
    template: np.ndarray,
    search: np.ndarray,
    settings: PhotometrySettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Change the light and sharpness of both views in the same way, and of each a little more.

    Args:
        template, search: uint8 (H, W, 3), BGR, as are the results.
    """
    s = settings
    shared = light.colour_table(rng, s.colour_shared)
    grey, dark, far = (rng.random() < chance for chance in (s.grey, s.night, s.far))
    factor = rng.uniform(0.25, 0.7)
    views = []
    for image in (template, search):
        image = light.apply_table(image, light.chain(shared, light.colour_table(rng, s.colour)))
        image = light.saturation(image, float(np.exp(rng.uniform(-1, 1) * s.log_saturation)))
        if rng.random() < s.shade:
            image = light.shade(rng, image, 0.6)
        if rng.random() < s.shadow:
            image = light.shadow(rng, image)
        if dark:
            image = light.night(rng, image)
        if grey:
            image = light.grey(image)
        if far:
            image = sharpness.far_away(image, min(factor * float(np.exp(rng.normal(0, 0.2))), 1.0))
        if rng.random() < s.blur:
            image = sharpness.blur(image, rng.uniform(0.5, 2.0))
        if rng.random() < s.motion_blur:
            image = sharpness.motion_blur(image, int(rng.integers(3, 12)), rng.uniform(0, np.pi))
        if rng.random() < s.noise:
            image = light.noise(rng, image, rng.uniform(2, 10))
        if rng.random() < s.compress:
            image = sharpness.compress(image, int(rng.integers(25, 85)))
        views.append(image)
    return views[0], views[1]
