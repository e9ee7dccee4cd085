"""Data sets whose truth is boxes: OTB, LaSOT, GOT-10k, VOT, and any folder laid out like them.

Boxes are taken as they are written, as the toolkits of these sets do. A rotated box of VOT (four
corners) becomes the upright box around it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DatasetError
from .dataset import Skipped, open_each
from .pictures import first_value_range, frame_files, read_image

#: What a data set with boxes looks like.
BOX_LAYOUT = (
    "SEQUENCE/groundtruth_rect.txt or SEQUENCE/groundtruth.txt, with x,y,width,height per line, "
    "and its images in SEQUENCE/img, SEQUENCE/color or SEQUENCE"
)

_TRUTH = re.compile(r"groundtruth(_rect)?(\.\d+)?\.txt")
_IMAGE_FOLDERS = ("img", "color")

# Truth lies this many folders below the root at most: GOT-10k has val/SEQUENCE, LaSOT
# CLASS/SEQUENCE, VOT sequences/SEQUENCE.
_MAX_DEPTH = 2

# Files that tell on which frames the target is in sight: their names, and whether a frame counts
# by its number there (GOT-10k gives the visible share, LaSOT flags occlusion and absence).
_LABELS = (
    ("cover.label", True),
    ("absence.label", False),
    ("full_occlusion.txt", False),
    ("out_of_view.txt", False),
)

# Between two numbers of a line.
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")

# Sequences of OTB that have boxes for a part of their images only: first and last image, from 1.
_OTB_PARTS = {
    "david": (300, 770), "diving": (1, 215), "football1": (1, 74), "freeman3": (1, 460),
    "freeman4": (1, 283),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class BoxSequence:
    """One video of a data set.

    Attributes:
        images: its image files, in order.
        boxes: float64 (N, 4), the target on each: x, y, width and height in pixels.
        visible: bool (N,), whether the box of a frame is known and the target is in sight.
        value_range: what becomes black and white in images of more than 8 bits.
    """

    name: str
    images: tuple[Path, ...]
    boxes: np.ndarray
    visible: np.ndarray
    value_range: tuple[float, float] | None = None

    def read(self, index: int) -> np.ndarray:
        """One image, uint8 (H, W, 3) BGR.

        Raises:
            DatasetError: not a readable image.
        """
        return read_image(self.images[index], self.value_range)


@dataclass(frozen=True)
class BoxDataset:
    """A data set whose truth is boxes.

    Attributes:
        skipped: sequences that are not usable, and why.
    """

    root: Path
    sequences: tuple[BoxSequence, ...]
    skipped: tuple[Skipped, ...] = ()


def truth_files(root: Path) -> dict[str, Path]:
    """Files of boxes below a folder, by the names of their sequences; empty if there are none.

    Where a folder has several (OTB's Jogging), the sequences are called Jogging.1 and Jogging.2;
    of two folders of one name, the second is called by its parent folder as well.
    """
    found: dict[str, Path] = {}
    for folder in _folders(root, _MAX_DEPTH):
        files = sorted(path for path in folder.iterdir() if _TRUTH.fullmatch(path.name))
        # Human4 of OTB has an empty file next to the one that counts.
        files = [path for path in files if path.exists() and path.stat().st_size] or files
        for path in files:
            number = re.sub(r"\D", "", path.stem) if len(files) > 1 else ""
            name = f"{folder.name}.{number}" if number else folder.name
            if name in found and found[name].parent != folder:
                name = f"{folder.parent.name}.{name}"
            found[name] = path
    return dict(sorted(found.items()))


def open_boxes(root: str | Path, names: Sequence[str] = ()) -> BoxDataset:
    """The sequences of a data set with boxes, with every image accounted for.

    Args:
        root: the folder that holds the sequences, see :data:`BOX_LAYOUT`.
        names: the sequences wanted; all if empty.

    Raises:
        DatasetError: another layout, no sequences, or none that is usable.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {BOX_LAYOUT}")
    files = truth_files(root)
    if not files:
        raise DatasetError(f"{root}: no sequences; expected {BOX_LAYOUT}")
    return BoxDataset(root, *open_each(names or tuple(files), partial(_open_sequence, root, files)))


def read_boxes(path: Path) -> np.ndarray:
    """A file of boxes as float64 (N, 4): x, y, width and height; NaN where a line has it.

    Numbers are separated by commas, tabs, semicolons or spaces; four of them are a box, eight the
    corners of a rotated one.

    Raises:
        DatasetError: a file that cannot be read, a line that is neither, or no line at all.
    """
    rows = []
    for number, line in enumerate(_text_of(path).rstrip().splitlines(), 1):
        try:
            values = [float(word) for word in _SEPARATOR.split(line.strip())]
        except ValueError:
            values = []
        if len(values) == 8:
            corners = np.reshape(values, (4, 2))
            near, far = corners.min(axis=0), corners.max(axis=0)
            values = [*near, *(far - near)]
        if len(values) != 4:
            raise DatasetError(
                f"{path}: line {number} is {line.strip()[:40]!r}; expected x,y,width,height or the "
                "eight numbers of four corners"
            )
        rows.append(values)
    if not rows:
        raise DatasetError(f"{path}: no boxes")
    return np.array(rows)


def _folders(root: Path, depth: int) -> list[Path]:
    """A folder and those below it, hidden ones left out."""
    found = [root]
    if depth and root.is_dir():
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith(".") and path.name not in _IMAGE_FOLDERS:
                found += _folders(path, depth - 1)
    return found


def _open_sequence(root: Path, files: dict[str, Path], name: str) -> BoxSequence:
    if name not in files:
        raise DatasetError(f"{root}: no sequence {name}; expected {BOX_LAYOUT}")
    path = files[name]
    folder = path.parent
    images = frame_files(next((d for n in _IMAGE_FOLDERS if (d := folder / n).is_dir()), folder))
    boxes = read_boxes(path)
    if len(images) != len(boxes) and name.lower() in _OTB_PARTS:
        first, last = _OTB_PARTS[name.lower()]
        images = images[first - 1 : last]
    if len(images) != len(boxes):
        raise DatasetError(f"{path}: {len(boxes)} boxes for {len(images)} images")
    if len(images) < 2:
        raise DatasetError(f"{path}: {len(images)} images; a sequence needs at least 2")
    visible = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    if not visible[0]:
        x, y, width, height = boxes[0]
        raise DatasetError(
            f"{path}: the first box is {x:g},{y:g},{width:g},{height:g}; tracking starts from it, "
            "so its width and height must be above 0"
        )
    for label, visible_by_value in _LABELS:
        if (folder / label).is_file():
            values = _read_labels(folder / label, len(boxes))
            visible &= (values > 0) == visible_by_value
    if not visible[1:].any():
        raise DatasetError(f"{path}: no box after the first; there is nothing to score")
    return BoxSequence(name, tuple(images), boxes, visible, first_value_range(images[0]))


def _read_labels(path: Path, count: int) -> np.ndarray:
    """Numbers of a file, one per frame, float64 (count,)."""
    words = re.split(r"[,\s]+", _text_of(path).strip())
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if len(values) != count or not np.isfinite(values).all():
        raise DatasetError(f"{path}: {len(values)} numbers; expected one for each of {count} boxes")
    return np.array(values)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None
