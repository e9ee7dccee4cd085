"""Runs a tracker over an annotated data set and scores it by the protocol of the set's kind.

Masks (DAVIS-2016): all objects of a mask together are the object; with ``objects``, each is scored
on its own (DAVIS-2017). The tracker gets the box of the first mask and nothing else, or with
``from_mask`` that mask as well. Its polygon, filled, is its mask. While it reports the target lost,
the mask is empty and the box is missing (box IoU 0), because lost means that the geometry is stale:
reporting lost too early costs, and reporting it for an object out of sight is right.

Boxes (OTB, LaSOT, GOT-10k): the tracker gets the first box. These protocols want a box for every
frame, so the one last reported counts while the target is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import cv2
import numpy as np

from ..errors import BoxError, DatasetError, FrameError, TargetLimitError
from ..geometry.box import Box
from ..rendering.draw import draw
from .box_metrics import box_ious
from .boxes import BOX_LAYOUT, BoxDataset, BoxSequence, open_boxes, truth_files
from .dataset import Skipped
from .davis import LAYOUT, MaskDataset, MaskSequence, open_masks
from .metrics import boundary_accuracy, mask_box, region_similarity
from .playing import Answer, Follower, Player, Start
from .scores import (
    MASK_PROTOCOL,
    OBJECTS_PROTOCOL,
    BoxDatasetScores,
    BoxFrames,
    MaskDatasetScores,
    MaskFrames,
    summarize_boxes,
    summarize_masks,
)
from .worst_frames import WorstFrames

if TYPE_CHECKING:
    from ..io.video import VideoWriter

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


def open_dataset(
    root: str | Path, names: Sequence[str] = (), *, objects: bool = False
) -> MaskDataset | BoxDataset:
    """Open a data set in DAVIS layout or one with boxes; which of them, its files tell.

    Args:
        root: its folder.
        names: the sequences wanted; if empty, all, or those of DAVIS val by the set's list.
        objects: for a data set whose objects are scored one by one, see :func:`.open_masks`.

    Raises:
        DatasetError: neither layout, no sequences, or none that is usable.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {LAYOUT}, or {BOX_LAYOUT}")
    if any((root / name).is_dir() for name in ("JPEGImages", "Annotations")):
        return open_masks(root, names, objects=objects)
    if truth_files(root):
        return open_boxes(root, names)
    raise DatasetError(f"{root}: no annotated sequences; expected {LAYOUT}, or {BOX_LAYOUT}")


