"""Limits of a session: how long it keeps images and waits."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import check_settings, setting


@dataclass(frozen=True)
class SessionSettings:
    """Settings of a :class:`Session`; a value that is not allowed raises :class:`ConfigError`.

    Example:
        >>> from siampolar_model import SessionSettings
        >>> SessionSettings(history_s=2.0, lost_timeout_s=0).history_s
        2.0
    """

    history_s: float = setting(
        5.0, 0.0, 60.0, help="Seconds of images that are kept for inits that arrive late."
    )
    history_mb: float = setting(
        256.0, 0.0, 16384.0,
        help="Limit of the memory for those images, in megabytes (10^6 bytes).",
    )  # fmt: skip
    catch_up_frames: int = setting(
        2, 1, 100,
        help="Kept images that are worked off for late inits before a waiting live image.",
    )  # fmt: skip
    hold_init_s: float = setting(
        2.0, 0.0, 60.0, help="Seconds that an init waits for its image before it is refused."
    )
    lost_timeout_s: float = setting(
        30.0, 0.0, 86400.0,
        help="Seconds of images after which a lost target is dropped; 0: never.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
