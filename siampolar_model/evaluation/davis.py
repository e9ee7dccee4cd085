"""Data sets in DAVIS layout: which files belong to which sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DatasetError
from .dataset import Skipped, open_each
from .metrics import mask_box
from .pictures import VOID, first_value_range, frame_files, has_void, read_image, read_labels

#: What a data set of images with masks looks like.
LAYOUT = "JPEGImages/480p/SEQUENCE/00000.jpg and Annotations/480p/SEQUENCE/00000.png"

#: Lists of DAVIS-2016 val below ImageSets, as the releases of 2016 and 2017 have them.
_VAL_LISTS = ("480p", "2016")

#: The list of DAVIS-2017 val, whose objects are scored one by one.
_VAL_LISTS_OF_OBJECTS = ("2017",)

#: The protocol leaves out the first frame and the last.
_MIN_FRAMES = 3


@dataclass(frozen=True, eq=False)
class MaskedImage:
    """One frame and its truth.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        mask: uint8 (H, W), 1 on the object: all labels together.
        void: bool (H, W), True where the annotators left it undecided; None if nowhere.
        labels: uint8 (H, W), the number of each object; 0 where there is none.
    """

    image: np.ndarray
    mask: np.ndarray
    void: np.ndarray | None
    labels: np.ndarray

    def mask_of(self, label: int) -> np.ndarray:
        """uint8 (H, W), 1 on the object of this number."""
        return (self.labels == label).astype(np.uint8)


@dataclass(frozen=True)
class MaskSequence:
    """One video of a data set: image and mask files of the same frames, in order.

    Attributes:
        void: whether label 255 means "undecided", see :mod:`siampolar_model.evaluation.pictures`.
        value_range: what becomes black and white in images of more than 8 bits.
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    void: bool = False
    value_range: tuple[float, float] | None = None

    def read(self, index: int) -> MaskedImage:
        """One frame.

        Raises:
            DatasetError: a damaged file, or a mask of another size than its image.
        """
        image_path, mask_path = self.images[index], self.masks[index]
        image = read_image(image_path, self.value_range)
        labels = read_labels(mask_path)
        if image.shape[:2] != labels.shape:
            size, expected = ("x".join(map(str, a.shape[1::-1])) for a in (labels, image))
            raise DatasetError(f"{mask_path}: is {size} px; its image is {expected}")
        void = labels == VOID if self.void else None
        labels = labels if void is None else np.where(void, np.uint8(0), labels)
        return MaskedImage(image, (labels > 0).astype(np.uint8), void, labels)


@dataclass(frozen=True)
class MaskDataset:
    """A data set whose truth is masks.

    Attributes:
        skipped: sequences that are not usable, and why.
    """

    root: Path
    sequences: tuple[MaskSequence, ...]
    skipped: tuple[Skipped, ...] = ()


def open_masks(
    root: str | Path, names: Sequence[str] = (), *, objects: bool = False
) -> MaskDataset:
    """The sequences of a data set in DAVIS layout, with every file accounted for.

    Images and masks are matched both ways, all masks are read, and the object must be on the first.

    Args:
        root: the folder that holds JPEGImages and Annotations.
        names: the sequences wanted; if empty, those of DAVIS val by the set's own list, or else all
            folders.
        objects: take the list of DAVIS-2017 instead of that of DAVIS-2016.

    Raises:
        DatasetError: another layout, no sequences, or none that is usable.
    """
    root = Path(root)
    images, masks = (_frames_of(root, kind) for kind in ("JPEGImages", "Annotations"))
    places = _VAL_LISTS_OF_OBJECTS if objects else _VAL_LISTS
    lists = [root / "ImageSets" / place / "val.txt" for place in places]
    listed = [path for path in lists if path.is_file()]
    if not names and listed:
        names = listed_sequences(listed[0])
    if not names:
        found = {path.name for kind in (images, masks) for path in kind.iterdir() if path.is_dir()}
        names = sorted(name for name in found if not name.startswith("."))
    if not names:
        raise DatasetError(f"{masks}: no sequences; expected {LAYOUT} in {root}")
    return MaskDataset(root, *open_each(names, partial(_open_sequence, images, masks)))


def find_sequences(root: str | Path, names: Sequence[str] = ()) -> list[MaskSequence]:
    """As :func:`open_masks`, for callers that need every sequence.

    Raises:
        DatasetError: something is missing or damaged.
    """
    dataset = open_masks(root, names)
    if dataset.skipped:
        raise DatasetError(dataset.skipped[0].reason)
    return list(dataset.sequences)


def listed_sequences(image_set: Path) -> list[str]:
    """Sequence names of a list: one per line (DAVIS-2017), or the paths of one frame's files."""
    names = []
    for line in image_set.read_text(encoding="utf-8").splitlines():
        if line.strip():
            first = Path(line.split()[0])
            names.append(first.parent.name if first.suffix else first.name)
    return list(dict.fromkeys(names))


def match_masks(images: Sequence[Path], masks: Sequence[Path], folder: Path) -> list[Path]:
    """The mask of every image, by the names of the files without their suffixes.

    Args:
        folder: of the masks, for the message.

    Raises:
        DatasetError: an image without a mask, or a mask without an image.
    """
    by_stem = {path.stem: path for path in masks}
    for path in images:
        if path.stem not in by_stem:
            raise DatasetError(f"{folder}: no mask for {path.name}; expected {LAYOUT}")
    left = sorted(set(by_stem) - {path.stem for path in images})
    if left:
        raise DatasetError(
            f"{folder}: {len(masks)} masks for {len(images)} images; "
            f"no image for {by_stem[left[0]].name}"
        )
    return [by_stem[path.stem] for path in images]


def _frames_of(root: Path, kind: str) -> Path:
    """The folder that holds the sequences' images, or their masks."""
    folder = root / kind / "480p"
    for place in (root, folder):
        if not place.is_dir():
            raise DatasetError(f"{place}: no such folder; expected {LAYOUT} in {root}")
    return folder


def _open_sequence(images: Path, masks: Path, name: str) -> MaskSequence:
    images, masks = images / name, masks / name
    for folder in (images, masks):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; expected {LAYOUT}")
    image_paths, mask_paths = frame_files(images), frame_files(masks)
    matched = match_masks(image_paths, mask_paths, masks)
    if len(image_paths) < _MIN_FRAMES:
        raise DatasetError(
            f"{images}: {len(image_paths)} images; a sequence needs at least {_MIN_FRAMES}"
        )
    labels = {label for path in matched for label in np.unique(read_labels(path)).tolist()}
    sequence = MaskSequence(
        name,
        tuple(image_paths),
        tuple(matched),
        has_void(labels),
        first_value_range(image_paths[0]),
    )
    if mask_box(sequence.read(0).mask) is None:
        raise DatasetError(f"{matched[0]}: the first mask of a sequence is empty")
    return sequence
