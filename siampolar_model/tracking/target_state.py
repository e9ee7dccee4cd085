"""What a tracker knows of one target, and how one image changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from ..results import Target, TargetState
from .search_crop import Candidate
from .settings import TrackerSettings

#: How much the search window grows with every uncertain image.
_GROWTH_PER_FRAME = 1.1

#: Boxes that overlap so much (IoU) are taken for the same object.
_SAME_OBJECT = 0.5

#: Share of a new score in the usual one: while tracking, and while uncertain, so that a target that
#: looks different for good is believed again after some seconds.
_USUAL_RATE, _USUAL_RATE_UNCERTAIN = 1 / 10, 1 / 150


@dataclass(frozen=True, eq=False)
class TrackedTarget:
    """What is known after the last image.

    Attributes:
        result: what was said; its box is where the target was last believed to be.
        image_size: width and height of its images.
        value_range: see :meth:`Frame.value_range`.
        usual_score: mean of the last scores while tracking; 0: not tracked yet.
        growth: of the search window, times its nominal side.
        low_frames: images in a row below ``lost_score``.
        doubt_frames: images in a row on which it was not tracked.
        seen_frames: and of those the last ones in a row with ``recover_score``.
        sighting: where it may be as well, not yet confirmed; only while not tracked.
        good_frames: images in a row on which the sighting was seen.
        turn: looks at the whole frame so far, since it was tracked last.
        owed: looks that ``redetect_period_s`` asks for and that were not taken yet.
    """

    result: Target
    image_size: tuple[int, int]
    value_range: tuple[float, float] | None
    usual_score: float = 0.0
    growth: float = 1.0
    low_frames: int = 0
    doubt_frames: int = 0
    seen_frames: int = 0
    sighting: Target | None = None
    good_frames: int = 0
    turn: int = 0
    owed: float = 0.0

    @property
    def lost(self) -> bool:
        return self.result.state == TargetState.LOST

    def searching(self, settings: TrackerSettings) -> bool:
        """Whether it may be anywhere: it is lost, or uncertain for as long as that takes."""
        doubted = self.lost or self.doubt_frames >= settings.lost_frames
        return doubted and self.sighting is None

    def recover_score(self, settings: TrackerSettings) -> float:
        """The score from which it is believed again: something alike scores less than usual."""
        return max(settings.tracking_score, settings.recover_share * self.usual_score)

    def after(
        self, candidates: Sequence[Candidate], settings: TrackerSettings, others: Sequence[Target]
    ) -> TrackedTarget:
        """The target after one image.

        Args:
            candidates: what its looks found, at least one; unless it is lost, the first is the one
                that it is followed in.
            others: targets being tracked on this image; elsewhere, it cannot be what they are.
        """
        if self.lost:
            best = max(candidates, key=lambda candidate: candidate.score)
            now, elsewhere = self._stay(TargetState.LOST, best), candidates
        else:
            now, elsewhere = self._follow(candidates[0], settings), candidates[1:]
            if now.result.state == TargetState.TRACKING:
                return now
        # A place that looks right is watched for some images before it is believed.
        places = [
            self._at(candidate, TargetState.TRACKING, settings)
            for candidate in elsewhere
            if candidate.score >= candidate.search_crop.least_score
        ]
        places = [
            place
            for place in places
            if not _is_other(place, others) and (self.lost or not _is_other(place, [now.result]))
        ]
        if not places:
            return replace(now, sighting=None, good_frames=0)
        place = max(places, key=lambda place: place.score)
        good_frames = self.good_frames + 1
        if good_frames < settings.recover_frames:
            return replace(now, sighting=place, good_frames=good_frames)
        return TrackedTarget(place, self.image_size, self.value_range, self.usual_score)

    def _follow(self, candidate: Candidate, settings: TrackerSettings) -> TrackedTarget:
        """Believe what is seen where it is expected, or not."""
        score = candidate.score
        low_frames = self.low_frames + 1 if score < settings.lost_score else 0
        seen_frames = self.seen_frames + 1 if score >= self.recover_score(settings) else 0
        if self.result.state == TargetState.TRACKING:
            # What is seen elsewhere all at once must look as much like it as after a loss.
            seen = candidate.search_crop.window.box_to_image(candidate.box)
            jumped = self.result.box.iou(seen) < _SAME_OBJECT
            least = self.recover_score(settings) if jumped else settings.tracking_score
            believed = score >= least
        else:
            believed = seen_frames >= settings.recover_frames
        if low_frames >= settings.lost_frames:
            state = TargetState.LOST
        else:
            state = TargetState.TRACKING if believed else TargetState.UNCERTAIN
        growth = 1.0 if score >= settings.tracking_score else self.growth * _GROWTH_PER_FRAME
        growth = min(growth, settings.max_search_growth)
        if state == TargetState.TRACKING:
            rate = _USUAL_RATE if self.usual_score else 1.0
            usual_score = self.usual_score + (score - self.usual_score) * rate
            result = self._at(candidate, state, settings)
            return TrackedTarget(result, self.image_size, self.value_range, usual_score, growth)
        doubted = replace(
            self,
            growth=growth,
            low_frames=low_frames,
            doubt_frames=self.doubt_frames + 1,
            seen_frames=seen_frames,
        )
        if score < settings.lost_score:
            # Following a wrong object would lose the right one: stay where it was last seen.
            return doubted._stay(state, candidate)
        usual_score = self.usual_score + (score - self.usual_score) * _USUAL_RATE_UNCERTAIN
        result = self._at(candidate, state, settings)
        return replace(doubted, result=result, usual_score=usual_score)

    def _stay(self, state: TargetState, candidate: Candidate) -> TrackedTarget:
        result = replace(self.result, state=state, score=candidate.score, quality=0.0)
        return replace(self, result=result)

    def _at(self, candidate: Candidate, state: TargetState, settings: TrackerSettings) -> Target:
        """The result if a candidate is believed: its place at once, its size smoothed."""
        image_w, image_h = self.image_size
        window, search_crop = candidate.search_crop.window, candidate.search_crop
        seen = window.box_to_image(candidate.box)
        rate = settings.size_smoothing * candidate.score
        box = _keep_inside(
            seen.center_xy,
            search_crop.width + (seen.width - search_crop.width) * rate,
            search_crop.height + (seen.height - search_crop.height) * rate,
            image_w,
            image_h,
        )
        center = window.points_to_image(candidate.center_xy)
        center_xy = (float(center[0]), float(center[1]))
        rays_px = np.maximum(candidate.rays_px / np.float32(window.scale), polar.MIN_RAY_PX)
        outline = polar.clip_polygon(polar.polygon(center_xy, rays_px), image_w, image_h)
        return Target(
            self.result.id,
            state,
            candidate.score,
            candidate.quality,
            box,
            outline,
        )


def _is_other(place: Target, others: Sequence[Target]) -> bool:
    """Whether a place is where something else was found, with no lower score."""
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
