"""Plays a video to a tracker, image by image, or paced like a camera.

Paced playing runs in virtual time. Images arrive at a fixed rate, and the clock advances by the
measured duration of every start and update; work outside of the tracker does not advance it. A
tracker that is still busy misses images; when it is free again, it takes the newest one. Every
image is scored with the newest answer that was finished before the next image arrived.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from ..images.frame import Frame
from ..results import Target, TargetState
from ..tracking.redetection import RedetectionBudget
from ..tracking.tracker import Tracker

# Tolerance, in periods of the images, for an answer that is finished exactly when one arrives.
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer with which one image is scored.

    Attributes:
        box: of the target, in image pixels.
        polygon_xy: float32 (M, 2), its outline in image pixels.
        lost: whether the tracker reported it lost; its geometry is the last one believed then.
        late: whether it comes from an earlier image.
        targets: the tracker's own result; empty for the given box of the first image.
        track_s: seconds in ``Tracker.update`` on this very image; None if it was not called.
    """

    box: Box
    polygon_xy: np.ndarray
    lost: bool = False
    late: bool = False
    targets: tuple[Target, ...] = ()
    track_s: float | None = None

    def mask(self, height: int, width: int) -> np.ndarray:
        """What the answer calls the object, uint8 (height, width), 1 inside."""
        if self.targets:
            return self.targets[0].mask(height, width).view(np.uint8)
        return polar.fill(self.polygon_xy, height, width)


class Player:
    """Shows the images of one video to a tracker and gives the answer that counts on each.

    Args:
        tracker: without targets.
        fps: images per second of paced playing; None: the tracker sees every image.
    """

    def __init__(self, tracker: Tracker, fps: float | None = None) -> None:
        self._tracker, self._fps = tracker, fps
        self._index = 0
        self._next_index = 1  # the image that the tracker takes next
        self._free_at = 0.0  # when it is free, in periods of the images
        self._counts_from = 0  # the first image on which `_newest` counts

    def start(self, image: np.ndarray, box: Box) -> Answer:
        """Start on the first image, uint8 (H, W, 3) BGR.

        Raises:
            BoxError: a box that no target can start from.
        """
        frame = Frame.from_bgr(image)
        begin = time.perf_counter()
        self._tracker.start(frame, box)
        self._busy(time.perf_counter() - begin)
        self._counts = self._newest = Answer(box, box.corners_xy())
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
                budget = RedetectionBudget(elapsed_s=elapsed_s)
                targets = self._tracker.update(frame, budget=budget)
            track_s = time.perf_counter() - begin
            self._busy(track_s)
            (target,) = targets
            lost = target.state == TargetState.LOST
            self._newest = Answer(target.box, target.polygon_xy, lost, targets=(target,))
            self._let_count()
        late = self._counts is not self._newest or track_s is None
        return replace(self._counts, late=late, track_s=track_s)

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
