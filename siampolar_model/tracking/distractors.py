"""What is known not to be a target: it was seen at the same time as the target, elsewhere.

The idea is KeepTrack's (Mayer et al. 2021): while a target is hidden, the next best candidate is
usually its neighbour, and the neighbour is known from the images before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..geometry.box import Box
from .claims import Settlement, Thing
from .motion import Motion

#: A distractor counts after it was seen on this many images, and is forgotten after this many
#: images in a row without it.
_SEEN_IMAGES, _FORGOTTEN_IMAGES = 3, 30

#: At most this many are remembered, those seen last first.
_MOST = 32

#: What overlaps a target by more than this share of the smaller box may be a part of it.
_APART = 0.3

#: What appears next to a target may be a part of it, on the other side of something in front of it,
#: if a box around both is at most this many times as wide and as high as the target usually is.
_WHOLE = 1.3

#: IoU from which two boxes are of the same thing.
_SAME = 0.5


@dataclass(frozen=True)
class Distractor:
    """Something that was seen next to a target.

    Attributes:
        box: where it was last seen, image pixels.
        motion: expected place and velocity.
        ids: the targets that it is not: they were tracked elsewhere on the same image.
        seen_images: on how many images it was seen.
        unseen_images: on how many of the most recent images in a row it was not.
    """

    box: Box
    motion: Motion
    ids: frozenset[int]
    seen_images: int = 1
    unseen_images: int = 0

    def after(self, elapsed_s: float) -> Distractor:
        """What is expected some seconds later."""
        return replace(self, motion=self.motion.after(elapsed_s))

    @property
    def motion_box(self) -> Box:
        """Where its motion has it, in the size in which it was last seen."""
        return Box.from_center(*self.motion.center_xy, self.box.width, self.box.height)

    @property
    def known(self) -> bool:
        """Whether it was seen often enough to count."""
        return self.seen_images >= _SEEN_IMAGES


def updated(
    distractors: Sequence[Distractor],
    settlement: Settlement,
    elsewhere: Sequence[Box],
    tracking: Collection[int],
    sizes: Mapping[int, tuple[float, float]],
    least_score: float,
) -> tuple[Distractor, ...]:
    """The distractors after one image.

    Args:
        distractors: as they were expected on this image.
        settlement: of this image, with those of the distractors that are known.
        elsewhere: what was found in the crops in which lost targets are searched for.
        tracking: ids of the targets that are tracked.
        sizes: usual width and height of the targets, by id.
        least_score: from which something is taken for a target.
    """
    things, claims = settlement.things, settlement.claims
    # What the known ones got; the others are taken for what is nearest to them.
    known = [i for i, one in enumerate(distractors) if one.known]
    given = {known[row]: column for row, column in settlement.given.items()}
    free = set(range(len(things))) - set(given.values())
    for i, one in enumerate(distractors):
        place = one.motion_box
        if not one.known:
            overlaps = {column: place.iou(things[column].box) for column in free}
            near = max(overlaps, key=overlaps.__getitem__, default=None)
            if near is not None and overlaps[near] > _SAME:
                given[i] = near
                free.remove(near)
    claimed = {id: claim.candidate for id, claim in claims.items() if claim.candidate is not None}
    owned = [candidate.image_box for candidate in claimed.values()]
    found = []
    for i, one in enumerate(distractors):
        if i in given and not any(_touch(things[given[i]].box, box) for box in owned):
            thing = things[given[i]]
            ids = one.ids | _not_this(thing, claimed, tracking, least_score)
            motion = one.motion.seen(thing.box)
            found.append(Distractor(thing.box, motion, ids, one.seen_images + 1))
        elif any(one.motion_box.iou(box) > _SAME for box in elsewhere):
            box = max(elsewhere, key=one.motion_box.iou)
            found.append(replace(one, box=box, motion=one.motion.seen(box), unseen_images=0))
        elif one.unseen_images < _FORGOTTEN_IMAGES and not (
            any(one.box.iou(box) > _SAME for box in owned)
        ):
            found.append(replace(one, unseen_images=one.unseen_images + 1))
    taken = set(given.values())
    for column, thing in enumerate(things):
        ids = _not_this(thing, claimed, tracking, least_score)
        if column in taken or not ids:
            continue
        if not any(
            _touch(thing.box, one.image_box) or _fills(thing.box, one.image_box, sizes[id])
            for id, one in claimed.items()
        ):
            found.append(Distractor(thing.box, Motion.starting(thing.box), ids))
    found.sort(key=lambda one: one.unseen_images)
    return tuple(found[:_MOST])


def _not_this(
    thing: Thing, claimed: Mapping[int, object], tracking: Collection[int], least_score: float
) -> frozenset[int]:
    """The targets that took a thing for themselves and were tracked elsewhere."""
    return frozenset(
        id
        for id, candidate in thing.candidates.items()
        if id in tracking and candidate.score >= least_score and candidate is not claimed.get(id)
    )


def _touch(a: Box, b: Box) -> bool:
    smaller = min(a.area, b.area)
    return smaller <= 0 or a.intersection(b) > _APART * smaller


def _fills(a: Box, b: Box, size: tuple[float, float]) -> bool:
    """Whether a box around both is not much larger than a size."""
    width = max(a.x2, b.x2) - min(a.x1, b.x1)
    height = max(a.y2, b.y2) - min(a.y1, b.y1)
    return width <= _WHOLE * size[0] and height <= _WHOLE * size[1]
