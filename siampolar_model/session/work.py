"""The pieces of work that a session does, one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry.region import Region
from ..tracking.settings import TrackerSettings
from .history import Entry
from .requests import Pending


@dataclass(frozen=True, eq=False)
class StartTarget:
    """Start a target, or start it again.

    Attributes:
        entry: the image that it was pointed at.
        region: in image pixels; a box is clipped to the image.
        pending: the request, if it is answered only after the start was tried; else None.
    """

    id: int
    entry: Entry
    region: Region
    pending: Pending | None = None


@dataclass(frozen=True)
class RemoveTargets:
    """Stop following targets on request."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class ChangeSettings:
    """Swap the tracker's settings as a whole."""

    settings: TrackerSettings


@dataclass(frozen=True, eq=False)
class TrackLive:
    """Find all targets that keep up with the stream on its newest image.

    Attributes:
        skipped: images of the stream that were skipped since the last live one.
    """

    entry: Entry
    skipped: int


@dataclass(frozen=True, eq=False)
class TrackLate:
    """Find targets that catch up with the stream on an image of the history."""

    entry: Entry
    ids: tuple[int, ...]


#: What a caller asked for.
Command = StartTarget | RemoveTargets | ChangeSettings

Work = Command | TrackLive | TrackLate
