"""Light, colour and sharpness of a pair: what both views share, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siampolar_model.settings import check_settings, setting

from .augment import light, sharpness


@dataclass(frozen=True)
class PhotometrySettings:
    """Changes of light, colour and sharpness: of the pair, or of each view alone."""

    colour_shared: float = setting(
        0.25, 0, 1,
        help="Strength of the change of colour that both views share (the camera).",
    )  # fmt: skip
    colour: float = setting(
        0.12, 0, 1,
        help="Strength of the change of colour of each view alone (the moment).",
    )  # fmt: skip
    log_saturation: float = setting(
        0.3, 0, 1,
        help="The saturation of a view is up to e^+-log_saturation times what it was.",
    )  # fmt: skip
    grey: float = setting(0.08, 0, 1, help="Chance that the pair has no colour.")
    night: float = setting(0.05, 0, 1, help="Chance that the pair is taken with little light.")
    far: float = setting(
        0.15, 0, 1,
        help="Chance that the pair shows an object that is small in the camera's image.",
    )  # fmt: skip
    shade: float = setting(
        0.15, 0, 1,
        help="Chance that the light of a view changes gradually across it.",
    )  # fmt: skip
    shadow: float = setting(0.08, 0, 1, help="Chance of a shadow in a view.")
    blur: float = setting(0.12, 0, 1, help="Chance that a view is out of focus.")
    motion_blur: float = setting(
        0.15, 0, 1,
        help="Chance that a view is blurred by motion of the camera.",
    )  # fmt: skip
    noise: float = setting(0.2, 0, 1, help="Chance of noise in a view.")
    compress: float = setting(0.2, 0, 1, help="Chance that a view is compressed as JPEG.")

    def __post_init__(self) -> None:
        check_settings(self)


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
