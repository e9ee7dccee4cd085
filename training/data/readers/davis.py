"""DAVIS 2016 (one object a video) and DAVIS 2017 (several), and any folder laid out like them.

Perazzi et al., CVPR 2016; Pont-Tuset et al., arXiv 1704.00675.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.davis import listed_sequences

from .decode import picture_files
from .videos import Video, VideoReader, match_by_stem, need_folder

LAYOUT = (
    "JPEGImages/480p/SEQUENCE/00000.jpg, Annotations/480p/SEQUENCE/00000.png and "
    "ImageSets/2016|2017/SPLIT.txt or ImageSets/480p/SPLIT.txt"
)

#: Sequences of DAVIS-2017 val, those of DAVIS-2016 val among them: for evaluation only. They are
#: refused by name, so that an edited list or another copy of the set cannot let them in.
VAL = frozenset((
    "bike-packing", "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout",
    "car-shadow", "cows", "dance-twirl", "dog", "dogs-jump", "drift-chicane", "drift-straight",
    "goat", "gold-fish", "horsejump-high", "india", "judo", "kite-surf", "lab-coat", "libby",
    "loading", "mbike-trick", "motocross-jump", "paragliding-launch", "parkour", "pigs",
    "scooter-black", "shooting", "soapbox",
))  # fmt: skip

YEARS = (2016, 2017)
#: Index of what the annotators left undecided.
_VOID = 255

#: A frame of DAVIS, wherever the set lies.
_FRAME = re.compile(r"JPEGImages/(?:480p|1080p|Full-Resolution)/([^/]+)/[^/]+$")


def sequence_of(image: Path) -> str:
    """The sequence of an image file in a copy of DAVIS; empty elsewhere."""
    found = _FRAME.search(image.as_posix())
    return found[1] if found else ""


def refuse_val(names: Iterable[str], where: Path) -> None:
    """Keep evaluation data out of training.

    Raises:
        DatasetError: a sequence of DAVIS val.
    """
    for name in names:
        if name in VAL:
            raise DatasetError(f"{where}: {name} is a sequence of DAVIS val, never trained on")


class Davis(VideoReader):
    """One split of DAVIS.

    Args:
        year: 2016: everything that is not background is object 1; 2017: objects kept apart.
        split: name of the list of sequences; ignored where ``sequences`` are given.
        sequences: names; ``split=None`` and none given: all folders, for sets without lists.

    Raises:
        DatasetError: a folder, a list or a file is missing; it names the path and the layout.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        year: int = 2017,
        split: str | None = "train",
        sequences: Sequence[str] = (),
    ) -> None:
        root = Path(root)
        images = need_folder(root / "JPEGImages" / "480p", root, LAYOUT)
        masks = need_folder(root / "Annotations" / "480p", root, LAYOUT)
        if sequences:
            names = list(sequences)
        elif split is None:
            names = sorted(path.name for path in images.iterdir() if path.is_dir())
        else:
            names = listed_sequences(_find_list(root, year, split))
        if not names:
            raise DatasetError(f"{images}: no sequences; expected {LAYOUT} in {root}")
        self._one_object = year == 2016
        super().__init__(root, [_video(images / name, masks / name, root) for name in names])

    def read_masks(self, paths: Sequence[Path]) -> np.ndarray:
        labels = super().read_masks(paths)
        if self._one_object:
            return (labels > 0).astype(np.uint8)
        return np.where(labels == _VOID, np.uint8(0), labels)


def _find_list(root: Path, year: int, split: str) -> Path:
    folders = ("2017",) if year == 2017 else ("2016", "480p")
    for folder in folders:
        path = root / "ImageSets" / folder / f"{split}.txt"
        if path.is_file():
            return path
    raise DatasetError(
        f"{root / 'ImageSets' / folders[-1] / split}.txt: no such list of DAVIS {year}; "
        f"expected {LAYOUT} in {root}"
    )


def _video(images: Path, masks: Path, root: Path) -> Video:
    for folder in (images, masks):
        need_folder(folder, root, LAYOUT)
    files = picture_files(images)
    if not files:
        raise DatasetError(f"{images}: no images; expected {LAYOUT} in {root}")
    matched = match_by_stem(files, picture_files(masks), masks)
    return Video(images.name, tuple(files), tuple((path,) for path in matched))
