"""YouTube-VOS, the training side (Xu et al., ECCV 2018, arXiv 1809.03327)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from siampolar_model.errors import DatasetError

from .decode import picture_files
from .videos import Video, VideoReader, match_by_stem, need_folder

LAYOUT = "train/meta.json, train/JPEGImages/VIDEO/00000.jpg and train/Annotations/VIDEO/00000.png"


class YouTubeVos(VideoReader):
    """Videos of which every fifth frame is annotated.

    Args:
        root: the folder of the split (which holds ``meta.json``) or the one around ``train``.

    Raises:
        DatasetError: a folder or a file is missing or damaged; it names the path and the layout.
    """

    kind = "youtube_vos"
    frame_step = 5

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        split = root / "train" if (root / "train").is_dir() else root
        images = need_folder(split / "JPEGImages", root, LAYOUT)
        masks = need_folder(split / "Annotations", root, LAYOUT)
        videos = [
            _video(images / name, masks / name, entry, root)
            for name, entry in sorted(_read_meta(split / "meta.json", root).items())
        ]
        if not videos:
            raise DatasetError(
                f"{split / 'meta.json'}: names no videos; expected {LAYOUT} in {root}"
            )
        super().__init__(root, videos)


def _read_meta(path: Path, root: Path) -> dict[str, Any]:
    """``videos``: name -> ``objects``: id -> ``category`` and the ``frames`` it is seen on."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; expected {LAYOUT} in {root}")
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        for entry in videos.values():
            for value, one in entry["objects"].items():
                int(value), str(one["category"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DatasetError(
            f"{path}: damaged; it must hold videos, their objects and their categories"
        ) from None
    return dict(videos)


def _video(images: Path, masks: Path, entry: dict[str, Any], root: Path) -> Video:
    for folder in (images, masks):
        need_folder(folder, root, LAYOUT)
    annotated = picture_files(masks)
    if not annotated:
        raise DatasetError(f"{masks}: no masks; expected {LAYOUT} in {root}")
    # With the frames of train_all_frames, most images have no mask.
    stems = {path.stem for path in annotated}
    files = [path for path in picture_files(images) if path.stem in stems]
    if len(files) != len(annotated):
        missing = min(stems - {path.stem for path in files})
        raise DatasetError(f"{images}: no image for the mask {missing} of {masks}")
    matched = match_by_stem(files, annotated, masks)
    categories = {int(v): str(one["category"]) for v, one in entry["objects"].items()}
    return Video(images.name, tuple(files), tuple((p,) for p in matched), categories)
