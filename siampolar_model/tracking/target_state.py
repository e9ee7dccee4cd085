"""The state of one target, and how one image changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from ..results import Target, TargetState
from .search_crop import Candidate
from .settings import TrackerSettings

#: Factor by which the search window grows on every uncertain image.
_GROWTH_PER_FRAME = 1.1

#: Boxes that overlap by at least this IoU are taken for the same object.
_SAME_OBJECT = 0.5

#: Share of an unforeseen step that counts as a change of the velocity.
_VELOCITY_GAIN = 0.5

#: Weight of a new score in the usual score, while tracking and while uncertain. The second is above
#: 0 so that a target whose looks have changed for good is believed again after some seconds.
_USUAL_RATE, _USUAL_RATE_UNCERTAIN = 1 / 10, 1 / 150


@dataclass(frozen=True, eq=False)
class TrackedTarget:
    """A target after its last image.

    Attributes:
        result: the last result; its box is the last position that was believed.
        image_size: width and height of the target's images.
        value_range: see :meth:`siampolar_model.images.frame.Frame.value_range`.
        usual_score: mean of the last scores while tracking; 0 before the first one.
        growth: side of the search window, as a multiple of its nominal side.
        low_frames: how many of the most recent images in a row scored below ``lost_score``.
        doubt_frames: on how many of the most recent images in a row it was not tracked.
        seen_frames: how many of the most recent images in a row scored at least
            :meth:`recover_score`, while not tracked.
        unconfirmed: another place where it may be, which is watched for ``recover_frames`` images
            before it is believed; only while not tracked.
        unconfirmed_frames: images in a row on which it was seen there.
        crops_searched: crops spent on searching the whole frame since it was last tracked.
        velocity_xy: pixels per image, smoothed.
        steadiness: IoU of the box that its motion predicted with the one that the last search
            found; 0 before the second search and while it is not tracked.
        rested: it was moved by its motion on the last image, and not searched for.
        crops_due: crops that ``redetect_period_s`` asks for and that were not searched yet.
    """

    result: Target
    image_size: tuple[int, int]
    value_range: tuple[float, float] | None
    usual_score: float = 0.0
    growth: float = 1.0
    low_frames: int = 0
    doubt_frames: int = 0
    seen_frames: int = 0
    unconfirmed: Target | None = None
    unconfirmed_frames: int = 0
    crops_searched: int = 0
    crops_due: float = 0.0
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    steadiness: float = 0.0
    rested: bool = False

    @property
    def expected_box(self) -> Box:
        """Where its motion has it on the next image, in the size that was last believed."""
        box = self.result.box
        (x, y), (dx, dy) = box.center_xy, self.velocity_xy
        return _keep_inside((x + dx, y + dy), box.width, box.height, *self.image_size)

    def moved(self) -> TrackedTarget:
        """The target after an image that it was not searched for on: its motion moves it."""
        before, box = self.result.box, self.expected_box
        dx, dy = box.x1 - before.x1, box.y1 - before.y1

        def shifted(one: Box) -> Box:
            return Box(one.x1 + dx, one.y1 + dy, one.x2 + dx, one.y2 + dy)

        outline = self.result.polygon_xy + np.array([dx, dy], np.float32)
        result = replace(
            self.result,
            box=box,
            polygon_xy=polar.clip_polygon(outline, *self.image_size),
            soft_mask=self.result.soft_mask and self.result.soft_mask.moved(shifted),
        )
        return replace(self, result=result, rested=True)

    @property
    def lost(self) -> bool:
        return self.result.state == TargetState.LOST

    def searching(self, settings: TrackerSettings) -> bool:
        """Whether the whole frame is searched: it is lost, or not tracked for ``lost_frames``."""
        doubted = self.lost or self.doubt_frames >= settings.lost_frames
        return doubted and self.unconfirmed is None

    def recover_score(self, settings: TrackerSettings) -> float:
        """The score from which it is believed again; a similar object scores less than that."""
        return max(settings.tracking_score, settings.recover_share * self.usual_score)

    def after(
        self, candidates: Sequence[Candidate], settings: TrackerSettings, others: Sequence[Target]
    ) -> TrackedTarget:
        """The target after one image.

        Args:
            candidates: the best candidate of each of its crops, at least one. The first one is of
                the crop around its last position, unless the target is lost.
            others: targets tracked on this image. A candidate elsewhere that overlaps one of
                these is not this target.
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
            return replace(now, unconfirmed=None, unconfirmed_frames=0)
        place = max(places, key=lambda place: place.score)
        frames = self.unconfirmed_frames + 1
        if frames < settings.recover_frames:
            return replace(now, unconfirmed=place, unconfirmed_frames=frames)
        return TrackedTarget(place, self.image_size, self.value_range, self.usual_score)

    def _follow(self, candidate: Candidate, settings: TrackerSettings) -> TrackedTarget:
        """The target after the candidate around its last position was believed or not."""
        score = candidate.score
        low_frames = self.low_frames + 1 if score < settings.lost_score else 0
        seen_frames = self.seen_frames + 1 if score >= self.recover_score(settings) else 0
        if self.result.state == TargetState.TRACKING:
            # A sudden jump must score as much as a target that was lost and is found again.
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
            expected = self.expected_box
            gain = _VELOCITY_GAIN / (2 if self.rested else 1)
            (x, y), (foreseen_x, foreseen_y) = result.box.center_xy, expected.center_xy
            vx, vy = self.velocity_xy
            return TrackedTarget(
                result,
                self.image_size,
                self.value_range,
                usual_score,
                growth,
                velocity_xy=(vx + gain * (x - foreseen_x), vy + gain * (y - foreseen_y)),
                steadiness=expected.iou(result.box),
            )
        doubted = replace(
            self,
            velocity_xy=(0.0, 0.0),
            steadiness=0.0,
            rested=False,
            growth=growth,
            low_frames=low_frames,
            doubt_frames=self.doubt_frames + 1,
            seen_frames=seen_frames,
        )
        if score < settings.lost_score:
            # Following a wrong object would lose the right one, so the position is kept.
            return doubted._stay(state, candidate)
        usual_score = self.usual_score + (score - self.usual_score) * _USUAL_RATE_UNCERTAIN
        result = self._at(candidate, state, settings)
        return replace(doubted, result=result, usual_score=usual_score)

    def _stay(self, state: TargetState, candidate: Candidate) -> TrackedTarget:
        result = replace(self.result, state=state, score=candidate.score, quality=0.0)
        return replace(self, result=result)

    def _at(self, candidate: Candidate, state: TargetState, settings: TrackerSettings) -> Target:
        """The result if a candidate is believed: its position, and its smoothed size."""
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
            soft_mask=candidate.mask and candidate.mask.moved(window.box_to_image),
        )


def _is_other(place: Target, others: Sequence[Target]) -> bool:
    """Whether another object was found at a place, with at least the same score."""
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
