"""How the stream of images is doing, as a level and a reason; does not know ROS."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

#: A stream has stalled after this many seconds without an image ...
_STALLED_S = 2.0
#: ... and this many times the usual time between its images.
_STALLED_PERIODS = 5

#: Seconds that the first image may take: cameras and nodes find each other and start.
_FIRST_S = 5.0

#: A publisher counts as present for this many seconds after its last image, discovered or not.
_GONE_S = 1.0

#: Rates and losses are counted over this many seconds.
_WINDOW_S = 5.0

#: Of the images that were sent, the share that must arrive: below the first one the stream is
#: broken, below the second one the loss is worth a warning.
_BROKEN_SHARE, _LOSSY_SHARE = 0.5, 0.9

#: Losses are judged from this number of images on.
_LEAST_SENT = 4

PROFILE_ADVICE = (
    "large images need the Fast DDS profile config/fastdds.xml at both ends "
    "(FASTDDS_DEFAULT_PROFILES_FILE; on Humble and Jazzy FASTRTPS_DEFAULT_PROFILES_FILE)"
)


class Level(IntEnum):
    """Values of ``diagnostic_msgs/DiagnosticStatus.level``."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Counts:
    """What was seen of a stream since it was subscribed to.

    Attributes:
        received: images that arrived, including refused ones.
        refused: of those, images that could not be read.
        lost: images that the middleware reports as sent but never received.
        announced: messages of ``camera_info``; a camera sends one with each image. They are taken
            as best effort and may be fewer than the images.
    """

    received: int = 0
    refused: int = 0
    lost: int = 0
    announced: int = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.received - other.received,
            self.refused - other.refused,
            self.lost - other.lost,
            self.announced - other.announced,
        )


@dataclass(frozen=True)
class Verdict:
    """A level and why."""

    level: Level
    reason: str


class StreamHealth:
    """Counts what arrives on one topic and rates it. Usable from several threads.

    Args:
        topic: the topic's full name, for the reasons.
        clock: seconds.
    """

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._counts = Counts()
        self._samples: deque[tuple[float, Counts]] = deque([(self._began, self._counts)])
        self._arrivals: deque[float] = deque(maxlen=16)
        self._refusal = ""
        self._publishers = 0
        self._other_types: tuple[str, ...] = ()
        self._neighbour = ""
        self._incompatible = ""

    @property
    def counts(self) -> Counts:
        with self._lock:
            return self._counts

    def received(self) -> None:
        """An image arrived."""
        with self._lock:
            self._arrivals.append(self._clock())
            self._counts = replace(self._counts, received=self._counts.received + 1)

    def refused(self, reason: str) -> None:
        """One of those that arrived could not be read."""
        with self._lock:
            self._refusal = reason
            self._counts = replace(self._counts, refused=self._counts.refused + 1)

    def lost(self, images: int) -> None:
        with self._lock:
            self._counts = replace(self._counts, lost=self._counts.lost + images)

    def announced(self) -> None:
        """The camera announced that it sent an image."""
        with self._lock:
            self._counts = replace(self._counts, announced=self._counts.announced + 1)

    def set_publishers(
        self, matching: int, other_types: tuple[str, ...] = (), neighbour: str = ""
    ) -> None:
        """What is known of the publishers.

        Args:
            matching: how many publish this topic with the right type.
            other_types: the other types published under its name.
            neighbour: the topic of another transport of the same images, if that has a publisher,
                and what to do about it.
        """
        with self._lock:
            self._publishers, self._other_types = matching, other_types
            self._neighbour = neighbour
            if not matching:
                self._incompatible = ""

    def set_incompatible(self, reason: str) -> None:
        """A publisher offers less than the subscription asks for; empty if none does any more."""
        with self._lock:
            self._incompatible = reason

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last image if the stream has stalled, else None."""
        with self._lock:
            return self._silent_s()

    def recent(self) -> tuple[Counts, float]:
        """What was counted over the last seconds, and over how many seconds."""
        with self._lock:
            now = self._clock()
            self._samples.append((now, self._counts))
            while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_S:
                self._samples.popleft()
            then, counts = self._samples[0]
            return self._counts - counts, now - then

    def judge(self) -> Verdict:
        """The worst problem of the stream at this moment."""
        counts, seconds = self.recent()
        with self._lock:
            return self._judge(counts, seconds)

    def _judge(self, counts: Counts, seconds: float) -> Verdict:
        topic, ever = self._topic, self._counts.received
        early = self._clock() - self._began <= _FIRST_S
        silent_s = self._silent_s()
        if not self._publishers and self._other_types:
            return Verdict(Level.ERROR, self._wrong_type())
        if self._incompatible and (silent_s is not None or not ever):
            return Verdict(Level.ERROR, self._incompatible)
        if not self._publishers and self._neighbour:
            return Verdict(Level.ERROR, f"nobody publishes images on {topic}, {self._neighbour}")
        if not self._publishers and not ever:
            level = Level.OK if early else Level.WARN
            return Verdict(level, f"nobody publishes images on {topic} yet")
        waited_s = self._clock() - self._arrivals[-1] if ever else 0.0
        if not self._publishers and waited_s > _GONE_S:
            return Verdict(
                Level.ERROR,
                f"nobody publishes on {topic} any more; last image {waited_s:.1f} s ago",
            )
        sent = max(counts.received + counts.lost, counts.announced)
        # One may still be on its way, and of a few images that one is a large share.
        arrived = counts.received + 1 if sent >= _LEAST_SENT else sent
        if arrived < sent * _BROKEN_SHARE:
            return Verdict(Level.ERROR, self._lossy(counts.received, sent, seconds))
        if not ever and not early:
            return Verdict(
                Level.WARN,
                f"{self._publishers} publisher(s) on {topic} but no image yet; if they do send, "
                "the images are lost on the way: " + PROFILE_ADVICE,
            )
        if silent_s is not None:
            return Verdict(Level.ERROR, f"no image on {topic} for {silent_s:.1f} s")
        if counts.refused:
            return Verdict(
                Level.WARN,
                f"{counts.refused} of {counts.received} images on {topic} refused in "
                f"{seconds:.0f} s: {self._refusal}",
            )
        if self._incompatible:
            return Verdict(Level.WARN, self._incompatible)
        if arrived < sent * _LOSSY_SHARE:
            return Verdict(Level.WARN, self._lossy(counts.received, sent, seconds))
        if not ever:
            return Verdict(Level.OK, f"waiting for the first image on {topic}")
        return Verdict(Level.OK, f"{counts.received / max(seconds, 1e-3):.1f} images per second")

    def _lossy(self, received: int, sent: int, seconds: float) -> str:
        return (
            f"{received} of {sent} images on {self._topic} arrived in {seconds:.0f} s; "
            + PROFILE_ADVICE
        )

    def _wrong_type(self) -> str:
        types = " and ".join(self._other_types)
        text = f"{self._topic} carries {types}"
        if "sensor_msgs/msg/CompressedImage" in self._other_types:
            return text + "; set image_transport to compressed"
        if "sensor_msgs/msg/Image" in self._other_types:
            return text + "; set image_transport to raw"
        return text + ", not images"

    def _silent_s(self) -> float | None:
        if not self._arrivals:
            return None
        silent_s = self._clock() - self._arrivals[-1]
        intervals = [b - a for a, b in itertools.pairwise(self._arrivals)]
        usual_s = statistics.median(intervals) if intervals else 0.0
        return silent_s if silent_s > max(_STALLED_S, _STALLED_PERIODS * usual_s) else None
