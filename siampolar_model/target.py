"""What a tracker knows of one target, and how one image changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import polar
from .results import Box, TrackResult, TrackState
from .sight import Sight
from .tracker_settings import TrackerSettings

#: How much the search window grows with every uncertain image.
_GROWTH_PER_FRAME = 1.1

#: Boxes that overlap so much (IoU) are taken for the same object.
_SAME_OBJECT = 0.5


@dataclass(frozen=True, eq=False)
class Target:
    """What is known after the last image.

    Attributes:
        result: what was said; its box is where the target was last believed to be.
        image_size: width and height of its images.
        value_range: see :meth:`Frame.value_range`.
        growth: of the search window, times its nominal side.
        low_frames: images in a row below ``lost_score``.
        good_frames: images in a row at ``tracking_score``.
        sighting: while lost: where it may be again, not yet confirmed.
        turn: while lost: looks taken so far.
        owed: while lost: looks that ``research_period_s`` asks for and that were not taken yet.
    """

    result: TrackResult
    image_size: tuple[int, int]
    value_range: tuple[float, float] | None
    growth: float = 1.0
    low_frames: int = 0
    good_frames: int = 0
    sighting: TrackResult | None = None
    turn: int = 0
    owed: float = 0.0

    @property
    def lost(self) -> bool:
        return self.result.state == TrackState.LOST

    @property
    def searching(self) -> bool:
        """Whether it may be anywhere."""
        return self.lost and self.sighting is None

    def after(
        self, sights: Sequence[Sight], settings: TrackerSettings, others: Sequence[TrackResult]
    ) -> Target:
        """The target after one image.

        Args:
            sights: what its looks found, at least one; one only unless it is lost.
            others: targets being tracked on this image; a lost one cannot be what they are.
        """
        if self.lost:
            return self._after_lost(sights, settings, others)
        (sight,) = sights
        score = sight.score
        low_frames = self.low_frames + 1 if score < settings.lost_score else 0
        if low_frames >= settings.lost_frames:
            state = TrackState.LOST
        elif score >= settings.tracking_score:
            state = TrackState.TRACKING
        else:
            state = TrackState.UNCERTAIN
        growth = 1.0 if state == TrackState.TRACKING else self.growth * _GROWTH_PER_FRAME
        counted = replace(
            self, growth=min(growth, settings.max_search_growth), low_frames=low_frames
        )
        if score < settings.lost_score:
            # Following a wrong object would lose the right one: stay where it was last seen.
            return counted._stay(state, sight)
        return replace(counted, result=self._at(sight, state, settings))

    def _after_lost(
        self, sights: Sequence[Sight], settings: TrackerSettings, others: Sequence[TrackResult]
    ) -> Target:
        """A place that looks right is watched for some images before it is believed."""
        best = max(sights, key=lambda sight: sight.score)
        places = [
            self._at(sight, TrackState.TRACKING, settings)
            for sight in sights
            if sight.score >= sight.look.least_score
        ]
        places = [place for place in places if not _is_other(place, others)]
        if not places:
            return replace(self._stay(TrackState.LOST, best), sighting=None, good_frames=0)
        place = max(places, key=lambda place: place.score)
        good_frames = self.good_frames + 1
        if good_frames < settings.recover_frames:
            kept = self._stay(TrackState.LOST, best)
            return replace(kept, sighting=place, good_frames=good_frames)
        return Target(place, self.image_size, self.value_range)

    def _stay(self, state: TrackState, sight: Sight) -> Target:
        result = replace(self.result, state=state, score=sight.score, quality=0.0)
        return replace(self, result=result)

    def _at(self, sight: Sight, state: TrackState, settings: TrackerSettings) -> TrackResult:
        """The result if a sight is believed: its place at once, its size smoothed."""
        image_w, image_h = self.image_size
        window, look = sight.look.window, sight.look
        seen = window.box_to_image(sight.box)
        rate = settings.size_smoothing * sight.score
        box = _keep_inside(
            seen.center_xy,
            look.width + (seen.width - look.width) * rate,
            look.height + (seen.height - look.height) * rate,
            image_w,
            image_h,
        )
        center = window.points_to_image(sight.center_xy)
        center_xy = (float(center[0]), float(center[1]))
        rays_px = np.maximum(sight.rays_px / np.float32(window.scale), polar.MIN_RAY_PX)
        outline = polar.clip_polygon(polar.polygon(center_xy, rays_px), image_w, image_h)
        return TrackResult(
            self.result.id, state, sight.score, sight.quality, box, center_xy, rays_px, outline
        )


def _is_other(place: TrackResult, others: Sequence[TrackResult]) -> bool:
    return any(
        other.box.iou(place.box) > _SAME_OBJECT and other.score >= place.score for other in others
    )


def _keep_inside(
    center_xy: tuple[float, float], width: float, height: float, image_w: int, image_h: int
) -> Box:
    """A box whose centre stays in the image and whose sides stay between 2 px and the image's."""
    cx = min(max(center_xy[0], 0.0), float(image_w))
    cy = min(max(center_xy[1], 0.0), float(image_h))
    return Box.from_center(cx, cy, min(max(width, 2.0), image_w), min(max(height, 2.0), image_h))
