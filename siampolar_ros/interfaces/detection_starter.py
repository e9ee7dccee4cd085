"""Which of a detector's boxes start a target; does not know ROS."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState

from ..messages.detection import Detection
from ..parameters.settings import DetectionSettings

#: A detection that overlaps a tracked target by at least this IoU is that target.
_SAME_OBJECT_IOU = 0.5

#: Seconds before the same start is tried again: it takes time, and may be refused.
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Start:
    """Start a target on this detection: a new one if ``id`` is 0, else a lost one again."""

    detection: Detection
    id: int = 0


class DetectionStarter:
    """Compares detections with the targets and decides what to start.

    Results may come from another thread than detections.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._results: dict[int, Target] = {}
        self._classes: dict[int, str] = {}
        self._asked_at: dict[int, float] = {}  # id, or 0 for a new target -> when
        self._unanswered = False  # a new target was asked for, which may wait for its image
        self._refused: list[Box] = []  # places where no target could start, one after another

    def on_result(self, results: Sequence[Target]) -> None:
        """Remember all targets on the newest image."""
        with self._lock:
            self._results = {result.id: result for result in results}

    def class_of(self, id: int) -> str:
        """The class of the detection that a target started on or overlapped; empty if unknown."""
        with self._lock:
            return self._classes.get(id, "")

    def decide(
        self,
        detections: Sequence[Detection],
        followed: Collection[int],
        settings: DetectionSettings,
    ) -> list[Start]:
        """What to start now. Every start must be answered through :meth:`answered`.

        Args:
            detections: all of one image.
            followed: ids of all targets, including those not reported yet.
        """
        with self._lock:
            now = self._clock()
            self._forget(followed)
            free = [d for d in detections if _usable(d, settings)]
            free = self._claim(free)
            starts = self._find_lost(free, now, settings)
            if not followed and settings.auto_init and not self._unanswered and self._may(0, now):
                best = self._best_not_refused(free)
                starts = [] if best is None else [Start(best)]
                self._unanswered = best is not None
            for start in starts:
                self._asked_at[start.id] = now
            return starts

    def answered(self, start: Start, id: int | None) -> None:
        """The result of a start: the target's id, or None if it was refused."""
        with self._lock:
            if start.id == 0:
                self._unanswered = False
                if id is None:
                    # The next best one need not wait.
                    self._refused.append(start.detection.box)
                    self._asked_at.pop(0, None)
                else:
                    self._refused.clear()
            if id is not None and start.detection.class_id:
                self._classes[id] = start.detection.class_id

    def _best_not_refused(self, detections: list[Detection]) -> Detection | None:
        """The best detection where no start was refused; None once after all were refused.

        A detector may keep on finding something that cannot start a target, such as a box that is
        too small; it must not keep all others from starting.
        """
        allowed = [
            d
            for d in detections
            if all(d.box.iou(refused) < _SAME_OBJECT_IOU for refused in self._refused)
        ]
        if detections and not allowed:
            self._refused.clear()
            self._asked_at[0] = self._clock()
        return max(allowed, key=lambda d: d.score, default=None)

    def _may(self, id: int, now: float) -> bool:
        """Whether enough time has passed since this start was last tried."""
        return now - self._asked_at.get(id, -math.inf) >= _PAUSE_S

    def _forget(self, followed: Collection[int]) -> None:
        tables: tuple[dict[int, Any], ...] = (self._results, self._classes, self._asked_at)
        for table in tables:
            for id in [id for id in table if id and id not in followed]:
                del table[id]

    def _claim(self, detections: list[Detection]) -> list[Detection]:
        """The detections that are not followed yet; the others give their targets their class."""
        free = []
        tracked = [r for r in self._results.values() if r.state != TargetState.LOST]
        for detection in detections:
            ious = {r.id: r.box.iou(detection.box) for r in tracked}
            same = max(ious, key=lambda id: ious[id], default=0)
            if ious.get(same, 0.0) < _SAME_OBJECT_IOU:
                free.append(detection)
            elif detection.class_id:
                self._classes.setdefault(same, detection.class_id)
        return free

    def _find_lost(
        self, detections: list[Detection], now: float, settings: DetectionSettings
    ) -> list[Start]:
        """Lost targets and the detections that overlap them best, each used once."""
        pairs = [
            (result.box.iou(detection.box), detection.score, result.id, place)
            for result in self._results.values()
            if result.state == TargetState.LOST and self._may(result.id, now)
            for place, detection in enumerate(detections)
            if _same_class(self._classes.get(result.id, ""), detection.class_id)
        ]
        starts: dict[int, Start] = {}
        used: set[int] = set()
        for iou, _, id, place in sorted(pairs, reverse=True):
            if iou > 0 and iou >= settings.detection_iou and id not in starts and place not in used:
                starts[id] = Start(detections[place], id)
                used.add(place)
        return list(starts.values())


def _usable(detection: Detection, settings: DetectionSettings) -> bool:
    # A box without a finite area overlaps nothing, so its refusal could not be remembered.
    return (
        0 < detection.box.area < math.inf
        and detection.score >= settings.detection_score
        and (not settings.detection_classes or detection.class_id in settings.detection_classes)
    )


def _same_class(one: str, other: str) -> bool:
    return not one or not other or one == other
