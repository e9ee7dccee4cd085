"""Runs a tracker over a data set in DAVIS layout and scores it by the DAVIS-2016 protocol.

All non-zero labels of a mask together are the object. The tracker gets the box of the first mask
and nothing else; the polygon it returns, filled, is its mask. For a target that it reports lost
the mask is empty and the box is missing (box IoU 0), because lost means that the geometry is
stale: who reports lost too early pays for it, and who reports it on an object out of sight is
right.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from . import polar
from .draw import draw_results
from .frames import Frame
from .metrics import (
    boundary_accuracy,
    mask_box,
    region_similarity,
    sequence_statistics,
)
from .results import Box, BoxError, TrackState
from .tracker import Tracker
from .video import VideoWriter, image_files

#: What a data set looks like.
LAYOUT = "JPEGImages/480p/SEQUENCE/00000.jpg and Annotations/480p/SEQUENCE/00000.png"

#: Lists of DAVIS-2016 val below ImageSets, as the releases of 2016 and 2017 have them.
_VAL_LISTS = ("480p", "2016")

#: Frames tracked before anything is timed.
WARM_UP_FRAMES = 5

#: Frames a second of the overlay videos, as DAVIS was filmed.
_OVERLAY_FPS = 24.0


class DatasetError(ValueError):
    """A data set that cannot be used; the message names the path and the layout expected."""


@dataclass(frozen=True)
class LabelledSequence:
    """One video of a data set: image and mask files of the same frames, in order."""

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class SequenceScores:
    """Per-frame values of one sequence, all of its frames, the given first one included.

    Attributes:
        j, f: region similarity and boundary accuracy.
        box_iou: of the tracker's box with the mask's; None where the mask is empty.
        lost: whether the tracker reported the target lost.
        track_s: seconds in ``Tracker.track``; the first frame has none.
    """

    name: str
    j: tuple[float, ...]
    f: tuple[float, ...]
    box_iou: tuple[float | None, ...]
    lost: tuple[bool, ...]
    track_s: tuple[float, ...]

    def box_iou_mean(self) -> float | None:
        """Over the frames after the first whose mask is not empty; None if there is none."""
        return _mean_of_known(self.box_iou[1:])

    def summary(self) -> dict[str, float | int | None]:
        """The figures of the protocol, with the names used in the JSON file."""
        j, f = sequence_statistics(self.j), sequence_statistics(self.f)
        return {
            "J_mean": j.mean, "J_recall": j.recall, "J_decay": j.decay,
            "F_mean": f.mean, "F_recall": f.recall, "F_decay": f.decay,
            "box_iou_mean": self.box_iou_mean(),
            "fps": 1 / float(np.median(self.track_s)),
            "frames": len(self.j),
            "lost_frames": sum(self.lost),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class FrameScore:
    """What one frame is worth.

    Attributes:
        pred: the tracker's mask, uint8 (H, W), 0 or 1; empty while lost.
        j: region similarity of that mask.
        box_iou: of the tracker's box with the mask's, 0 while lost; None where no object is seen.
    """

    pred: np.ndarray
    j: float
    box_iou: float | None


def score_frame(mask: np.ndarray, box: Box, polygon_xy: np.ndarray, *, lost: bool) -> FrameScore:
    """Compare what a tracker says with the truth.

    Args:
        mask: the object, uint8 (H, W), non-zero inside.
        box: the tracker's, in image pixels.
        polygon_xy: the tracker's outline, float32 (M, 2), in image pixels.
        lost: whether the tracker reported the target lost; its geometry then counts for nothing.
    """
    pred = np.zeros_like(mask) if lost else polar.fill(polygon_xy, *mask.shape)
    true_box = mask_box(mask)
    overlap = 0.0 if lost or true_box is None else box.iou(true_box)
    return FrameScore(pred, region_similarity(mask, pred), None if true_box is None else overlap)


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


def evaluate_sequence(
    tracker: Tracker,
    sequence: LabelledSequence,
    *,
    overlay: Path | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> SequenceScores:
    """Track one sequence from the box of its first mask and score every frame.

    Args:
        tracker: without targets; it has none afterwards.
        overlay: MP4 file to write: results in colour, the true outline in white.
        on_frame: called after every frame.

    Raises:
        DatasetError: a damaged file, a first mask without an object or with one too small.
    """
    j, f, box_iou, lost, track_s = [], [], [], [], []
    writer = VideoWriter(overlay, _OVERLAY_FPS) if overlay is not None else None
    try:
        for index, (image_path, mask_path) in enumerate(
            zip(sequence.images, sequence.masks, strict=True)
        ):
            image, mask = _read_pair(image_path, mask_path)
            frame = Frame.from_bgr(image)
            if index == 0:
                box = _init_from(tracker, frame, mask_path, mask)
                results, is_lost, outline = [], False, box.corners_xy()
            else:
                start = time.perf_counter()
                results = tracker.track(frame)
                track_s.append(time.perf_counter() - start)
                is_lost = results[0].state == TrackState.LOST
                box, outline = results[0].box, results[0].polygon_xy
            score = score_frame(mask, box, outline, lost=is_lost)
            j.append(score.j)
            f.append(boundary_accuracy(mask, score.pred))
            box_iou.append(score.box_iou)
            lost.append(is_lost)
            if writer is not None:
                writer.write(_with_truth(draw_results(image, results), mask))
            on_frame()
    finally:
        tracker.reset()
        if writer is not None:
            writer.close()
    return SequenceScores(
        sequence.name, tuple(j), tuple(f), tuple(box_iou), tuple(lost), tuple(track_s)
    )


def warm_up(tracker: Tracker, sequence: LabelledSequence) -> None:
    """Track a few frames, so that nothing is loaded or laid out while time is taken.

    Raises:
        DatasetError: a damaged file, a first mask without an object or with one too small.
    """
    image, mask = _read_pair(sequence.images[0], sequence.masks[0])
    frame = Frame.from_bgr(image)
    _init_from(tracker, frame, sequence.masks[0], mask)
    for _ in range(WARM_UP_FRAMES):
        tracker.track(frame)
    tracker.reset()


def summarize(scores: Sequence[SequenceScores]) -> dict[str, Any]:
    """The figures of a whole data set as JSON: every measure is the mean over the sequences.

    ``fps`` is one over the median of the seconds in ``Tracker.track`` (crop, network and
    decoding, one target) over all frames of all sequences; reading files and scoring do not
    count.
    """
    parts = {one.name: one.summary() for one in scores}
    total: dict[str, Any] = {
        key: _mean_of_known([part[key] for part in parts.values()])
        for key in (
            "J_mean", "J_recall", "J_decay", "F_mean", "F_recall", "F_decay", "box_iou_mean"
        )
    }  # fmt: skip
    track_s = np.concatenate([one.track_s for one in scores])
    total["fps"] = 1 / float(np.median(track_s))
    total["track_ms"] = {
        f"p{percent}": float(np.percentile(track_s, percent)) * 1e3 for percent in (50, 95, 99)
    }
    total["frames"] = sum(len(one.j) for one in scores)
    total["lost_frames"] = sum(sum(one.lost) for one in scores)
    total["sequences"] = parts
    total["protocol"] = (
        "DAVIS-2016, box of the first mask; per sequence without its first and last frame, then "
        "the mean over sequences; empty mask while lost; box IoU over frames after the first "
        "whose mask is not empty; fps = 1 / median seconds in Tracker.track, warm"
    )
    return total


def plot_sequence(scores: SequenceScores, path: Path) -> None:
    """Write a PNG of J, F and box IoU over the frames, with lost frames shaded.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figures = importlib.import_module("matplotlib.figure")  # needs no display
    figure = figures.Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(scores.j))
    iou = [np.nan if value is None else value for value in scores.box_iou]
    for values, label in ((scores.j, "J"), (scores.f, "F"), (iou, "box IoU")):
        axes.plot(at, values, label=label, linewidth=1.2)
    axes.fill_between(at, 0, 1, where=scores.lost, color="0.8", step="mid", label="lost")
    axes.set(
        title=scores.name, xlabel="frame", ylabel="value", ylim=(0, 1.02), xlim=(0, len(at) - 1)
    )
    figure.legend(loc="outside upper right", ncols=4, fontsize="small")  # beside the title
    figure.savefig(path, dpi=120)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


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


def _init_from(tracker: Tracker, frame: Frame, mask_path: Path, mask: np.ndarray) -> Box:
    """Start on the box of a sequence's first mask, which is returned."""
    box = mask_box(mask)
    if box is None:
        raise DatasetError(f"{mask_path}: the first mask of a sequence is empty")
    try:
        tracker.init(frame, box)
    except BoxError as error:
        raise DatasetError(f"{mask_path}: {error}") from None
    return box


def _read_pair(image_path: Path, mask_path: Path) -> tuple[np.ndarray, np.ndarray]:
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


def _with_truth(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(image, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
