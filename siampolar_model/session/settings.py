"""Bounds of a session."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import check_ranges

#: Allowed range of every session setting, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "history_s": (0.0, 60.0),
    "history_mb": (0.0, 16384.0),
    "catch_up_frames": (1, 100),
    "hold_init_s": (0.0, 60.0),
    "lost_timeout_s": (0.0, 86400.0),
}


@dataclass(frozen=True)
class SessionSettings:
    """Ranges stand in :data:`SETTING_RANGES`.

    Attributes:
        history_s: seconds of images kept for inits that arrive late.
        history_mb: and at most so many megabytes (10**6 bytes) of them.
        catch_up_frames: history images worked off for late inits before a waiting live image.
        hold_init_s: seconds an init waits for its image before it is refused.
        lost_timeout_s: seconds after which a lost target is dropped; 0: never.

    Example:
        >>> from siampolar_model import SessionSettings
        >>> SessionSettings(history_s=2.0, lost_timeout_s=0).history_s
        2.0
    """

    history_s: float = 5.0
    history_mb: float = 256.0
    catch_up_frames: int = 2
    hold_init_s: float = 2.0
    lost_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        check_ranges(self, SETTING_RANGES)
