"""The targets of one tracker as a session reports them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from ..images.frame import Frame
from ..results import StateChange, Target, TargetState
from .history import StampedImage


class TrackerLike(Protocol):
    """What a session needs of :class:`siampolar_model.tracking.tracker.Tracker`."""

    settings: Any

    @property
    def ids(self) -> tuple[int, ...]: ...
    def start(self, frame: Frame, box: Box, *, id: int | None = None) -> int: ...
    def update(
        self,
        frame: Frame,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float = ...,
        redetect_crops: int | None = ...,
    ) -> list[Target]: ...
    def remove(self, id: int) -> bool: ...


@dataclass(frozen=True, eq=False)
class _Entry:
    """One target: what was last said of it, its image size, how long it has been lost, if so."""

    result: Target
    image_size: tuple[int, int]
    lost_s: float | None = None


class TargetList:
    """Asks the tracker for what it can do and knows the rest: sizes, time lost, what changed.

    A target belongs to the image size it started on; on others it is lost.
    """

    def __init__(self, tracker: TrackerLike) -> None:
        self._tracker = tracker
        self._entries: dict[int, _Entry] = {}
        self._said: dict[int, TargetState] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._entries))

    @property
    def results(self) -> tuple[Target, ...]:
        """What was last said of every target, sorted by id."""
        return tuple(self._entries[id].result for id in self.ids)

    def start(self, id: int, image: StampedImage, box: Box) -> None:
        """Begin or start again.

        Raises:
            ValueError: the tracker refuses; a target that there was already goes on as before.
        """
        self._tracker.start(image.frame, box, id=id)
        unseen = Target(id, TargetState.UNCERTAIN, 0.0, 0.0, box, np.zeros((0, 2), np.float32))
        self._entries[id] = _Entry(unseen, image.size)

    def drop(self, id: int) -> None:
        self._tracker.remove(id)
        self._entries.pop(id, None)

    def track(self, image: StampedImage, ids: Iterable[int], **how: Any) -> tuple[Target, ...]:
        """Where these targets are, sorted by id.

        Args:
            how: further arguments of :meth:`siampolar_model.tracking.tracker.Tracker.update`.
        """
        ids = sorted(ids)
        fitting = [id for id in ids if self._entries[id].image_size == image.size]
        found = self._tracker.update(image.frame, fitting, **how) if fitting else []
        results = {result.id: result for result in found}
        results.update({id: self._lost(id, image) for id in ids if id not in results})
        for id, result in results.items():
            self._entries[id] = replace(self._entries[id], result=result)
        return tuple(results[id] for id in ids)

    def lose_all(self, image: StampedImage) -> tuple[Target, ...]:
        """All targets, lost."""
        return tuple(self._lost(id, image) for id in self.ids)

    def time_out(
        self, results: Iterable[Target], elapsed_s: float, limit_s: float
    ) -> dict[int, str]:
        """Drop what has been lost for longer than ``limit_s`` (0: nothing): ids with the reason."""
        reasons = {}
        for result in results:
            entry = self._entries[result.id]
            lost_s = None
            if result.state == TargetState.LOST:
                lost_s = 0.0 if entry.lost_s is None else entry.lost_s + elapsed_s
            if lost_s is not None and 0 < limit_s < lost_s:
                self.drop(result.id)
                reasons[result.id] = f"lost for {limit_s:g} s"
            else:
                self._entries[result.id] = replace(entry, lost_s=lost_s)
        return reasons

    def changes(
        self, results: Iterable[Target], reasons: Mapping[int, str]
    ) -> tuple[StateChange, ...]:
        """What differs from what was said before; these results are said from now on.

        A target that there is but that is not among the results, because it has to catch up
        first, is neither new nor gone.
        """
        gone = [id for id in self._said if id not in self._entries]
        changes = [StateChange(id, self._said.pop(id), None, reasons.get(id, "")) for id in gone]
        for result in results:
            before = self._said.get(result.id)
            if before != result.state:
                changes.append(StateChange(result.id, before, result.state))
                self._said[result.id] = result.state
        return tuple(changes)

    def of_other_sizes(self, size: tuple[int, int]) -> str:
        """Targets of images of another size, as ``1 (640x480), 3 (320x240)``."""
        sizes = {id: self._entries[id].image_size for id in self.ids}
        return ", ".join("{} ({}x{})".format(i, *s) for i, s in sizes.items() if s != size)

    def _lost(self, id: int, image: StampedImage) -> Target:
        last = self._entries[id].result
        outline = polar.clip_polygon(last.polygon_xy, *image.size)
        return replace(last, state=TargetState.LOST, score=0.0, quality=0.0, polygon_xy=outline)
