"""The targets of one tracker, as a session reports them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..geometry import polar
from ..geometry.region import Region, bounds_of
from ..images.frame import Frame
from ..models.spec import ModelSpec
from ..results import StateChange, Target, TargetState
from ..tracking.settings import TrackerSettings
from .history import StampedImage

#: Why a target is lost on images of another size than the one that it started on.
_OTHER_SIZE = "the image has another size than the one that it was started on"


class TrackerLike(Protocol):
    """What a session needs of :class:`siampolar_model.tracking.tracker.Tracker`."""

    settings: TrackerSettings

    @property
    def spec(self) -> ModelSpec: ...
    @property
    def ids(self) -> tuple[int, ...]: ...
    def start(self, frame: Frame, region: Region, *, id: int | None = None) -> int: ...
    def update(
        self,
        frame: Frame,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float,
        redetect_crops: int | None,
    ) -> list[Target]: ...
    def start_warning(self, frame: Frame, id: int) -> str: ...
    def remove(self, id: int) -> bool: ...


@dataclass(frozen=True, eq=False)
class _Entry:
    """What is known of a target.

    Attributes:
        result: its last result.
        image_size: width and height of its images.
        stamp_ns: of its last image.
        lost_s: for how long it has been lost; None if it is not.
    """

    result: Target
    image_size: tuple[int, int]
    stamp_ns: int
    lost_s: float | None = None


class TargetList:
    """Adds to a tracker what a session needs: image sizes, time lost, and changes of state.

    A target is lost on images that do not have the size of the image it was started on.
    """

    def __init__(self, tracker: TrackerLike) -> None:
        self._tracker = tracker
        self._entries: dict[int, _Entry] = {}
        self._reported: dict[int, TargetState] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._entries))

    @property
    def results(self) -> tuple[Target, ...]:
        """The last result of every target, sorted by id."""
        return tuple(self._entries[id].result for id in self.ids)

    def start(self, id: int, image: StampedImage, region: Region) -> None:
        """Start a target, or start it again.

        Raises:
            ValueError: the tracker refuses it; a target that is to start again goes on as before.
        """
        self._tracker.start(image.frame, region, id=id)
        box, nothing = bounds_of(region), np.zeros((0, 2), np.float32)
        unseen = Target(id, TargetState.UNCERTAIN, 0.0, 0.0, box, nothing)
        self._entries[id] = _Entry(unseen, image.size, image.stamp_ns)

    def start_warning(self, id: int, image: StampedImage) -> str:
        """What there is to warn of about a target that was just started; empty if nothing."""
        return self._tracker.start_warning(image.frame, id)

    def drop(self, id: int) -> None:
        """Stop following a target."""
        self._tracker.remove(id)
        self._entries.pop(id, None)

    def track(
        self, image: StampedImage, ids: Iterable[int], *, elapsed_s: float, redetect_crops: int
    ) -> tuple[Target, ...]:
        """Find targets on an image; their results, sorted by id.

        Args:
            elapsed_s, redetect_crops: see :meth:`siampolar_model.tracking.tracker.Tracker.update`.
        """
        ids = sorted(ids)
        fitting = [id for id in ids if self._entries[id].image_size == image.size]
        results: dict[int, Target] = {}
        if fitting:
            found = self._tracker.update(
                image.frame, fitting, elapsed_s=elapsed_s, redetect_crops=redetect_crops
            )
            results = {result.id: result for result in found}
        results.update({id: self._lost(id, image, _OTHER_SIZE) for id in ids if id not in results})
        for id, result in results.items():
            self._entries[id] = replace(self._entries[id], result=result, stamp_ns=image.stamp_ns)
        return tuple(results[id] for id in ids)

    def last_stamp_ns(self, ids: Iterable[int]) -> int:
        """Stamp of the last image of these targets; the newest if they differ."""
        return max(self._entries[id].stamp_ns for id in ids)

    def lose_all(self, image: StampedImage) -> tuple[Target, ...]:
        """All targets as lost, sorted by id."""
        return tuple(self._lost(id, image, "the tracker has failed") for id in self.ids)

    def time_out(
        self, results: Iterable[Target], elapsed_s: float, limit_s: float
    ) -> dict[int, str]:
        """Drop targets that have been lost for longer than ``limit_s``; 0 drops none.

        Args:
            results: those of the image worked on.
            elapsed_s: time from the image before.

        Returns:
            The reason of every target that was dropped, by id.
        """
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
        """What differs between these results, which are reported now, and the last report.

        A target that has to catch up first is not among the results. It is neither new nor gone.

        Args:
            reasons: why targets were dropped, by id.
        """
        gone = [id for id in self._reported if id not in self._entries]
        changes = [
            StateChange(id, self._reported.pop(id), None, reasons.get(id, "")) for id in gone
        ]
        for result in results:
            before = self._reported.get(result.id)
            if before != result.state:
                changes.append(StateChange(result.id, before, result.state))
                self._reported[result.id] = result.state
        return tuple(changes)

    def of_other_sizes(self, size: tuple[int, int]) -> str:
        """Targets that were started on another image size, as ``1 (640x480), 3 (320x240)``."""
        sizes = {id: self._entries[id].image_size for id in self.ids}
        return ", ".join("{} ({}x{})".format(i, *s) for i, s in sizes.items() if s != size)

    def _lost(self, id: int, image: StampedImage, reason: str) -> Target:
        last = self._entries[id].result
        return replace(
            last,
            state=TargetState.LOST,
            score=0.0,
            quality=0.0,
            polygon_xy=polar.clip_polygon(last.polygon_xy, *image.size),
            confidence=0.0,
            velocity_xy=(0.0, 0.0),
            reason=reason,
        )
