"""How a tracker chooses and believes."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..settings import check_ranges

#: Allowed range of every tracker setting, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "window_weight": (0.0, 1.0),
    "scale_penalty": (0.0, 2.0),
    "size_smoothing": (0.05, 1.0),
    "tracking_score": (0.0, 1.0),
    "lost_score": (0.0, 1.0),
    "redetect_score": (0.0, 1.0),
    "recover_share": (0.0, 1.0),
    "recover_frames": (1, 100),
    "lost_frames": (1, 1000),
    "max_search_growth": (1.0, 4.0),
    "redetect_crops": (0, 64),
    "redetect_period_s": (0.1, 60.0),
    "min_box_px": (1.0, 1000.0),
    "max_targets": (1, 256),
}


@dataclass(frozen=True)
class TrackerSettings:
    """Ranges stand in :data:`SETTING_RANGES`.

    Attributes:
        window_weight: how much nearness to the last place counts against the score.
        scale_penalty: how strongly a change of size or aspect counts against a candidate.
        size_smoothing: share of a new size that a score of 1 lets through at once.
        tracking_score: raw score from which a target is being tracked.
        lost_score: raw score below which the target is not believed to be where it was found.
        redetect_score: raw score from which the whole-frame search looks at a place again. A
            hundred windows have a hundred chances to be wrong, so it is above ``tracking_score``.
        recover_share: share of its usual score from which a target is believed again after it was
            not tracked on an image, and where its box overlaps the last one by less than half:
            something alike scores less than the target itself.
        recover_frames: images in a row, at one place, after which it is believed again.
        lost_frames: images in a row below ``lost_score`` that make a target lost.
        max_search_growth: the search window grows up to so many times while uncertain. The
            network was trained on objects 0.7 to 1.4 times their nominal size: beyond, it fails.
        redetect_crops: windows of the whole frame searched in one image for all lost targets
            together, beside the crop that each has anyway; 0: no search of the whole frame.
        redetect_period_s: the whole frame is covered in so many seconds if ``redetect_crops``
            suffice, else as fast as they allow.
        min_box_px: shortest side of an init box, in image pixels.
        max_targets: targets followed at once.

    Example:
        >>> from siampolar_model import TrackerSettings
        >>> TrackerSettings(lost_frames=20).lost_frames
        20
        >>> try:
        ...     TrackerSettings(lost_frames=0)
        ... except ValueError as error:
        ...     print(error)
        lost_frames is 0; it must be a whole number from 1 to 1000
    """

    window_weight: float = 0.3
    scale_penalty: float = 0.15
    size_smoothing: float = 0.7
    tracking_score: float = 0.5
    lost_score: float = 0.2
    redetect_score: float = 0.7
    recover_share: float = 0.95
    recover_frames: int = 2
    lost_frames: int = 8
    max_search_growth: float = 1.25
    redetect_crops: int = 4
    redetect_period_s: float = 1.0
    min_box_px: float = 8.0
    max_targets: int = 16

    def __post_init__(self) -> None:
        check_ranges(self, SETTING_RANGES)
        if self.lost_score > self.tracking_score:
            raise ConfigError(
                f"lost_score is {self.lost_score}; it must not exceed tracking_score, "
                f"{self.tracking_score}"
            )
