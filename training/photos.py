"""Photographs with instance masks, in DAVIS layout, held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

#: Neighbouring names are alike (they come from one source and often one class), so photographs
#: are held out in runs of GROUP names: one run in HOLDOUT_EVERY.
GROUP = 10
HOLDOUT_EVERY = 20


class DataError(ValueError):
    """A data folder that is missing or damaged; the message names it and the layout expected."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One photograph.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        labels: uint8 (H, W), 0 background and one value an instance; None if not annotated.
        instances: the values that stand in ``labels``.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray | None
    instances: tuple[int, ...]


def held_out(name: str) -> bool:
    """Whether a photograph (named by its number) belongs to the validation groups."""
    return (int(name) // GROUP) % HOLDOUT_EVERY == 7


def load_photos(root: str | Path, *, validation: bool) -> list[Photo]:
    """Read one side of the split.

    Raises:
        DataError: the folder is missing, has no photographs, or a mask does not fit its photograph.
    """
    layout = "JPEGImages/photos/NNNNN.jpg and Annotations/photos/NNNNN.png"
    images = sorted((Path(root) / "JPEGImages" / "photos").glob("*.jpg"))
    if not images:
        raise DataError(f"no photographs in {root}; expected {layout}")
    out = []
    for path in images:
        if held_out(path.stem) != validation:
            continue
        image = cv2.imread(str(path))
        mask_path = Path(root) / "Annotations" / "photos" / f"{path.stem}.png"
        labels = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED) if mask_path.exists() else None
        if image is None or (labels is not None and labels.shape != image.shape[:2]):
            raise DataError(f"{path} cannot be read or its mask has another size")
        instances = () if labels is None else tuple(int(v) for v in np.unique(labels) if v)
        out.append(Photo(path.stem, image, labels, instances))
    return out
