"""What an evaluation finds: per frame, per sequence, and of a whole data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np

from .box_metrics import (
    NORMALISED_THRESHOLDS,
    PRECISION_AT_PX,
    PRECISION_THRESHOLDS,
    box_ious,
    center_errors,
    clip_boxes,
    normalised_errors,
    precision_curve,
    success_curve,
)
from .dataset import Skipped
from .metrics import sequence_statistics
from .timing import Percentiles, median_rate

MASK_PROTOCOL = (
    "DAVIS-2016, box of the first mask; per sequence without its first and last frame, then the "
    "mean over sequences; empty mask while lost; box IoU over frames after the first whose mask is "
    "not empty; fps = 1 / median seconds in Tracker.update, warm"
)

OBJECTS_PROTOCOL = (
    "DAVIS-2017, box of each object in the first mask; per object without the first and last "
    "frame, then the mean over the objects of all sequences; where outlines overlap, the higher "
    "number is in front; empty mask while lost; fps as all objects of a sequence together"
)

BOX_PROTOCOL = (
    "one pass from the first box; the box last reported counts while lost; AUC, precision at 20 px "
    "and normalised precision (AUC of 0 to 0.5) as OTB and LaSOT: with the first frame, then the "
    "mean over sequences; AO and SR as GOT-10k: without the first frame, boxes clipped to the "
    "image, over all frames of all sequences; fps = 1 / median seconds in Tracker.update, warm"
)

_PACED = (
    "; paced: images arrive at {fps:g} per second in virtual time, and the newest answer that was "
    "finished before the next image counts"
)


@dataclass(frozen=True, eq=False)
class MaskFrames:
    """Per-frame values of one sequence with masks, all of its frames, the first one included.

    Attributes:
        j, f: region similarity and boundary accuracy.
        box_iou: of the tracker's box with the mask's; None where the mask is empty.
        lost: whether the tracker reported the target lost.
        track_s: seconds in ``Tracker.update``, for the images that it was called with.
        late: how many images were scored with the answer of an earlier one; None if not paced.
    """

    name: str
    j: tuple[float, ...]
    f: tuple[float, ...]
    box_iou: tuple[float | None, ...]
    lost: tuple[bool, ...]
    track_s: tuple[float, ...]
    late: int | None = None

    def scores(self) -> MaskScores:
        """The figures of the protocol."""
        j, f = sequence_statistics(self.j), sequence_statistics(self.f)
        return MaskScores(
            J_mean=j.mean,
            J_recall=j.recall,
            J_decay=j.decay,
            F_mean=f.mean,
            F_recall=f.recall,
            F_decay=f.decay,
            box_iou_mean=_mean_of_known(self.box_iou[1:]),
            fps=_rate(self.track_s),
            frames=len(self.j),
            lost_frames=sum(self.lost),
            late_frames=self.late,
        )


@dataclass(frozen=True)
class MaskScores:
    """J and F of DAVIS-2016, of one sequence or of a data set.

    Attributes:
        J_mean, J_recall, J_decay, F_mean, F_recall, F_decay: see
            :class:`siampolar_model.evaluation.metrics.Statistics`; of a data set the mean over its
            sequences.
        box_iou_mean: over the frames after the first whose mask is not empty; None if there are
            none.
        fps: one over the median of the seconds in ``Tracker.update`` (crop, network and decoding,
            one target); reading files and scoring do not count. None if a paced tracker was still
            busy with its start when the images ended.
        lost_frames: frames on which the target was reported lost.
        late_frames: frames that were scored with the answer of an earlier one; None if not paced.
    """

    J_mean: float
    J_recall: float
    J_decay: float
    F_mean: float
    F_recall: float
    F_decay: float
    box_iou_mean: float | None
    fps: float | None
    frames: int
    lost_frames: int
    late_frames: int | None


@dataclass(frozen=True, eq=False)
class BoxFrames:
    """Per-frame values of one sequence with boxes, all of its frames, the first one included.

    Attributes:
        predicted, true: boxes float64 (N, 4): x, y, width and height in pixels.
        visible: bool (N,), the frames whose truth is known.
        image_size: width and height in pixels.
        lost, track_s, late: as in :class:`MaskFrames`.
    """

    name: str
    predicted: np.ndarray
    true: np.ndarray
    visible: np.ndarray
    image_size: tuple[int, int]
    lost: tuple[bool, ...]
    track_s: tuple[float, ...]
    late: int | None = None

    def later_ious(self) -> np.ndarray:
        """IoU on the visible frames after the first, boxes clipped to the image, as GOT-10k's."""
        later = np.flatnonzero(self.visible[1:]) + 1
        return box_ious(
            clip_boxes(self.predicted[later], *self.image_size),
            clip_boxes(self.true[later], *self.image_size),
        )

    def scores(self) -> BoxScores:
        """The figures of the protocols."""
        predicted, true = self.predicted[self.visible], self.true[self.visible]
        success = success_curve(box_ious(predicted, true))
        precision = precision_curve(center_errors(predicted, true), PRECISION_THRESHOLDS)
        normalised = precision_curve(normalised_errors(predicted, true), NORMALISED_THRESHOLDS)
        return BoxScores(
            **_overlaps(self.later_ious()),
            AUC=float(success.mean()),
            precision_20px=float(precision[PRECISION_AT_PX]),
            normalised_precision=float(normalised.mean()),
            fps=_rate(self.track_s),
            frames=len(self.true),
            lost_frames=sum(self.lost),
            late_frames=self.late,
            success_curve=tuple(success.tolist()),
            precision_curve=tuple(precision.tolist()),
        )


