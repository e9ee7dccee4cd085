"""Plays a video to a tracker, image by image, or paced like a camera.

Paced playing runs in virtual time. Images arrive at a fixed rate, and the clock advances by the
measured duration of every start and update; work outside of the tracker does not advance it. A
tracker that is still busy misses images; when it is free again, it takes the newest one. Every
image is scored with the newest answer that was finished before the next image arrived.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..errors import BoxError
from ..geometry import polar
from ..geometry.box import Box
from ..geometry.region import Mask
from ..images.frame import Frame
from ..results import Target, TargetState

# Tolerance, in periods of the images, for an answer that is finished exactly when one arrives.
_TINY = 1e-9


class Follower(Protocol):
    """What is played to: a :class:`.tracking.tracker.Tracker`, or a tracker of another library."""

    def start(self, frame: Frame, region: Box | Mask) -> int:
        """Start a target and return its id.

        Raises:
            BoxError: a box that no target can start from.
        """

    def update(self, frame: Frame, *, elapsed_s: float = ...) -> list[Target]:
        """All targets on the next image."""

    def reset(self) -> None:
        """Forget all targets."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where one object is on the first image.

    Attributes:
        box: in image pixels.
        mask: uint8 (H, W), not 0 on the object, for a tracker that starts from masks; else None.
    """

    box: Box
    mask: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Place:
    """Where one object is by an answer.

    Attributes:
        box: of the target, in image pixels.
        lost: whether the tracker reported it lost; its geometry is the last one believed then.
        target: the tracker's own result; None for the given box of the first image.
    """

    box: Box
    lost: bool = False
    target: Target | None = None

    def fill_into(self, labels: np.ndarray, value: int) -> None:
        """Write ``value`` into an array of integers (H, W) where the object is by the answer."""
        if self.target is not None:
            self.target.fill_into(labels, value)
        else:
            polar.fill_into(labels, self.box.corners_xy(), value)


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer with which one image is scored.

    Attributes:
        places: of every object, in the order in which they were started.
        late: whether it comes from an earlier image.
        track_s: seconds in ``Tracker.update`` on this very image; None if it was not called.
    """

    places: tuple[Place, ...]
    late: bool = False
    track_s: float | None = None

    @property
    def targets(self) -> list[Target]:
        """The tracker's own results."""
        return [place.target for place in self.places if place.target is not None]


class Player:
    """Shows the images of one video to a tracker and gives the answer that counts on each.

    Args:
        tracker: without targets.
        fps: images per second of paced playing; None: the tracker sees every image.
    """

    def __init__(self, tracker: Follower, fps: float | None = None) -> None:
        self._tracker, self._fps = tracker, fps
        self._index = 0
        self._next_index = 1  # the image that the tracker takes next
        self._free_at = 0.0  # when it is free, in periods of the images
        self._counts_from = 0  # the first image on which `_newest` counts
        self._ids: list[int | None] = []  # of the objects; None: it could not be started

    def start(self, image: np.ndarray, starts: Sequence[Start]) -> Answer:
        """Start on the first image, uint8 (H, W, 3) BGR.

        Of several objects, one that no target can start from (too small, as a rule) is lost on all
        images.

        Raises:
            BoxError: no target can start from any of the boxes.
            TargetLimitError: more objects than the tracker can follow.
        """
        frame = Frame.from_bgr(image)
        refused: BoxError | None = None
        begin = time.perf_counter()
        for one in starts:
            try:
                region = one.box if one.mask is None else Mask(one.mask)
                self._ids.append(self._tracker.start(frame, region))
            except BoxError as error:
                self._ids.append(None)
                refused = error
        if refused is not None and not any(self._ids):
            raise refused
        self._busy(time.perf_counter() - begin)
        places = (
            Place(one.box, lost=id is None) for one, id in zip(starts, self._ids, strict=True)
        )
        self._counts = self._newest = Answer(tuple(places))
        self._counts_from = 0
        return self._counts

    def step(self, image: np.ndarray) -> Answer:
        """The next image, uint8 (H, W, 3) BGR, of the size of the first.

        Raises:
            FrameError: another size.
        """
        self._index += 1
        self._let_count()
        track_s = None
        if self._index == self._next_index:
            frame = Frame.from_bgr(image)
            begin = time.perf_counter()
            if self._fps is None:
                targets = self._tracker.update(frame)
            else:
                elapsed_s = (self._index - self._last_index) / self._fps
                targets = self._tracker.update(frame, elapsed_s=elapsed_s)
            track_s = time.perf_counter() - begin
            self._busy(track_s)
            self._newest = Answer(self._places(targets))
            self._let_count()
        late = self._counts is not self._newest or track_s is None
        return replace(self._counts, late=late, track_s=track_s)

    def _places(self, targets: Sequence[Target]) -> tuple[Place, ...]:
        found = {target.id: target for target in targets}
        return tuple(
            before
            if id is None
            else Place(found[id].box, found[id].state == TargetState.LOST, found[id])
            for id, before in zip(self._ids, self._newest.places, strict=True)
        )

    def _busy(self, seconds: float) -> None:
        """Note that the tracker worked on the present image for some seconds."""
        self._last_index = self._index
        if self._fps is None:
            self._next_index, self._counts_from = self._index + 1, self._index
            return
        self._free_at = max(self._free_at, self._index) + seconds * self._fps
        self._next_index = max(self._index + 1, math.floor(self._free_at + _TINY))
        self._counts_from = max(self._index, math.ceil(self._free_at - _TINY) - 1)

    def _let_count(self) -> None:
        """Replace the answer that counts by the newest one, if that was finished in time."""
        if self._index >= self._counts_from:
            self._counts = self._newest
