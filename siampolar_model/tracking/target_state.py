"""The state of one target, and how one image changes it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..geometry import polar
from ..geometry.box import Box
from ..results import Target, TargetState
from .claims import CLEAR, SPREAD, Claim
from .confidence import Calibration, Evidence, risk_after_return, risk_later
from .motion import Motion
from .search_crop import AGREE, Candidate
from .settings import TrackerSettings

#: Factor by which the search window grows on every uncertain image.
_GROWTH_PER_FRAME = 1.1

#: Boxes that overlap by at least this IoU are taken for the same object.
_SAME_OBJECT = 0.5

#: A target of less than this share of the area that it started with is not believed any longer.
_LEAST_AREA = 0.1

#: After this many images in a row without tracking, doubt is full.
_DOUBT_FRAMES = 8

#: Confidence from which a target is tracked, and below which it is no longer.
TRACKING_CONFIDENCE, _TRUSTED_STILL = 0.5, 0.4

#: The excess of a target's usual size over its present one falls to 1/e in this many seconds, so
#: the usual size is still known after something has passed in front of the target.
_SIZE_S = 4.0

_NO_EVIDENCE = Evidence()

#: By how much the score of a lost target must exceed that of another target to take its place.
_TAKES_OVER = 0.15

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
        motion: where its middle is expected, and how fast it is.
        start_box: the box that it was started from.
        usual_size: the largest width and height of the last seconds in which it was tracked.
        calibration: what makes a confidence of evidence.
        alike: ids of the other targets that it looks like: each was found for both.
        usual_score: mean of the last scores while tracking; 0 before the first one.
        evidence: what the last image says about it.
        predicted_box: where it was expected on the last image.
        mistaken: the risk that it has been an alike thing since it was out of sight.
        trusted: whether its confidence is enough for being tracked.
        ambiguous: whether something else might have been it since it was last tracked.
        growth: side of the search window, as a multiple of its nominal side.
        low_frames: how many of the most recent images in a row scored below ``lost_score``.
        doubt_frames: on how many of the most recent images in a row it was not tracked.
        seen_frames: how many of the most recent images in a row scored at least
            :meth:`recover_score`, while not tracked.
        unconfirmed: another place where it may be, which is watched for ``recover_frames`` images
            before it is believed; only while not tracked.
        unconfirmed_frames: images in a row on which it was seen there.
        crops_searched: crops spent on searching the whole frame since it was last tracked.
        steadiness: IoU of the box that its motion predicted with the one that the last search
            found; 0 before the second search and while it is not tracked.
        rested: it was moved by its motion on the last image, and not searched for.
        crops_due: crops that ``redetect_period_s`` asks for and that were not searched yet.
    """

    result: Target
    image_size: tuple[int, int]
    value_range: tuple[float, float] | None
    motion: Motion
    start_box: Box
    usual_size: tuple[float, float]
    calibration: Calibration
    alike: frozenset[int] = frozenset()
    usual_score: float = 0.0
    evidence: Evidence = _NO_EVIDENCE
    predicted_box: Box | None = None
    mistaken: float = 0.0
    trusted: bool = True
    ambiguous: bool = False
    growth: float = 1.0
    low_frames: int = 0
    doubt_frames: int = 0
    seen_frames: int = 0
    unconfirmed: Target | None = None
    unconfirmed_frames: int = 0
    crops_searched: int = 0
    crops_due: float = 0.0
    steadiness: float = 0.0
    rested: bool = False

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

    @classmethod
    def starting(
        cls,
        result: Target,
        image_size: tuple[int, int],
        value_range: tuple[float, float] | None,
        calibration: Calibration,
    ) -> TrackedTarget:
        """A target before its second image."""
        box = result.box
        motion, size = Motion.starting(box), (box.width, box.height)
        return cls(result, image_size, value_range, motion, box, size, calibration)

    @property
    def lost(self) -> bool:
        return self.result.state == TargetState.LOST

    @property
    def tracking(self) -> bool:
        return self.result.state == TargetState.TRACKING

    @property
    def seen(self) -> bool:
        """Whether it was found on the last image, believed or not."""
        return not self.lost and self.low_frames == 0

    @property
    def expected_box(self) -> Box:
        """Where its motion has it, in the size that was last believed."""
        return self._box_at(self.motion)

    def _box_at(self, motion: Motion) -> Box:
        box = self.result.box
        return _keep_inside(motion.center_xy, box.width, box.height, *self.image_size)

    def later(self, elapsed_s: float) -> TrackedTarget:
        """What is expected on an image some seconds later."""
        box, size = self.result.box, self.usual_size
        if self.tracking:
            kept = math.exp(-elapsed_s / _SIZE_S)
            size = (
                box.width + max(size[0] - box.width, 0.0) * kept,
                box.height + max(size[1] - box.height, 0.0) * kept,
            )
        motion = self.motion.after(elapsed_s)
        return replace(
            self,
            motion=motion,
            mistaken=risk_later(self.mistaken, elapsed_s),
            usual_size=size,
            predicted_box=self._box_at(motion),
        )

    def searching(self, settings: TrackerSettings) -> bool:
        """Whether the whole frame is searched: it is lost, or not tracked for ``lost_frames``."""
        doubted = self.lost or self.doubt_frames >= settings.lost_frames
        return doubted and self.unconfirmed is None

    def recover_score(self, settings: TrackerSettings) -> float:
        """The score from which it is believed again; a similar object scores less than that."""
        return max(settings.tracking_score, settings.recover_share * self.usual_score)

    def after(
        self,
        claim: Claim | None,
        elsewhere: Sequence[Candidate],
        settings: TrackerSettings,
        others: Sequence[Target],
        rivals: Collection[Motion],
    ) -> TrackedTarget:
        """The target after one image.

        Args:
            claim: what it got of what was found around its expected place; None if it is lost.
            elsewhere: the best candidate of each of its other crops.
            others: targets that are seen on this image. A candidate elsewhere that overlaps one
                of these is not this target.
            rivals: where other targets that look like it and are not seen are expected. A place
                elsewhere that may be one of these is not believed.
        """
        if claim is None:
            best = max(elsewhere, key=lambda candidate: candidate.score)
            now = self._stay(TargetState.LOST, best.score, self.result.reason)
        else:
            now = self._follow(claim, settings)
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
            if not _is_other(place, others)
            and (self.lost or not _is_other(place, [now.result]))
            and not self._disputed(place, rivals)
            and not self._shrunk(place.box, settings)
        ]
        if not places:
            return replace(now, unconfirmed=None, unconfirmed_frames=0)
        place = max(places, key=lambda place: place.score)
        frames = self.unconfirmed_frames + 1
        if frames < settings.recover_frames:
            return replace(now, unconfirmed=place, unconfirmed_frames=frames)
        evidence = Evidence(score=place.score, doubt=1.0)
        return self._found(place, Motion.starting(place.box), self.usual_score, evidence)

    def _disputed(self, place: Target, rivals: Collection[Motion]) -> bool:
        """Whether a place is not clearly nearer to where it is expected than to a rival."""
        mine = self.motion.surprise(place.box, SPREAD)
        return any(rival.surprise(place.box, SPREAD) < mine + CLEAR for rival in rivals)

    def _found(
        self,
        result: Target,
        motion: Motion,
        usual_score: float,
        evidence: Evidence,
        steadiness: float = 0.0,
    ) -> TrackedTarget:
        """The target while it is tracked: nothing is remembered of doubts before."""
        mistaken = risk_after_return(self.mistaken) if self.ambiguous else self.mistaken
        if evidence.mistaken != mistaken:
            evidence = replace(evidence, mistaken=mistaken)
        least = _TRUSTED_STILL if self.trusted else TRACKING_CONFIDENCE
        return TrackedTarget(
            result,
            self.image_size,
            self.value_range,
            motion,
            self.start_box,
            self.usual_size,
            self.calibration,
            alike=self.alike,
            usual_score=usual_score,
            evidence=evidence,
            predicted_box=self.predicted_box,
            mistaken=mistaken,
            trusted=self.calibration.confidence(evidence) >= least,
            steadiness=steadiness,
        )

    def _follow(self, claim: Claim, settings: TrackerSettings) -> TrackedTarget:
        """The target after what it claimed around its expected place was believed or not."""
        candidate = claim.candidate
        score = 0.0 if candidate is None else candidate.score
        # What was hidden and what might be another thing now is not followed.
        hidden = claim.rival is not None and self.low_frames > 0
        shrunk = candidate is not None and self._shrunk(candidate.image_box, settings)
        unseen = candidate is None or score < settings.lost_score or hidden or shrunk
        low_frames = self.low_frames + 1 if unseen else 0
        usual = score >= self.recover_score(settings) and claim.rival is None and not unseen
        seen_frames = self.seen_frames + 1 if usual else 0
        evidence = self._evidence(claim)
        growth = 1.0 if score >= settings.tracking_score else self.growth * _GROWTH_PER_FRAME
        growth = min(growth, settings.max_search_growth)
        reason = self._doubt(claim, seen_frames, settings)
        if candidate is not None and not reason:
            rate = _USUAL_RATE if self.usual_score else 1.0
            usual_score = self.usual_score + (score - self.usual_score) * rate
            result = self._at(candidate, TargetState.TRACKING, settings)
            motion = self.motion.seen(candidate.image_box)
            steadiness = self.expected_box.iou(result.box)
            return self._found(result, motion, usual_score, evidence, steadiness)
        state = TargetState.LOST if low_frames >= settings.lost_frames else TargetState.UNCERTAIN
        doubted = replace(
            self,
            steadiness=0.0,
            rested=False,
            growth=growth,
            low_frames=low_frames,
            doubt_frames=self.doubt_frames + 1,
            seen_frames=seen_frames,
            evidence=evidence,
            ambiguous=self.ambiguous
            or claim.rival is not None
            or (state == TargetState.LOST and bool(self.alike)),
        )
        if candidate is None or unseen:
            # Following a wrong object would lose the right one, so the position is kept.
            return doubted._stay(state, score, reason)
        usual_score = self.usual_score + (score - self.usual_score) * _USUAL_RATE_UNCERTAIN
        result = replace(self._at(candidate, state, settings), reason=reason)
        motion = self.motion.seen(candidate.image_box)
        return replace(doubted, result=result, motion=motion, usual_score=usual_score)

    def _doubt(self, claim: Claim, seen_frames: int, settings: TrackerSettings) -> str:
        """Why what it claimed is not believed to be the target; empty if it is."""
        candidate = claim.candidate
        name = f"target {claim.rival}" if claim.rival else "something that looks like it"
        if candidate is None:
            return f"only {name} is seen where it was"
        score, seen = candidate.score, candidate.image_box
        if score < settings.tracking_score:
            return f"its score is {score:.2f}"
        if self._shrunk(seen, settings):
            return f"it has shrunk to {seen.width:.0f}x{seen.height:.0f} px"
        if claim.rival is not None:
            return f"it may be {name}"
        if self.result.state == TargetState.TRACKING:
            # A sudden jump must score as much as a target that was lost and is found again.
            jumped = max(self.result.box.iou(seen), self.expected_box.iou(seen)) < _SAME_OBJECT
            if jumped and score < self.recover_score(settings):
                return f"it jumped, and its score is {score:.2f}, less than usual"
        elif seen_frames < settings.recover_frames:
            less = f"its score is {score:.2f}, less than usual"
            return "it has been seen again for too short a time" if seen_frames else less
        return ""

    def _shrunk(self, box: Box, settings: TrackerSettings) -> bool:
        """Whether so little is left of it that it is probably something else."""
        start = self.start_box
        least_px = min(settings.min_box_px, min(start.width, start.height) / 2)
        return box.area < _LEAST_AREA * start.area or min(box.width, box.height) < least_px

    def _evidence(self, claim: Claim) -> Evidence:
        """What this image says about the target, see confidence.py."""
        candidate = claim.candidate
        doubt = min(self.doubt_frames / _DOUBT_FRAMES, 1.0)
        if candidate is None:
            return Evidence(0.0, 0.0, 1.0, doubt=doubt, mistaken=self.mistaken)
        seen, score = candidate.image_box, candidate.score
        change = abs(math.log(max(seen.area, 1e-6) / self.result.box.area))
        return Evidence(
            score=score,
            usual=min(score / self.usual_score, 1.0) if self.usual_score else 1.0,
            runner_up=min(claim.runner_up / max(score, 1e-6), 1.0),
            size_change=min(change, 1.0),
            surprise=min(self.motion.surprise(seen, SPREAD), 4.0),
            doubt=doubt,
            mistaken=self.mistaken,
        )

    def _stay(self, state: TargetState, score: float, reason: str) -> TrackedTarget:
        result = replace(self.result, state=state, score=score, quality=0.0, reason=reason)
        return replace(self, result=result)

    def doubted(self, reason: str) -> TrackedTarget:
        """The target as uncertain, for a reason that only all targets together show."""
        result = replace(self.result, state=TargetState.UNCERTAIN, reason=reason)
        doubt_frames = self.doubt_frames + 1
        return replace(
            self, result=result, doubt_frames=doubt_frames, seen_frames=0, ambiguous=True
        )

    @cached_property
    def published(self) -> Target:
        """The result with what is known of its motion, and how sure it is."""
        confidence = self.calibration.confidence(self.evidence)
        state, reason = self.result.state, self.result.reason
        if self.tracking and not self.trusted:
            state = TargetState.UNCERTAIN
            reason = "it was out of sight among alike things and may be one of them"
        # A state and its confidence never contradict each other.
        if state == TargetState.TRACKING:
            confidence = max(confidence, TRACKING_CONFIDENCE)
        elif state == TargetState.UNCERTAIN:
            confidence = min(confidence, TRACKING_CONFIDENCE)
        else:
            confidence = 0.0
        return replace(
            self.result,
            state=state,
            box=self._drawn_box(),
            confidence=confidence,
            velocity_xy=self.motion.velocity_xy,
            predicted_box=self.predicted_box,
            reason=reason,
        )

    def _drawn_box(self) -> Box:
        """The box of the mask if it agrees with the one that is followed, which is smoother but
        less exact (docs/experiments.md, "The box that is published")."""
        followed, mask = self.result.box, self.result.soft_mask
        drawn = mask.bounding_box() if mask is not None else None
        if drawn is None or drawn.iou(followed) < AGREE:
            return followed
        return drawn.clip(*self.image_size)

    def _at(self, candidate: Candidate, state: TargetState, settings: TrackerSettings) -> Target:
        """The result if a candidate is believed: its position, and its smoothed size."""
        image_w, image_h = self.image_size
        window, search_crop = candidate.search_crop.window, candidate.search_crop
        seen = candidate.image_box
        rate = settings.size_update * candidate.score
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
    """Whether another target is seen at a place, and does not look much less like itself there."""
    return any(
        other.box.iou(place.box) > _SAME_OBJECT and other.score >= place.score - _TAKES_OVER
        for other in others
    )


def _keep_inside(
    center_xy: tuple[float, float], width: float, height: float, image_w: int, image_h: int
) -> Box:
    """A box whose centre stays in the image and whose sides stay between 2 px and the image's."""
    cx = min(max(center_xy[0], 0.0), float(image_w))
    cy = min(max(center_xy[1], 0.0), float(image_h))
    return Box.from_center(cx, cy, min(max(width, 2.0), image_w), min(max(height, 2.0), image_h))
