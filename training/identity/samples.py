"""Evidence of a tracker on annotated video and clips, with the truth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial

import numpy as np

from siampolar_model.evaluation.metrics import mask_box, region_similarity
from siampolar_model.results import TargetState
from siampolar_model.tracking.confidence import Evidence
from siampolar_model.tracking.tracker import Tracker

from ..clips.redetection import HidingClip
from ..clips.redetection import render_clip as render_hiding
from ..clips.twins import TwinClip
from ..clips.twins import render_clip as render_twins
from ..data.readers.base import Reader

#: The names of the columns of evidence.
FEATURES = tuple(field.name for field in fields(Evidence))

#: Objects of a smaller side are not followed.
MIN_SIDE_PX = 12.0


@dataclass(frozen=True, eq=False)
class Samples:
    """One row for every target on every image on which it was not called lost.

    Attributes:
        evidence: float64 (N, F), in the order of :data:`FEATURES`.
        confidence: float64 (N,), what the tracker published.
        iou: float64 (N,), of the published outline with the chosen object; 0 where that is hidden.
        tracking: bool (N,), whether it was called tracking.
    """

    evidence: np.ndarray
    confidence: np.ndarray
    iou: np.ndarray
    tracking: np.ndarray

    def __len__(self) -> int:
        return len(self.iou)

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        return cls(
            np.concatenate([np.empty((0, len(FEATURES))), *(one.evidence for one in parts)]),
            np.concatenate([np.empty(0), *(one.confidence for one in parts)]),
            np.concatenate([np.empty(0), *(one.iou for one in parts)]),
            np.concatenate([np.empty(0, bool), *(one.tracking for one in parts)]),
        )


#: Image uint8 (H, W, 3) and the masks of all objects uint8 (objects, H, W), not 0 inside.
Labelled = tuple[np.ndarray, np.ndarray]


def video(reader: Reader, sequence: int, frames: int) -> list[Labelled]:
    """The first frames of a video with the objects that are on its first one."""
    images = [reader.read(sequence, t) for t in range(min(frames, reader.frames(sequence)))]
    values = images[0].objects
    return [(one.image, np.stack([one.mask(value) for value in values])) for one in images
            if values]  # fmt: skip


def twins(clip: TwinClip) -> Iterable[Labelled]:
    """The frames of a clip of identical objects."""
    return (clip.frame(t)[:2] for t in range(len(clip)))


def hiding(clip: HidingClip) -> Iterable[Labelled]:
    """The frames of a clip whose object leaves and comes back."""
    return ((image, mask[None]) for image, mask in (clip.frame(t) for t in range(len(clip))))


def follow(tracker: Tracker, frames: Iterable[Labelled]) -> Samples:
    """Follow all objects of a video from the boxes of their first masks.

    Args:
        tracker: without targets; it has none afterwards.
    """
    chosen: list[tuple[int, int]] = []
    evidence, confidence, iou, tracking = [], [], [], []
    tracker.reset()
    for t, (image, masks) in enumerate(frames):
        if t == 0:
            for i, mask in enumerate(masks):
                box = mask_box(mask)
                room = len(chosen) < tracker.settings.max_targets
                if box is not None and min(box.width, box.height) >= MIN_SIDE_PX and room:
                    chosen.append((tracker.start(image, box), i))
            continue
        if not chosen:
            break
        targets = tracker.update(image, elapsed_s=1 / 30)
        for target, (id, i) in zip(targets, chosen, strict=True):
            if target.state == TargetState.LOST:
                continue
            evidence.append(astuple(tracker.evidence(id)))
            confidence.append(target.confidence)
            truth = (masks[i] > 0).astype(np.uint8)
            iou.append(region_similarity(truth, target.mask(*truth.shape)) if truth.any() else 0.0)
            tracking.append(target.state == TargetState.TRACKING)
    tracker.reset()
    rows = np.array(evidence, float).reshape(-1, len(FEATURES))
    return Samples(rows, np.array(confidence, float), np.array(iou, float),
                   np.array(tracking, bool))  # fmt: skip


def gather(
    tracker: Tracker,
    videos: Reader,
    photos: Reader,
    *,
    frames: int,
    clips: int,
    on_part: Callable[[], None] = lambda: None,
) -> dict[str, Samples]:
    """Follow all videos, and generated clips of twins and of objects that leave and come back.

    Args:
        frames: of every video.
        clips: of either kind, with the seeds 0, 1, ...

    Returns:
        The samples by kind: "video", "twins", "hiding".
    """
    parts: dict[str, list[Samples]] = {"video": [], "twins": [], "hiding": []}
    sources: list[tuple[str, Callable[[], Iterable[Labelled]]]] = [
        *(("video", partial(video, videos, i, frames)) for i in range(len(videos))),
        *(("twins", partial(_twin_clip, photos, seed)) for seed in range(clips)),
        *(("hiding", partial(_hiding_clip, photos, seed)) for seed in range(clips)),
    ]
    for kind, open_frames in sources:
        parts[kind].append(follow(tracker, open_frames()))
        on_part()
    return {kind: Samples.joined(some) for kind, some in parts.items()}


def _twin_clip(photos: Reader, seed: int) -> Iterable[Labelled]:
    return twins(render_twins(photos, seed))


def _hiding_clip(photos: Reader, seed: int) -> Iterable[Labelled]:
    return hiding(render_hiding(photos, seed, distractor=bool(seed % 2)))
