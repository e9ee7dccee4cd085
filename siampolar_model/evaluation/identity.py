"""Whether several targets of one video stay on their own objects, against boxes drawn by hand.

Boxes of every fifteenth frame are enough to see who is where; the video itself is tracked whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from ..errors import BoxError, DatasetError
from ..geometry.box import Box, as_box
from ..io.video import VideoReader
from ..rendering.draw import draw
from ..results import Target, TargetState
from ..tracking.elapsed import seconds_between
from ..tracking.tracker import Tracker
from .boxes import BoxSequence

#: A target is on the object whose box overlaps its own most, if by at least this IoU.
ON_IOU = 0.2

#: A target whose box overlaps the true one by less than this IoU is somewhere else.
OFF_IOU = 0.1

#: Two targets share an object where their masks overlap by more than this IoU.
SHARED_IOU = 0.7

#: Width of a picture on a contact sheet, and how many stand in a row.
_TILE_PX, _COLUMNS = 480, 4


@dataclass(frozen=True)
class IdentityClip:
    """A video in which several objects were annotated by hand.

    Attributes:
        video: name of the video file.
        objects: for every object its box on each annotated frame, in pixels; None where it is
            hidden. All objects are seen on frame 0.
    """

    video: str
    objects: Mapping[str, Mapping[int, Box | None]]

    @classmethod
    def read(cls, path: Path) -> IdentityClip:
        """From a JSON file: ``{"video": NAME, "objects": {NAME: {"0": [x, y, w, h], ...}}}``.

        Raises:
            DatasetError: the file cannot be read or does not have this form.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            objects = {
                str(name): {
                    int(t): None if box is None else as_box(box) for t, box in boxes.items()
                }
                for name, boxes in content["objects"].items()
            }
            video = str(content["video"])
        except (OSError, KeyError, TypeError, ValueError, AttributeError, BoxError) as error:
            raise DatasetError(f"{path}: no annotation of a video ({error!r})") from None
        frames = {tuple(boxes) for boxes in objects.values()}
        if len(frames) != 1 or any(boxes.get(0) is None for boxes in objects.values()):
            raise DatasetError(
                f"{path}: every object needs the same annotated frames and a box on frame 0"
            )
        return cls(video, objects)

    @property
    def frames(self) -> tuple[int, ...]:
        """The annotated frames, ascending."""
        return tuple(sorted(next(iter(self.objects.values()))))


@dataclass(frozen=True)
class IdentityScores:
    """What became of the targets of one video.

    Attributes:
        ends: for every object where its target is on the last annotated frame: "own", "another"
            (object that is annotated), "elsewhere" or "lost".
        on_own: share of the annotated frames, without frame 0, on which every target called
            tracking is on its own object. Targets whose object is hidden do not count, unless they
            are on another one.
        shared_frames: most frames in a row on which two targets called tracking have masks that
            overlap by more than :data:`SHARED_IOU`.
        tracking: share of targets called tracking, of those whose object is seen, on the annotated
            frames without frame 0.
    """

    ends: Mapping[str, str]
    on_own: float
    shared_frames: int
    tracking: float

    @property
    def own_or_lost(self) -> int:
        """How many targets end on their own object or are called lost."""
        return sum(end in ("own", "lost") for end in self.ends.values())


def follow(
    tracker: Tracker, clip: IdentityClip, video: Path, *, sheet: Path | None = None
) -> IdentityScores:
    """Follow every annotated object from its box on frame 0 to the last annotated frame.

    Args:
        tracker: without targets; it has none afterwards.
        video: the file.
        sheet: JPEG or PNG file to write: the annotated frames with the targets, and the true boxes
            in white.

    Raises:
        DatasetError: the video ends before the last annotated frame, or the sheet cannot be
            written.
        VideoError: the video cannot be read.
    """
    boxes = {t: [one[t] for one in clip.objects.values()] for t in clip.frames}
    shared = _Shared()
    places: dict[int, list[str]] = {}
    states: dict[int, list[TargetState]] = {}
    tiles = []
    frames = 0
    try:
        with VideoReader(video) as reader:
            before_ns = None
            for frame in reader:
                elapsed_s = seconds_between(before_ns, frame.stamp_ns)
                before_ns = frame.stamp_ns
                if frames:
                    targets = tracker.update(frame.image, elapsed_s=elapsed_s)
                    shared.add(targets, frame.image.shape[:2])
                else:
                    for box in boxes[0]:
                        assert box is not None, "all objects are seen on frame 0"
                        tracker.start(frame.image, box)
                    targets = tracker.targets
                if frames in boxes:
                    true = boxes[frames]
                    places[frames] = [_place(one, true, i) for i, one in enumerate(targets)]
                    states[frames] = [one.state for one in targets]
                    if sheet is not None:
                        tiles.append(_tile(frame.image, targets, true, frames))
                frames += 1
                if frames > clip.frames[-1]:
                    break
    finally:
        tracker.reset()
    if frames <= clip.frames[-1]:
        raise DatasetError(f"{video}: {frames} frames; annotated to frame {clip.frames[-1]}")
    if sheet is not None:
        write_sheet(sheet, tiles)
    return IdentityScores(
        ends=dict(zip(clip.objects, places[clip.frames[-1]], strict=True)),
        on_own=float(np.mean([_all_on_own(places[t], states[t], boxes[t])
                              for t in clip.frames[1:]])),
        shared_frames=shared.longest,
        tracking=float(np.mean([state == TargetState.TRACKING
                                for t in clip.frames[1:]
                                for state, box in zip(states[t], boxes[t], strict=True)
                                if box is not None])),
    )  # fmt: skip


