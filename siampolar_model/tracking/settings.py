"""How a tracker chooses among candidates, and when it believes them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..settings import check_settings, setting


@dataclass(frozen=True)
class TrackerSettings:
    """Settings of a :class:`Tracker`; a value that is not allowed raises :class:`ConfigError`.

    Scores are those of the network, from 0 to 1.

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

    window_weight: float = setting(
        0.3, 0.0, 1.0,
        help="Weight of being near the last position when candidates are compared; the rest is "
        "the weight of their score.",
    )  # fmt: skip
    scale_penalty: float = setting(
        0.15, 0.0, 2.0,
        help="How strongly a change of size or aspect ratio counts against a candidate.",
    )  # fmt: skip
    size_update: float = setting(
        0.7, 0.05, 1.0, old_name="size_smoothing",
        help="Share of a new size that is taken over at once if the score is 1; less at lower "
        "scores.",
    )  # fmt: skip
    tracking_score: float = setting(
        0.5, 0.0, 1.0, help="Score from which a target counts as tracked."
    )
    lost_score: float = setting(
        0.2, 0.0, 1.0,
        help="Below this score a target stays where it was last seen; at most `tracking_score`.",
    )  # fmt: skip
    # A hundred windows have a hundred chances to be wrong, so it is above tracking_score.
    redetect_score: float = setting(
        0.7, 0.0, 1.0, old_name="research_score",
        help="Score from which a place that the search of the whole frame found is watched.",
    )  # fmt: skip
    # An object that only resembles the target scores less than the target itself.
    recover_share: float = setting(
        0.95, 0.0, 1.0,
        help="Share of its usual score from which a target is believed again after it was not "
        "tracked, or where its box jumped; 0: `tracking_score` is enough.",
    )  # fmt: skip
    recover_frames: int = setting(
        2, 1, 100,
        help="A target is believed again after it was seen at one place on this many images in a "
        "row.",
    )  # fmt: skip
    lost_frames: int = setting(
        8, 1, 1000,
        help="A target is lost after this many images in a row below `lost_score`.",
    )  # fmt: skip
    # The network was trained on objects of 0.7 to 1.4 times their nominal size and fails beyond.
    max_search_growth: float = setting(
        1.25, 1.0, 4.0,
        help="Largest factor by which the search window grows while a target is uncertain.",
    )  # fmt: skip
    redetect_crops: int = setting(
        4, 0, 64, old_name="research_crops",
        help="Windows of the whole frame that are searched per image for all lost targets "
        "together, fewer while images are being skipped; 0: the whole frame is not searched.",
    )  # fmt: skip
    redetect_period_s: float = setting(
        1.0, 0.1, 60.0, old_name="research_period_s",
        help="Seconds within which the whole frame is searched once, if `redetect_crops` allows "
        "it.",
    )  # fmt: skip
    min_box_px: float = setting(
        4.0, 1.0, 1000.0, help="Shortest allowed side of an init box inside the image, in pixels."
    )
    full_rate_targets: int = setting(
        4, 0, 256,
        help="Up to this many targets are all searched for on every image. Of more, those that "
        "move evenly and are seen well are searched for on every other image and moved by their "
        "motion on the images between; not on a GPU, where more targets cost little.",
    )  # fmt: skip
    max_targets: int = setting(16, 1, 256, help="Largest number of targets at a time.")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.lost_score > self.tracking_score:
            raise ConfigError(
                f"lost_score is {self.lost_score}; it must not exceed tracking_score, "
                f"{self.tracking_score}"
            )
