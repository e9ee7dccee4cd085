"""Runs a tracker over a data set in DAVIS layout and scores it by the DAVIS-2016 protocol.

All non-zero labels of a mask together are the object. The tracker gets the box of the first mask
and nothing else; the polygon it returns, filled, is its mask. For a target that it reports lost
the mask is empty and the box is missing (box IoU 0), because lost means that the geometry is
stale: who reports lost too early pays for it, and who reports it on an object out of sight is
right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import BoxError, DatasetError
from ..geometry import polar
from ..geometry.box import Box
from ..images.frame import Frame
from ..io.video import VideoWriter
from ..rendering.draw import draw
from ..results import TargetState
from ..tracking.tracker import Tracker
from .davis import LabelledSequence, find_sequences, read_pair
from .metrics import boundary_accuracy, mask_box, region_similarity, sequence_statistics

#: Frames tracked before anything is timed.
WARM_UP_FRAMES = 5

#: Frames a second of the overlay videos, as DAVIS was filmed.
_OVERLAY_FPS = 24.0


@dataclass(frozen=True, eq=False)
class SequenceScores:
    """Per-frame values of one sequence, all of its frames, the given first one included.

    Attributes:
        j, f: region similarity and boundary accuracy.
        box_iou: of the tracker's box with the mask's; None where the mask is empty.
        lost: whether the tracker reported the target lost.
        track_s: seconds in ``Tracker.update``; the first frame has none.
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
            image, mask = read_pair(image_path, mask_path)
            frame = Frame.from_bgr(image)
            if index == 0:
                box = _init_from(tracker, frame, mask_path, mask)
                results, is_lost, outline = [], False, box.corners_xy()
            else:
                start = time.perf_counter()
                results = tracker.update(frame)
                track_s.append(time.perf_counter() - start)
                is_lost = results[0].state == TargetState.LOST
                box, outline = results[0].box, results[0].polygon_xy
            score = score_frame(mask, box, outline, lost=is_lost)
            j.append(score.j)
            f.append(boundary_accuracy(mask, score.pred))
            box_iou.append(score.box_iou)
            lost.append(is_lost)
            if writer is not None:
                writer.write(_with_truth(draw(image, results), mask))
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
    image, mask = read_pair(sequence.images[0], sequence.masks[0])
    frame = Frame.from_bgr(image)
    _init_from(tracker, frame, sequence.masks[0], mask)
    for _ in range(WARM_UP_FRAMES):
        tracker.update(frame)
    tracker.reset()


def evaluate(tracker: Tracker, data: str | Path, sequences: Sequence[str] = ()) -> dict[str, Any]:
    """Score a tracker on a data set.

    Args:
        tracker: without targets; it has none afterwards.
        data: folder of a data set in DAVIS layout.
        sequences: names of the sequences wanted; if empty, those of DAVIS-2016 val by the set's own
            list, or else all folders.

    Returns:
        See :func:`summarize`.

    Raises:
        DatasetError: something is missing or damaged, or a first mask shows no object.
    """
    found = find_sequences(data, sequences)
    warm_up(tracker, found[0])
    return summarize([evaluate_sequence(tracker, one) for one in found])


def summarize(scores: Sequence[SequenceScores]) -> dict[str, Any]:
    """The figures of a whole data set as JSON: every measure is the mean over the sequences.

    ``fps`` is one over the median of the seconds in ``Tracker.update`` (crop, network and
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
        "whose mask is not empty; fps = 1 / median seconds in Tracker.update, warm"
    )
    return total


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _init_from(tracker: Tracker, frame: Frame, mask_path: Path, mask: np.ndarray) -> Box:
    """Start on the box of a sequence's first mask, which is returned."""
    box = mask_box(mask)
    if box is None:
        raise DatasetError(f"{mask_path}: the first mask of a sequence is empty")
    try:
        tracker.start(frame, box)
    except BoxError as error:
        raise DatasetError(f"{mask_path}: {error}") from None
    return box


def _with_truth(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(image, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
