"""What the times of a video's frames tell about frames that are missing or repeated."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

from ..errors import counted

# Containers whose header says how long a video is; of others FFmpeg guesses it.
_WITH_LENGTH = ("mov", "matroska", "avi", "flv", "asf")

# A frame may come this many periods late before one is missing.
_LATE = 0.75

# More gaps than one in three frames, or more than a fifth of the times between frames that are no
# multiple of the usual one, to a quarter of it: the rate varies on purpose, as phones do it.
_FRAMES_PER_GAP = 3
_UNEVEN, _UNEVEN_SHARE = 0.25, 0.2


class FrameTimes:
    """Takes the frames of a video in order and tells where some are missing.

    Args:
        period_s: nominal seconds from one frame to the next, for frames that do not say.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._frames = self._gaps = self._missing = self._back = 0
        self._expected_s: float | None = None  # when the next frame is due
        self._last_s: float | None = None
        self._between_s: list[float] = []
        self._end_s = 0.0

    def take(self, frame: Any) -> None:
        """Add a decoded frame."""
        self._frames += 1
        if frame.pts is None or frame.time_base is None:
            self._expected_s = None
            return
        time_s = float(frame.pts * frame.time_base)
        # Older releases of PyAV do not tell how long a frame lasts.
        lasts_s = float((getattr(frame, "duration", 0) or 0) * frame.time_base) or self._period_s
        if self._expected_s is not None and time_s > self._expected_s + _LATE * lasts_s:
            self._gaps += 1
            self._missing += max(1, round((time_s - self._expected_s) / lasts_s))
        if self._last_s is not None:
            self._back += time_s <= self._last_s
            self._between_s.append(time_s - self._last_s)
        self._last_s = time_s
        self._expected_s = time_s + lasts_s
        self._end_s = max(self._end_s, self._expected_s)

    def missing(self, length_s: float | None, known: int) -> list[str]:
        """One text each for gaps, steps back and a missing end; empty for a whole video.

        Args:
            length_s: when the video ends by its header, see :func:`length_s`.
            known: missing frames that have been told already.
        """
        reasons = []
        if self._missing > known and not self._varies():
            reasons.append(
                f"missing by the times of its frames: about {counted(self._missing, 'frame')}, in "
                f"{counted(self._gaps, 'place')}"
            )
        if self._back:
            reasons.append(f"{counted(self._back, 'frame')} not later than the one before")
        if length_s == 0:
            reasons.append(
                "does not say how long it is, as if its recorder had been stopped; a missing end "
                "would not be seen"
            )
        elif length_s is not None and length_s > self._end_s + _LATE * self._period_s:
            reasons.append(
                f"ends after {self._end_s:.2f} s, but lasts {length_s:.2f} s by its header"
            )
        return reasons

    def _varies(self) -> bool:
        if self._gaps * _FRAMES_PER_GAP > self._frames:
            return True
        between_s = np.array(self._between_s)
        multiples = between_s / np.median(between_s[between_s > 0])
        return bool((abs(multiples - np.round(multiples)) > _UNEVEN).mean() > _UNEVEN_SHARE)


def length_s(container: Any, stream: Any) -> float | None:
    """When a video stream ends by the file's header, in seconds as its frames count them.

    Returns:
        None for a kind of file that never says; 0 if the header of another one does not.
    """
    if not container.format.name.startswith(_WITH_LENGTH):
        return None
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration and all(one.type == "video" for one in container.streams):
        return float(((container.start_time or 0) + container.duration) / av.time_base)
    return 0.0
