"""Drawn photographs for tests, and a folder of them as it lies on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from siampolar_training.data.readers.base import LabelledImage


def photo(seed: int) -> LabelledImage:
    """A drawn photograph with two objects on noise."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (320, 240))
    labels = np.zeros((240, 320), np.uint8)
    cv2.ellipse(labels, (90, 110), (50, 30), 20, 0, 360, 1, -1)
    cv2.rectangle(labels, (200, 60), (260, 180), 2, -1)
    for value in (1, 2):
        image[labels == value] = rng.integers(0, 255, 3)
    return LabelledImage(f"{seed:05d}", seed, image, labels, (1, 2))


def write_photos(root: Path, photos: list[LabelledImage]) -> None:
    for folder in ("JPEGImages/photos", "Annotations/photos"):
        (root / folder).mkdir(parents=True)
    for p in photos:
        cv2.imwrite(str(root / f"JPEGImages/photos/{p.name}.jpg"), p.image)
        cv2.imwrite(str(root / f"Annotations/photos/{p.name}.png"), p.labels)