def evaluate(
    tracker: Follower,
    data: str | Path | MaskDataset | BoxDataset,
    sequences: Sequence[str] = (),
    *,
    fps: float | None = None,
    objects: bool = False,
    from_mask: bool = False,
    overlays: Path | None = None,
    worst: WorstFrames | None = None,
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
            DAVIS val by the set's own list.
        fps: play the images at this rate in virtual time, so that slow trackers miss some, see
            :mod:`siampolar_model.evaluation.playing`; None: the tracker sees every image.
        objects: score every object of a data set with masks on its own, as DAVIS-2017.
        from_mask: give the first masks to the tracker; its network must take them.
        overlays: existing folder for one MP4 per sequence: results in colour, the truth in white.
        worst: collects the frames with the lowest scores.
        on_sequence: called before every sequence with its name.
        on_frame: called after every image.
        on_scores: called with the per-frame values of every sequence or, with ``objects``, object.

    Raises:
        DatasetError: a data set of another layout, or without a sequence that can be scored; or one
            with boxes for ``objects`` or ``from_mask``.
        EngineError: ``from_mask`` for a tracker that takes no mask.
    """
    dataset = (
        open_dataset(data, sequences, objects=objects) if isinstance(data, (str, Path)) else data
    )
    if (objects or from_mask) and not isinstance(dataset, MaskDataset):
        raise DatasetError(f"{dataset.root}: has boxes; objects and first masks need masks")
    skipped = list(dataset.skipped)
    masks: list[MaskFrames] = []
    boxes: list[BoxFrames] = []
    warm_up(tracker, dataset.sequences)
    for sequence in dataset.sequences:
        on_sequence(sequence.name)
        overlay = None if overlays is None else overlays / f"{sequence.name}.mp4"
        run = _Run(tracker, sequence.name, fps, overlay, worst, on_frame)
        try:
            if isinstance(sequence, MaskSequence):
                found = _evaluate_masks(run, sequence, objects, from_mask)
                masks += found
                for one in found:
                    on_scores(one)
            else:
                boxes.append(_evaluate_boxes(run, sequence))
                on_scores(boxes[-1])
        except (DatasetError, FrameError, TargetLimitError) as error:
            skipped.append(Skipped(sequence.name, str(error)))
    if masks:
        protocol = OBJECTS_PROTOCOL if objects else MASK_PROTOCOL
        return summarize_masks(masks, skipped, fps, protocol)
    if boxes:
        return summarize_boxes(boxes, skipped, fps)
    raise DatasetError(skipped[0].reason)


def evaluate_masks(
    tracker: Follower,
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
    run = _Run(tracker, sequence.name, fps, overlay, None, on_frame)
    return _evaluate_masks(run, sequence, objects=False, from_mask=False)[0]


def evaluate_objects(
    tracker: Follower, sequence: MaskSequence, *, fps: float | None = None
) -> list[MaskFrames]:
    """As :func:`evaluate_masks` for every object of the first mask on its own, by its number."""
    run = _Run(tracker, sequence.name, fps)
    return _evaluate_masks(run, sequence, objects=True, from_mask=False)


def _evaluate_masks(
    run: _Run, sequence: MaskSequence, objects: bool, from_mask: bool
) -> list[MaskFrames]:
    """The frames of the whole sequence, or one for each of its objects."""
    answers: list[Answer] = []
    scores: list[tuple[FrameScore, ...]] = []
    f: list[tuple[float, ...]] = []
    with run:
        for index, mask_path in enumerate(sequence.masks):
            frame = sequence.read(index)
            if index == 0:
                labels = [int(one) for one in np.unique(frame.labels) if one]
            masks = [frame.mask_of(label) for label in labels] if objects else [frame.mask]
            if index == 0:
                given = [
                    Start(_box_of(mask_path, mask), mask if from_mask else None) for mask in masks
                ]
                answer = run.start(frame.image, given, mask_path)
            else:
                answer = run.player.step(frame.image)
            predicted = _filled(answer, masks[0].shape)
            scored = tuple(
                score_frame(mask, place.box, one, lost=place.lost, void=frame.void)
                for mask, place, one in zip(masks, answer.places, predicted, strict=True)
            )
            scores.append(scored)
            f.append(
                tuple(
                    boundary_accuracy(mask, one.pred)
                    for mask, one in zip(masks, scored, strict=True)
                )
            )
            answers.append(answer)
            run.done(
                frame.image,
                answer,
                [outline for mask in masks for outline in _outlines(mask)],
                float(np.mean([one.j for one in scored])),
            )
    return [
        MaskFrames(
            f"{sequence.name}.{labels[k]}" if objects else sequence.name,
            tuple(one[k].j for one in scores),
            tuple(one[k] for one in f),
            tuple(one[k].box_iou for one in scores),
            **_of_answers(answers, run.fps, k),
        )
        for k in range(len(labels) if objects else 1)
    ]


def _filled(answer: Answer, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The mask of every object, uint8 (H, W); where they overlap, the later one is in front."""
    owner = np.zeros(shape, np.uint8)
    for number, place in enumerate(answer.places, 1):
        if not place.lost:
            place.fill_into(owner, number)
    return [(owner == number).astype(np.uint8) for number in range(1, len(answer.places) + 1)]


def evaluate_boxes(
    tracker: Follower,
    sequence: BoxSequence,
    *,
    fps: float | None = None,
    overlay: Path | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> BoxFrames:
    """Track one sequence from its first box; arguments and errors as of :func:`evaluate_masks`."""
    return _evaluate_boxes(_Run(tracker, sequence.name, fps, overlay, None, on_frame), sequence)


def _evaluate_boxes(run: _Run, sequence: BoxSequence) -> BoxFrames:
    predicted, answers, size = [], [], (0, 0)
    with run:
        for index, (path, true) in enumerate(zip(sequence.images, sequence.boxes, strict=True)):
            image = sequence.read(index)
            if index == 0:
                answer = run.start(image, [Start(Box.from_xywh(*true))], path)
                size = image.shape[1], image.shape[0]
            else:
                answer = run.player.step(image)
            box = answer.places[0].box.as_xywh()
            predicted.append(box)
            answers.append(answer)
            corners = Box.from_xywh(*true).corners_xy().round().astype(np.int32)
            seen = bool(sequence.visible[index])
            iou = float(box_ious(np.array([box]), true[None])[0]) if seen else None
            run.done(image, answer, [corners] if seen else [], iou)
    return BoxFrames(
        sequence.name,
        np.array(predicted),
        sequence.boxes,
        sequence.visible,
        size,
        **_of_answers(answers, run.fps),
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


def warm_up(tracker: Follower, sequences: Iterable[MaskSequence | BoxSequence]) -> None:
    """Track a few images of the first usable sequence, so that nothing is loaded while timing."""
    for sequence in sequences:
        try:
            if isinstance(sequence, MaskSequence):
                first = sequence.read(0)
                image, box = first.image, _box_of(sequence.masks[0], first.mask)
            else:
                image, box = sequence.read(0), Box.from_xywh(*sequence.boxes[0])
            with _Run(tracker, sequence.name) as run:
                run.start(image, [Start(box)], sequence.images[0])
                for _ in range(WARM_UP_FRAMES):
                    run.player.step(image)
        except DatasetError:
            continue
        return


class _Run:
    """The tracker, the overlay and the worst frames of one sequence; cleared away at the end."""

    def __init__(
        self,
        tracker: Follower,
        name: str,
        fps: float | None = None,
        overlay: Path | None = None,
        worst: WorstFrames | None = None,
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        self.fps = fps
        self._tracker, self._name, self._worst = tracker, name, worst
        self._on_frame = on_frame
        self._index = 0
        self._writer: VideoWriter | None = None
        if overlay is not None:
            from ..io.video import VideoWriter  # training scores clips without the package av

            self._writer = VideoWriter(overlay, _OVERLAY_FPS)
        self.player = Player(tracker, fps)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._tracker.reset()
        if self._writer is not None:
            self._writer.close()

    def start(self, image: np.ndarray, starts: Sequence[Start], path: Path) -> Answer:
        """Start; an error names the file that the boxes are from."""
        try:
            return self.player.start(image, starts)
        except BoxError as error:
            raise DatasetError(f"{path}: {error}") from None

    def done(
        self, image: np.ndarray, answer: Answer, truth: Sequence[np.ndarray], score: float | None
    ) -> None:
        """A frame is finished: results in colour, int32 (M, 1, 2) true outlines in white.

        Args:
            score: 0 to 1; None if the frame has none.
        """

        def drawn() -> np.ndarray:
            picture = draw(image.copy(), answer.targets)
            cv2.polylines(picture, list(truth), True, (255, 255, 255), 1, cv2.LINE_AA)
            return picture

        if self._writer is not None:
            self._writer.write(drawn())
        if self._worst is not None and score is not None and self._index:
            self._worst.take(self._name, self._index, score, drawn)
        self._index += 1
        self._on_frame()


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


def _of_answers(answers: Sequence[Answer], fps: float | None, place: int = 0) -> _OfAnswers:
    """Of one object; times and late frames are of all together and stand with the first."""
    track_s = [one.track_s for one in answers if one.track_s is not None]
    return {
        "lost": tuple(one.places[place].lost for one in answers),
        "track_s": () if place else tuple(track_s),
        "late": None if fps is None else 0 if place else sum(one.late for one in answers),
    }
