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


#: What a folder of photographs looks like.
LAYOUT = "JPEGImages/photos/NNNNN.jpg and Annotations/photos/NNNNN.png"


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
    """Whether a photograph (named by its number) belongs to the validation groups.

    Raises:
        DataError: a name that is no number.
    """
    if not (name.isascii() and name.isdigit()):
        raise DataError(f"photograph {name!r} must be named by its number, as {LAYOUT}")
    return (int(name) // GROUP) % HOLDOUT_EVERY == 7


def load_photos(root: str | Path, *, validation: bool) -> list[Photo]:
    """Read one side of the split.

    Raises:
        DataError: the folder is missing, has no photographs on that side, or a file cannot be
            read or used.
    """
    images = sorted((Path(root) / "JPEGImages" / "photos").glob("*.jpg"))
    if not images:
        raise DataError(f"no photographs in {root}; expected {LAYOUT}")
    out = []
    for path in images:
        if held_out(path.stem) != validation:
            continue
        image = cv2.imread(str(path))
        if image is None:
            raise DataError(f"{path}: not a readable image")
        mask_path = Path(root) / "Annotations" / "photos" / f"{path.stem}.png"
        labels = _read_labels(mask_path) if mask_path.exists() else None
        if labels is not None and labels.shape != image.shape[:2]:
            size, expected = ("x".join(map(str, a.shape[1::-1])) for a in (labels, image))
            raise DataError(f"{mask_path}: is {size} px; its photograph is {expected}")
        instances = () if labels is None else tuple(int(v) for v in np.unique(labels) if v)
        out.append(Photo(path.stem, image, labels, instances))
    if not out:
        side = "validation" if validation else "training"
        raise DataError(
            f"{root}: none of {len(images)} photographs is on the {side} side of the split; one "
            f"run of {GROUP} numbers in {HOLDOUT_EVERY} is held out, "
            f"from {7 * GROUP:05d} to {8 * GROUP - 1:05d} first"
        )
    return out


def _read_labels(path: Path) -> np.ndarray:
    """Labels uint8 (H, W): grey values, or of an index image one label for every colour.

    OpenCV replaces indices by their palette's colours; black is the background.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(f"{path}: not a readable image")
    if pixels.dtype != np.uint8:
        raise DataError(f"{path}: has {pixels.dtype} values; a mask has 8 bits")
    if pixels.ndim == 2:
        return pixels
    colors = pixels[..., :3].astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    found = np.unique(colors[colors > 0])
    if len(found) > 255:
        raise DataError(f"{path}: has {len(found)} colours; a mask has one an instance, up to 255")
    labels = np.searchsorted(found, colors) + 1
    return np.where(colors > 0, labels, 0).astype(np.uint8)
