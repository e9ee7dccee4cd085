"""Runs a tracker over an annotated data set and scores it by the protocol of the set's kind.

Masks (DAVIS-2016): all objects of a mask together are the object. The tracker gets the box of the
first mask and nothing else; the polygon that it returns, filled, is its mask. While it reports the
target lost, the mask is empty and the box is missing (box IoU 0), because lost means that the
geometry is stale: reporting lost too early costs, and reporting it for an object out of sight is
right.

Boxes (OTB, LaSOT, GOT-10k): the tracker gets the first box. These protocols want a box for every
frame, so the one last reported counts while the target is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from ..errors import BoxError, DatasetError, FrameError
from ..geometry.box import Box
from ..io.video import VideoWriter
from ..rendering.draw import draw
from ..tracking.tracker import Tracker
from .boxes import BOX_LAYOUT, BoxDataset, BoxSequence, open_boxes, truth_files
from .dataset import Skipped
from .davis import LAYOUT, MaskDataset, MaskSequence, open_masks
from .metrics import boundary_accuracy, mask_box, region_similarity
from .playing import Answer, Player
from .scores import (
    BoxDatasetScores,
    BoxFrames,
    MaskDatasetScores,
    MaskFrames,
    summarize_boxes,
    summarize_masks,
)

#: Images shown to the tracker before anything is timed.
WARM_UP_FRAMES = 5

#: Frames per second of the overlay videos, as DAVIS was filmed.
_OVERLAY_FPS = 24.0


@dataclass(frozen=True, eq=False)
class FrameScore:
    """The measures of one frame.

    Attributes:
        pred: the tracker's mask, uint8 (H, W), 0 or 1; empty while lost.
        j: region similarity of that mask.
        box_iou: of the tracker's box with the mask's, 0 while lost; None if the mask is empty.
    """

    pred: np.ndarray
    j: float
    box_iou: float | None


def open_dataset(root: str | Path, names: Sequence[str] = ()) -> MaskDataset | BoxDataset:
    """Open a data set in DAVIS layout or one with boxes; which of them, its files tell.

    Args:
        root: its folder.
        names: the sequences wanted; if empty, all, or those of DAVIS-2016 val by the set's list.

    Raises:
        DatasetError: neither layout, no sequences, or none that is usable.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {LAYOUT}, or {BOX_LAYOUT}")
    if any((root / name).is_dir() for name in ("JPEGImages", "Annotations")):
        return open_masks(root, names)
    if truth_files(root):
        return open_boxes(root, names)
    raise DatasetError(f"{root}: no annotated sequences; expected {LAYOUT}, or {BOX_LAYOUT}")


def evaluate(
    tracker: Tracker,
    data: str | Path | MaskDataset | BoxDataset,
    sequences: Sequence[str] = (),
    *,
    fps: float | None = None,
    overlays: Path | None = None,
    on_sequence: Callable[[str], None] = lambda name: None,
    on_frame: Callable[[], None] = lambda: None,
    on_scores: Callable[[MaskFrames | BoxFrames], None] = lambda frames: None,
) -> MaskDatasetScores | BoxDatasetScores:
    """Score a tracker on a data set.

    A sequence that is damaged costs only itself: it is named in ``skipped`` of the result.

    Args:
        tracker: without targets; it has none afterwards.
        data: the folder of a data set, or an opened one.
        sequences: names of the sequences wanted if ``data`` is a folder; if empty, all, or those of
            DAVIS-2016 val by the set's own list.
        fps: play the images at this rate in virtual time, so that slow trackers miss some, see
            :mod:`siampolar_model.evaluation.playing`; None: the tracker sees every image.
        overlays: existing folder for one MP4 per sequence: results in colour, the truth in white.
        on_sequence: called before every sequence with its name.
        on_frame: called after every image.
        on_scores: called after every sequence with its per-frame values.

    Raises:
        DatasetError: a data set of another layout, or without a sequence that can be scored.
    """
    dataset = open_dataset(data, sequences) if isinstance(data, (str, Path)) else data
    skipped = list(dataset.skipped)
    masks: list[MaskFrames] = []
    boxes: list[BoxFrames] = []
    warm_up(tracker, dataset.sequences)
    for sequence in dataset.sequences:
        on_sequence(sequence.name)
        overlay = None if overlays is None else overlays / f"{sequence.name}.mp4"
        try:
            if isinstance(sequence, MaskSequence):
                masks.append(
                    evaluate_masks(tracker, sequence, fps=fps, overlay=overlay, on_frame=on_frame)
                )
                on_scores(masks[-1])
            else:
                boxes.append(
                    evaluate_boxes(tracker, sequence, fps=fps, overlay=overlay, on_frame=on_frame)
                )
                on_scores(boxes[-1])
        except (DatasetError, FrameError) as error:
            skipped.append(Skipped(sequence.name, str(error)))
    if masks:
        return summarize_masks(masks, skipped, fps)
    if boxes:
        return summarize_boxes(boxes, skipped, fps)
    raise DatasetError(skipped[0].reason)