class _Shared:
    """For how many frames in a row two targets called tracking have been on one object."""

    def __init__(self) -> None:
        self.longest = 0
        self._now: dict[tuple[int, int], int] = {}

    def add(self, targets: Sequence[Target], size: tuple[int, int]) -> None:
        tracked = [one for one in targets if one.state == TargetState.TRACKING]
        now = {}
        for a, b in combinations(tracked, 2):
            # Masks cannot overlap by so much where boxes hardly do, and take longer.
            if a.box.iou(b.box) > SHARED_IOU / 2:
                one, other = a.mask(*size), b.mask(*size)
                if (one & other).sum() > SHARED_IOU * max((one | other).sum(), 1):
                    now[a.id, b.id] = self._now.get((a.id, b.id), 0) + 1
        self._now = now
        self.longest = max(self.longest, *now.values(), 0) if now else self.longest


def _place(target: Target, true: Sequence[Box | None], own: int) -> str:
    """Where a target is: "own", "another", "elsewhere" or "lost"."""
    if target.state == TargetState.LOST:
        return "lost"
    overlaps = [0.0 if box is None else target.box.iou(box) for box in true]
    best = int(np.argmax(overlaps))
    if overlaps[best] < ON_IOU:
        return "elsewhere"
    return "own" if best == own else "another"


def _all_on_own(
    places: Sequence[str], states: Sequence[TargetState], true: Sequence[Box | None]
) -> bool:
    """Whether all targets called tracking are on their own object, if that is seen."""
    return all(
        place == "own" or (box is None and place == "elsewhere")
        for place, state, box in zip(places, states, true, strict=True)
        if state == TargetState.TRACKING
    )


def _tile(
    image: np.ndarray, targets: Sequence[Target], true: Sequence[Box | None], index: int
) -> np.ndarray:
    drawn = draw(image.copy(), targets)
    for box in true:
        if box is not None:
            x1, y1, x2, y2 = (round(float(value)) for value in box.as_xyxy())
            cv2.rectangle(drawn, (x1, y1), (x2, y2), (255, 255, 255), 2)
    height = round(image.shape[0] * _TILE_PX / image.shape[1])
    tile = cv2.resize(drawn, (_TILE_PX, height), interpolation=cv2.INTER_AREA)
    cv2.putText(tile, str(index), (6, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3, 2)
    return tile


@dataclass(frozen=True)
class OffTarget:
    """How often a target of one video is called tracking although it is somewhere else.

    Attributes:
        frames: annotated frames after the first.
        off: of those, how many are called tracking with a box that overlaps the true one by an IoU
            below :data:`OFF_IOU`.
        tracking: how many are called tracking.
    """

    frames: int
    off: int
    tracking: int


def off_target(tracker: Tracker, sequence: BoxSequence) -> OffTarget:
    """Follow the object of a video from its first box; frames without a true box do not count.

    Args:
        tracker: without targets; it has none afterwards.

    Raises:
        DatasetError: an image is damaged.
    """
    frames = off = tracking = 0
    try:
        tracker.start(sequence.read(0), Box.from_xywh(*sequence.boxes[0]))
        for index in range(1, len(sequence.images)):
            (target,) = tracker.update(sequence.read(index))
            if not sequence.visible[index]:
                continue
            called = target.state == TargetState.TRACKING
            frames += 1
            tracking += called
            off += called and target.box.iou(Box.from_xywh(*sequence.boxes[index])) < OFF_IOU
    finally:
        tracker.reset()
    return OffTarget(frames, off, tracking)


def write_sheet(path: Path, tiles: Sequence[np.ndarray]) -> None:
    """Write pictures of one size, uint8 (h, w, 3), in rows as one picture.

    Raises:
        DatasetError: the file cannot be written.
    """
    blank = np.zeros_like(tiles[0])
    filled = [*tiles, *[blank] * (-len(tiles) % _COLUMNS)]
    rows = [np.hstack(filled[i : i + _COLUMNS]) for i in range(0, len(filled), _COLUMNS)]
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise DatasetError(f"{path}: cannot be written")
