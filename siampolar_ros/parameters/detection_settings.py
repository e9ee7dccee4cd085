"""When detections start targets, and which."""

from __future__ import annotations

from dataclasses import dataclass

from siampolar_model.settings import check_ranges

#: Allowed range of every number among the settings, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "detection_score": (0.0, 1.0),
    "detection_iou": (0.0, 1.0),
}


@dataclass(frozen=True)
class DetectionSettings:
    """What detections may do. Ranges stand in :data:`SETTING_RANGES`.

    Attributes:
        auto_init: start the best detection while no target is followed. A lost one counts as
            followed.
        detection_score: detections below are ignored.
        detection_iou: overlap with the last box of a lost target from which it is started again.
        detection_classes: the only classes that start anything; empty: all.
    """

    auto_init: bool = False
    detection_score: float = 0.5
    detection_iou: float = 0.3
    detection_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self, SETTING_RANGES)
