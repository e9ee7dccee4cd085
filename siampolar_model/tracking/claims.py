"""Who has which thing on one image: all targets' candidates are given out together.

Every target sees its own candidates only. Those of several targets that overlap are one thing, and
one thing belongs to one target. What is known not to be a target claims things as well (see
distractors.py, after KeepTrack, Mayer et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..geometry.box import Box
from .assignment import assign
from .motion import Motion
from .search_crop import Candidate

#: Candidates whose boxes overlap by at least this IoU are one thing.
_ONE_THING = 0.5

#: Cost of a candidate whose score is 0 and not 1; see :func:`settle` for the unit.
_UNLIKE = 6.0

#: Standard deviation of where a thing is found, as a multiple of its size, and the largest cost of
#: being found elsewhere: some targets do jump.
SPREAD, _MOST_SURPRISE = 0.2, 4.0

#: Cost of leaving a target or a distractor without a thing. It is higher for targets, which
#: are rather believed to be seen.
_UNSEEN, _DISTRACTOR_UNSEEN = 5.0, 3.0

#: Alike things whose boxes overlap by more than this IoU are not told apart.
_TOUCHING = 0.25

#: A target whose thing costs another target or distractor, left without one, at most this much
#: more is not told apart from it.
CLEAR = 1.5

#: The same for a target that was tracked on the image before.
_KEEPS = 0.0


@dataclass(eq=False)
class Thing:
    """Something that was found for one target or for several.

    Attributes:
        box: in image pixels, of its best candidate.
        candidates: the candidate of every target that found it, by id.
    """

    box: Box
    candidates: dict[int, Candidate] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Claim:
    """What a target got on one image.

    Attributes:
        candidate: where it is; None if everything that was found for it is something else.
        rival: the target that has, or might have, its thing, an id; 0: something that is not a
            target; None: there is no question.
        runner_up: the best score of the other things that were found for it; 0 without any.
    """

    candidate: Candidate | None
    rival: int | None = None
    runner_up: float = 0.0


@dataclass(frozen=True, eq=False)
class Settlement:
    """Who has what.

    Attributes:
        claims: of every target that is not lost, by id.
        things: all that was found.
        given: the index of the thing that a distractor got, by the distractor's index.
    """

    claims: dict[int, Claim]
    things: list[Thing]
    given: dict[int, int]


def settle(
    candidates: Mapping[int, Sequence[Candidate]],
    motions: Mapping[int, Motion],
    alike: Mapping[int, Collection[int]],
    distractors: Sequence[Motion],
    tracking: Collection[int],
) -> Settlement:
    """Give every thing to one target, one distractor or nobody.

    Costs are negative logarithms of likelihoods: of the score, and of the distance from where the
    target's motion has it.

    Args:
        candidates: of the targets that are not lost, by id; the network's choice first.
        motions: of all targets, those that are lost as well, expected on this image, by id.
        alike: ids of the other targets that each target looks like, by id.
        distractors: the motions of distractors, expected on this image.
        tracking: ids of the targets that were tracked on the image before.
    """
    things = things_of(candidates)
    ids = sorted(candidates)
    if len(ids) == len(things) == 1 and not distractors and not alike[ids[0]]:
        # The usual case: there is nobody else to claim what was found for the only target.
        return Settlement({ids[0]: Claim(things[0].candidates[ids[0]])}, things, {})
    rows = len(ids) + len(distractors)
    costs = np.full((rows, len(things)), np.inf)
    for column, thing in enumerate(things):
        for row, id in enumerate(ids):
            if id in thing.candidates:
                surprise = min(motions[id].surprise(thing.box, SPREAD), _MOST_SURPRISE)
                unlike = _UNLIKE * (1 - thing.candidates[id].score)
                # Without anybody else who claims it, it is the target.
                costs[row, column] = min(surprise + unlike, _UNSEEN - 0.1)
        for row, motion in enumerate(distractors, len(ids)):
            costs[row, column] = motion.surprise(thing.box, SPREAD)
    nothing = np.full(rows, _DISTRACTOR_UNSEEN)
    nothing[: len(ids)] = _UNSEEN
    names = [*ids, *[0] * len(distractors)]
    given = assign(costs, nothing)
    owners = {column: names[row] for row, column in enumerate(given) if column is not None}
    claims: dict[int, Claim] = {}
    for row, id in enumerate(ids):
        own = given[row]
        if own is None:
            claims[id] = Claim(None, owners[int(costs[row].argmin())])
            continue
        thing, cost = things[own], float(costs[row, own])
        # Who is without a thing and may be this one, and what it would cost.
        rivals: list[tuple[float, int]] = [
            (float(costs[other, own]), names[other])
            for other in range(rows)
            if given[other] is None and costs[other, own] < nothing[other]
        ]
        lost = [other for other in alike[id] if other not in candidates]
        rivals += [(motions[other].surprise(thing.box, SPREAD), other) for other in lost]
        # Two alike things that touch may have changed places when they part.
        rivals += [
            (-math.inf, names[other])
            for other, column in enumerate(given)
            if other != row and column is not None
            and (names[other] in alike[id] or not names[other])
            and things[column].box.iou(thing.box) > _TOUCHING
        ]  # fmt: skip
        cheapest = min(rivals, default=(math.inf, 0))
        doubtful = cheapest[0] < cost + (_KEEPS if id in tracking else CLEAR)
        other_scores = (
            one.candidates[id].score for one in things if one is not thing and id in one.candidates
        )
        runner_up = max(other_scores, default=0.0)
        claims[id] = Claim(thing.candidates[id], cheapest[1] if doubtful else None, runner_up)
    rest = enumerate(given[len(ids) :])
    return Settlement(claims, things, {row: column for row, column in rest if column is not None})


def things_of(candidates: Mapping[int, Sequence[Candidate]]) -> list[Thing]:
    """Candidates that overlap, put together; of one thing a target's first candidate stays."""
    ordered = sorted(
        ((id, rank, one) for id, ones in candidates.items() for rank, one in enumerate(ones)),
        key=lambda entry: (entry[1] > 0, -entry[2].score, entry[0]),
    )
    things: list[Thing] = []
    for id, _, candidate in ordered:
        box = candidate.image_box
        thing = max(things, key=lambda thing: thing.box.iou(box)) if things else None
        if thing is None or thing.box.iou(box) < _ONE_THING:
            thing = Thing(box)
            things.append(thing)
        thing.candidates.setdefault(id, candidate)
    return things


def alike_targets(
    things: Sequence[Thing], claims: Mapping[int, Claim], least_score: float
) -> dict[int, frozenset[int]]:
    """The other targets that each target takes for itself, by id.

    Args:
        least_score: from which a target is taken for another.
    """
    owners = {id: claim.candidate for id, claim in claims.items() if claim.candidate is not None}
    found: dict[int, frozenset[int]] = {}
    for thing in things:
        ids = [id for id, one in thing.candidates.items() if one.score >= least_score]
        owner = next((id for id in ids if owners.get(id) is thing.candidates[id]), None)
        if owner is None:
            continue
        for id in ids:
            if id != owner:
                found[id] = found.get(id, frozenset()) | {owner}
                found[owner] = found.get(owner, frozenset()) | {id}
    return found
