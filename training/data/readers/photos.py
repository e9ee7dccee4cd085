"""Photographs with instance masks, in DAVIS layout, such as ../shared/data/photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siampolar_model.errors import DatasetError

from .base import LabelledImage, Reader
from .decode import labelled, picture_files, read_image, read_labels
from .holdout import empty_side, held_out

LAYOUT = "JPEGImages/photos/NNNNN.jpg and Annotations/photos/NNNNN.png"

#: Photographs this near in number are taken for the same class (see Photos).
_NEIGHBOURS = 5


class Photos(Reader):
    """One side of a folder of photographs named by numbers; those without a mask are backgrounds.

    There are no classes. Neighbouring numbers come from one source and often show one class, so
    that is what ``similar`` gives.

    Raises:
        DatasetError: no photographs, none on this side, or a name that is not a number.
    """

    def __init__(self, root: str | Path, *, validation: bool = False) -> None:
        self.root = Path(root)
        self._images = self.root / "JPEGImages" / "photos"
        self._masks = self.root / "Annotations" / "photos"
        files = picture_files(self._images) if self._images.is_dir() else []
        if not files:
            raise DatasetError(f"no photographs in {root}; expected {LAYOUT}")
        for path in files:
            if not (path.stem.isascii() and path.stem.isdigit()):
                raise DatasetError(f"photograph {path} must be named by its number, as {LAYOUT}")
        self._files = [path.name for path in files if held_out(int(path.stem)) == validation]
        if not self._files:
            raise empty_side(self.root, len(files), validation)
        masks = {path.stem for path in self._masks.glob("*.png")}
        self._annotated = [i for i, name in enumerate(self._files) if _stem(name) in masks]
        self._has_mask = frozenset(self._annotated)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, sequence: int) -> str:
        return _stem(self._files[sequence])

    @property
    def annotated(self) -> Sequence[int]:
        return self._annotated

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        image = read_image(self._images / self._files[sequence])
        mask_path = self._masks / f"{self.name(sequence)}.png"
        labels = read_labels(mask_path) if sequence in self._has_mask else None
        return labelled(self.name(sequence), sequence, image, labels, mask_path)

    def similar(self, image: LabelledImage, value: int) -> Sequence[int]:
        number = int(image.name)
        near = range(
            max(image.sequence - _NEIGHBOURS, 0),
            min(image.sequence + _NEIGHBOURS + 1, len(self)),
        )
        return [
            i
            for i in near
            if i in self._has_mask
            and i != image.sequence
            and abs(int(self.name(i)) - number) <= _NEIGHBOURS
        ]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
