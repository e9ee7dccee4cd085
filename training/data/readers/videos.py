"""Videos as folders of frames, which DAVIS, YouTube-VOS and SegTrack share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from siampolar_model.errors import DatasetError

from .base import LabelledImage, Reader
from .decode import labelled, read_image, read_labels


@dataclass(frozen=True)
class Video:
    """Files of one video, in order.

    Attributes:
        masks: of each frame, the files of its mask: one index image, or one image per object.
        categories: class of each object, where known.
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[tuple[Path, ...], ...]
    categories: Mapping[int, str] = field(default_factory=dict)


class VideoReader(Reader):
    """Videos with a mask for every frame."""

    def __init__(self, root: Path, videos: Sequence[Video]) -> None:
        self.root = root
        self._set(videos)

    def keep_side(self, every: int, *, validation: bool) -> None:
        """Keep the held-out sequences, one of ``every`` in order of names, or all the
        others.

        Raises:
            DatasetError: none is left.
        """
        by_name = sorted(self.videos, key=lambda video: video.name)
        held_out = {video.name for video in by_name[every - 1 :: every]}
        kept = [video for video in self.videos if (video.name in held_out) == validation]
        if not kept:
            side = "validation" if validation else "training"
            raise DatasetError(
                f"{self.root}: none of {len(by_name)} sequences is on the {side} side; of "
                f"every {every}, in order of names, one is held out"
            )
        self._set(kept)

    def _set(self, videos: Sequence[Video]) -> None:
        self.videos = tuple(videos)
        self._by_category: dict[str, list[int]] = {}
        for index, video in enumerate(self.videos):
            for category in sorted(set(video.categories.values())):
                self._by_category.setdefault(category, []).append(index)

    def __len__(self) -> int:
        return len(self.videos)

    def name(self, sequence: int) -> str:
        return self.videos[sequence].name

    def frames(self, sequence: int) -> int:
        return len(self.videos[sequence].images)

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        video = self.videos[sequence]
        path, masks = video.images[frame], video.masks[frame]
        image, labels = read_image(path), self.read_masks(masks)
        name = f"{video.name}/{path.stem}"
        return labelled(name, sequence, image, labels, masks[0], video.categories)

    def read_masks(self, paths: Sequence[Path]) -> np.ndarray:
        """Labels (H, W) of one frame."""
        (path,) = paths
        return read_labels(path)

    def similar(self, image: LabelledImage, value: int) -> Sequence[int]:
        return self._by_category.get(image.categories.get(value, ""), ())


def match_by_stem(images: Sequence[Path], masks: Sequence[Path], folder: Path) -> list[Path]:
    """The mask of each image, by file name without suffix.

    Raises:
        DatasetError: an image without a mask; it names the folder of the masks.
    """
    by_stem = {path.stem: path for path in masks}
    for path in images:
        if path.stem not in by_stem:
            raise DatasetError(f"{folder}: no mask for {path}")
    return [by_stem[path.stem] for path in images]


def need_folder(folder: Path, root: Path, layout: str) -> Path:
    """The folder.

    Raises:
        DatasetError: there is none.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; expected {layout} in {root}")
    return folder