def evaluate_masks(
    tracker: Tracker,
    sequence: MaskSequence,
    *,
    fps: float | None = None,
    overlay: Path | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> MaskFrames:
    """Track one sequence from the box of its first mask and score every frame.

    Args:
        tracker: without targets; it has none afterwards.
        fps, on_frame: see :func:`evaluate`.
        overlay: MP4 file to write: results in colour, the true outline in white.

    Raises:
        DatasetError: a damaged file, a first mask without an object or with one too small.
        FrameError: an image of another size than the first.
    """
    j, f, box_iou, answers = [], [], [], []
    with _Run(tracker, fps, overlay) as run:
        for index, mask_path in enumerate(sequence.masks):
            frame = sequence.read(index)
            if index == 0:
                answer = run.start(frame.image, _box_of(mask_path, frame.mask), mask_path)
            else:
                answer = run.player.step(frame.image)
            pred = answer.mask(*frame.mask.shape)
            score = score_frame(frame.mask, answer.box, pred, lost=answer.lost, void=frame.void)
            j.append(score.j)
            f.append(boundary_accuracy(frame.mask, score.pred))
            box_iou.append(score.box_iou)
            answers.append(answer)
            run.draw(frame.image, answer, _outlines(frame.mask))
            on_frame()
    return MaskFrames(
        sequence.name, tuple(j), tuple(f), tuple(box_iou), **_of_answers(answers, fps)
    )


def evaluate_boxes(
    tracker: Tracker,
    sequence: BoxSequence,
    *,
    fps: float | None = None,
    overlay: Path | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> BoxFrames:
    """Track one sequence from its first box; arguments and errors as of :func:`evaluate_masks`."""
    predicted, answers, size = [], [], (0, 0)
    with _Run(tracker, fps, overlay) as run:
        for index, (path, true) in enumerate(zip(sequence.images, sequence.boxes, strict=True)):
            image = sequence.read(index)
            if index == 0:
                answer = run.start(image, Box.from_xywh(*true), path)
                size = image.shape[1], image.shape[0]
            else:
                answer = run.player.step(image)
            predicted.append(answer.box.as_xywh())
            answers.append(answer)
            corners = Box.from_xywh(*true).corners_xy().round().astype(np.int32)
            run.draw(image, answer, [corners] if sequence.visible[index] else [])
            on_frame()
    return BoxFrames(
        sequence.name,
        np.array(predicted),
        sequence.boxes,
        sequence.visible,
        size,
        **_of_answers(answers, fps),
    )


def score_frame(
    mask: np.ndarray,
    box: Box,
    pred: np.ndarray,
    *,
    lost: bool,
    void: np.ndarray | None = None,
) -> FrameScore:
    """Compare what a tracker reports with the truth.

    Args:
        mask: the object, uint8 (H, W), non-zero inside.
        box: the tracker's, in image pixels.
        pred: the tracker's mask, uint8 (H, W), non-zero inside; it may be changed.
        lost: whether the tracker reported the target lost; its geometry is then left out.
        void: bool (H, W), pixels that do not count; None if all do.
    """
    if lost:
        pred = np.zeros_like(mask)
    if void is not None:
        pred[void] = 0
    true_box = mask_box(mask)
    overlap = 0.0 if lost or true_box is None else box.iou(true_box)
    return FrameScore(pred, region_similarity(mask, pred), None if true_box is None else overlap)


def warm_up(tracker: Tracker, sequences: Iterable[MaskSequence | BoxSequence]) -> None:
    """Track a few images of the first usable sequence, so that nothing is loaded while timing."""
    for sequence in sequences:
        try:
            if isinstance(sequence, MaskSequence):
                first = sequence.read(0)
                image, box = first.image, _box_of(sequence.masks[0], first.mask)
            else:
                image, box = sequence.read(0), Box.from_xywh(*sequence.boxes[0])
            with _Run(tracker, None, None) as run:
                run.start(image, box, sequence.images[0])
                for _ in range(WARM_UP_FRAMES):
                    run.player.step(image)
        except DatasetError:
            continue
        return


class _Run:
    """The tracker and the overlay of one sequence; both are cleared away at the end."""

    def __init__(self, tracker: Tracker, fps: float | None, overlay: Path | None) -> None:
        self._tracker = tracker
        self._writer = VideoWriter(overlay, _OVERLAY_FPS) if overlay is not None else None
        self.player = Player(tracker, fps)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._tracker.reset()
        if self._writer is not None:
            self._writer.close()

    def start(self, image: np.ndarray, box: Box, path: Path) -> Answer:
        """Start; an error names the file that the box is from."""
        try:
            return self.player.start(image, box)
        except BoxError as error:
            raise DatasetError(f"{path}: {error}") from None

    def draw(self, image: np.ndarray, answer: Answer, truth: Sequence[np.ndarray]) -> None:
        """Append an image to the overlay: results in colour, int32 (M, 1, 2) outlines in white."""
        if self._writer is not None:
            drawn = draw(image, list(answer.targets))
            cv2.polylines(drawn, list(truth), True, (255, 255, 255), 1, cv2.LINE_AA)
            self._writer.write(drawn)


def _box_of(mask_path: Path, mask: np.ndarray) -> Box:
    box = mask_box(mask)
    if box is None:
        raise DatasetError(f"{mask_path}: the first mask of a sequence is empty")
    return box


def _outlines(mask: np.ndarray) -> Sequence[np.ndarray]:
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


class _OfAnswers(TypedDict):
    lost: tuple[bool, ...]
    track_s: tuple[float, ...]
    late: int | None


def _of_answers(answers: Sequence[Answer], fps: float | None) -> _OfAnswers:
    return {
        "lost": tuple(one.lost for one in answers),
        "track_s": tuple(one.track_s for one in answers if one.track_s is not None),
        "late": None if fps is None else sum(one.late for one in answers),
    }
