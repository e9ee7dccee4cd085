"""SegTrack (Tsai et al., BMVC 2010) and SegTrack v2 (Li et al., ICCV 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from siampolar_model.errors import DatasetError

from .decode import picture_files, read_image
from .videos import Video, VideoReader, match_by_stem, need_folder

LAYOUT = (
    "SEQUENCE/*.png and SEQUENCE/ground-truth/*.png (SegTrack), or JPEGImages/SEQUENCE/*.png and "
    "GroundTruth/SEQUENCE/[OBJECT/]*.png (SegTrack v2)"
)
#: Both spellings occur in one release.
_TRUTH = ("ground-truth", "ground_truth")


class SegTrack(VideoReader):
    """Either version, told apart by its folders.

    Masks are grey with soft edges; half white counts as the object. Where two objects of a
    SegTrack v2 sequence overlap, the later one wins.

    Raises:
        DatasetError: a folder or a file is missing; it names the path and the layout.
    """

    kind = "segtrack"

    def __init__(self, root: str | Path) -> None:
        root = need_folder(Path(root), Path(root), LAYOUT)
        if (root / "JPEGImages").is_dir():
            truth = need_folder(root / "GroundTruth", root, LAYOUT)
            folders = sorted(path for path in (root / "JPEGImages").iterdir() if path.is_dir())
            videos = [_video_v2(folder, truth / folder.name, root) for folder in folders]
        else:
            folders = sorted(path for path in root.iterdir() if path.is_dir())
            videos = [_video_v1(folder, root) for folder in folders]
        if not videos:
            raise DatasetError(f"{root}: no sequences; expected {LAYOUT}")
        super().__init__(root, videos)

    def read_masks(self, paths: Sequence[Path]) -> np.ndarray:
        labels: np.ndarray | None = None
        for value, path in enumerate(paths, 1):
            grey = cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY)
            if labels is None:
                labels = np.zeros_like(grey)
            if grey.shape != labels.shape:
                raise DatasetError(f"{path}: differs in size from {paths[0]}")
            labels[grey >= 128] = value
        assert labels is not None
        return labels


def _video_v1(folder: Path, root: Path) -> Video:
    """File names of images and masks differ, so they match by order, numbers by their value."""
    truth = next((folder / name for name in _TRUTH if (folder / name).is_dir()), folder / _TRUTH[0])
    images = picture_files(folder)
    masks = picture_files(need_folder(truth, root, LAYOUT))
    if not images or len(images) != len(masks):
        raise DatasetError(
            f"{folder}: {len(images)} images and {len(masks)} masks; expected {LAYOUT} in {root}"
        )
    return Video(folder.name, tuple(images), tuple((path,) for path in masks))


def _video_v2(images: Path, truth: Path, root: Path) -> Video:
    files = picture_files(images)
    if not files:
        raise DatasetError(f"{images}: no images; expected {LAYOUT} in {root}")
    numbered = [path for path in need_folder(truth, root, LAYOUT).iterdir() if path.is_dir()]
    objects = sorted(numbered, key=lambda path: (len(path.name), path.name)) or [truth]
    columns = [match_by_stem(files, picture_files(folder), folder) for folder in objects]
    return Video(images.name, tuple(files), tuple(zip(*columns, strict=True)))
