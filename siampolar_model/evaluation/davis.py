"""Data sets in DAVIS layout: which files belong to which sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import DatasetError
from ..io.image_folder import image_files

#: What a data set looks like.
LAYOUT = "JPEGImages/480p/SEQUENCE/00000.jpg and Annotations/480p/SEQUENCE/00000.png"

#: Lists of DAVIS-2016 val below ImageSets, as the releases of 2016 and 2017 have them.
_VAL_LISTS = ("480p", "2016")


@dataclass(frozen=True)
class LabelledSequence:
    """One video of a data set: image and mask files of the same frames, in order."""

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]


def find_sequences(root: str | Path, names: Sequence[str] = ()) -> list[LabelledSequence]:
    """The sequences of a data set in DAVIS layout, with every file accounted for.

    Args:
        root: the folder that holds JPEGImages and Annotations.
        names: sequences wanted; none: those of DAVIS-2016 val by the set's own list, or else all
            folders.

    Raises:
        DatasetError: something is missing, or images and masks do not match.
    """
    root = Path(root)
    images, masks = root / "JPEGImages" / "480p", root / "Annotations" / "480p"
    for folder in (root, images, masks):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; expected {LAYOUT} in {root}")
    lists = [root / "ImageSets" / place / "val.txt" for place in _VAL_LISTS]
    listed = [path for path in lists if path.is_file()]
    if not names and listed:
        names = listed_sequences(listed[0])
    if not names:
        names = sorted(path.name for path in masks.iterdir() if path.is_dir())
    if not names:
        raise DatasetError(f"{masks}: no sequences; expected {LAYOUT} in {root}")
    return [_find_sequence(images / name, masks / name) for name in names]


def listed_sequences(image_set: Path) -> list[str]:
    """Sequence names of a list: one a line (DAVIS-2017), or the paths of one frame's files."""
    names = []
    for line in image_set.read_text(encoding="utf-8").splitlines():
        if line.strip():
            first = Path(line.split()[0])
            names.append(first.parent.name if first.suffix else first.name)
    return list(dict.fromkeys(names))


def _find_sequence(images: Path, masks: Path) -> LabelledSequence:
    for folder in (images, masks):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; expected {LAYOUT}")
    image_paths, mask_paths = image_files(images), image_files(masks)
    if len(image_paths) < 3:
        raise DatasetError(f"{images}: {len(image_paths)} images; a sequence needs at least 3")
    by_stem = {path.stem: path for path in mask_paths}
    for path in image_paths:
        if path.stem not in by_stem:
            raise DatasetError(f"{masks}: no mask for {path.name}; expected {LAYOUT}")
    return LabelledSequence(
        images.name, tuple(image_paths), tuple(by_stem[path.stem] for path in image_paths)
    )


def read_pair(image_path: Path, mask_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 (H, W, 3) BGR and mask uint8 (H, W), 0 or 1."""
    read = []
    for path in (image_path, mask_path):
        # Colour for masks too: index images come out in their palette's colours, 0 black.
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise DatasetError(f"{path}: not a readable image; expected {LAYOUT}")
        read.append(pixels)
    image, mask = read
    if image.shape != mask.shape:
        size, expected = ("x".join(map(str, a.shape[1::-1])) for a in (mask, image))
        raise DatasetError(f"{mask_path}: is {size} px; its image is {expected}")
    return image, (mask.max(axis=2) > 0).astype(np.uint8)