@dataclass(frozen=True)
class BoxScores:
    """Measures of boxes, of one sequence or of a data set.

    Attributes:
        AUC: mean of the success curve; of a data set the mean over its sequences, as are the next
            two.
        precision_20px: share of frames whose centres are at most 20 px apart.
        normalised_precision: mean of the precision curve over distances of 0 to 0.5 true widths
            and heights.
        AO, SR_50, SR_75: GOT-10k's average overlap and the shares of frames with an IoU above 0.5
            and 0.75; of a data set over the frames of all sequences together.
        fps, lost_frames, late_frames: as in :class:`MaskScores`.
        success_curve, precision_curve: at the thresholds of
            :mod:`siampolar_model.evaluation.box_metrics`.
    """

    AUC: float
    precision_20px: float
    normalised_precision: float
    AO: float
    SR_50: float
    SR_75: float
    fps: float | None
    frames: int
    lost_frames: int
    late_frames: int | None
    success_curve: tuple[float, ...]
    precision_curve: tuple[float, ...]


@dataclass(frozen=True)
class _OfDataset:
    track_ms: Percentiles | None
    protocol: str
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class MaskDatasetScores(_OfDataset, MaskScores):
    """Scores of a data set with masks.

    Attributes:
        track_ms: of all images of all sequences, in ``Tracker.update``.
        protocol: how the figures were taken, in words.
        skipped: sequences that could not be scored, and why.
        sequences: the scores of each by its name.
    """

    sequences: dict[str, MaskScores]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``skipped`` is there only if a sequence was, ``late_frames`` only if paced."""
        return _for_json(asdict(self))


@dataclass(frozen=True)
class BoxDatasetScores(_OfDataset, BoxScores):
    """Scores of a data set with boxes; more attributes as of :class:`MaskDatasetScores`."""

    sequences: dict[str, BoxScores]

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`MaskDatasetScores.to_dict`."""
        return _for_json(asdict(self))


def summarize_masks(
    frames: Sequence[MaskFrames],
    skipped: Sequence[Skipped] = (),
    fps: float | None = None,
    protocol: str = MASK_PROTOCOL,
) -> MaskDatasetScores:
    """The scores of a data set from those of its frames.

    Args:
        frames: one per sequence (or object of one), at least one.
        fps: of paced playing; None if not paced.
        protocol: how the figures were taken, in words.
    """
    parts = {one.name: one.scores() for one in frames}
    each = parts.values()
    return MaskDatasetScores(
        J_mean=_mean(one.J_mean for one in each),
        J_recall=_mean(one.J_recall for one in each),
        J_decay=_mean(one.J_decay for one in each),
        F_mean=_mean(one.F_mean for one in each),
        F_recall=_mean(one.F_recall for one in each),
        F_decay=_mean(one.F_decay for one in each),
        box_iou_mean=_mean_of_known([one.box_iou_mean for one in each]),
        **_common(frames, protocol, skipped, fps),
        sequences=parts,
    )


def summarize_boxes(
    frames: Sequence[BoxFrames], skipped: Sequence[Skipped] = (), fps: float | None = None
) -> BoxDatasetScores:
    """As :func:`summarize_masks`."""
    parts = {one.name: one.scores() for one in frames}
    each = parts.values()
    return BoxDatasetScores(
        AUC=_mean(one.AUC for one in each),
        precision_20px=_mean(one.precision_20px for one in each),
        normalised_precision=_mean(one.normalised_precision for one in each),
        **_overlaps(np.concatenate([one.later_ious() for one in frames])),
        **_common(frames, BOX_PROTOCOL, skipped, fps),
        success_curve=tuple(np.mean([one.success_curve for one in each], axis=0).tolist()),
        precision_curve=tuple(np.mean([one.precision_curve for one in each], axis=0).tolist()),
        sequences=parts,
    )


class _Common(TypedDict):
    fps: float | None
    frames: int
    lost_frames: int
    late_frames: int | None
    track_ms: Percentiles | None
    protocol: str
    skipped: tuple[Skipped, ...]


class _Overlaps(TypedDict):
    AO: float
    SR_50: float
    SR_75: float


def _common(
    frames: Sequence[MaskFrames] | Sequence[BoxFrames],
    protocol: str,
    skipped: Sequence[Skipped],
    fps: float | None,
) -> _Common:
    track_s = np.concatenate([one.track_s for one in frames])
    return {
        "fps": _rate(track_s),
        "frames": sum(len(one.lost) for one in frames),
        "lost_frames": sum(sum(one.lost) for one in frames),
        "late_frames": None if fps is None else sum(one.late or 0 for one in frames),
        "track_ms": Percentiles.of_seconds(track_s) if len(track_s) else None,
        "protocol": protocol if fps is None else protocol + _PACED.format(fps=fps),
        "skipped": tuple(skipped),
    }


def _overlaps(ious: np.ndarray) -> _Overlaps:
    return {
        "AO": float(ious.mean()),
        "SR_50": float((ious > 0.5).mean()),
        "SR_75": float((ious > 0.75).mean()),
    }


def _rate(track_s: Sequence[float] | np.ndarray) -> float | None:
    return median_rate(track_s) if len(track_s) else None


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _for_json(fields: dict[str, Any]) -> dict[str, Any]:
    skipped = fields.pop("skipped")
    if skipped:
        fields["skipped"] = {one["name"]: one["reason"] for one in skipped}
    for scores in (fields, *fields["sequences"].values()):
        if scores["late_frames"] is None:
            del scores["late_frames"]
    return fields
