"""How probable it is that what was found is the chosen object: evidence, and its calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..errors import EngineError
from ..models.spec import ModelSpec


@dataclass(frozen=True)
class Evidence:
    """What one image says about one target; every value is a feature of the calibration.

    Attributes:
        score: raw classification score, [0, 1].
        usual: the score as a share of what it usually is while tracking, at most 1.
        runner_up: score of the best other candidate in its crop, as a share of its own, at most 1.
        agreement: IoU of the predicted box with the bounding box of the outline.
        size_change: absolute logarithm of the area over the area before, at most 1.
        surprise: how unexpected its place is, see ``Motion.surprise``; at most 4.
        rival: 1 if another target or a distractor might be what was found, else 0.
        doubt: on what share of the last 8 images in a row it was not tracked.
        past: the most that a rival, a surprise or doubt has counted, slowly forgotten (see
            :func:`past_after`): once two twins were mixed up, nothing that is seen shows it.
    """

    score: float = 1.0
    usual: float = 1.0
    runner_up: float = 0.0
    agreement: float = 1.0
    size_change: float = 0.0
    surprise: float = 0.0
    rival: float = 0.0
    doubt: float = 0.0
    past: float = 0.0


#: Share of ``past`` that is left after one image: half of it after ten seconds of 30 images each.
_PAST_KEPT = 0.9977

#: A surprise of this much counts in full.
_FULL_SURPRISE = 4.0


def past_after(before: float, *, rival: float, surprise: float, doubt: float) -> float:
    """``past`` of an image, from that of the image before and the evidence of this one."""
    return max(before * _PAST_KEPT, rival, surprise / _FULL_SURPRISE, doubt)


@dataclass(frozen=True)
class Calibration:
    """A logistic regression from evidence to the probability of an IoU of at least 0.5.

    Attributes:
        bias: log-odds without any evidence.
        others: the weight of each field of :class:`Evidence`.
    """

    bias: float
    score: float
    usual: float
    runner_up: float
    agreement: float
    size_change: float
    surprise: float
    rival: float
    doubt: float
    past: float

    @classmethod
    def of(cls, spec: ModelSpec) -> Calibration:
        """The calibration of a model, or that of the shipped ones if it has none.

        Raises:
            EngineError: a coefficient is missing or unknown, or is not a number.
        """
        if spec.confidence is None:
            return CALIBRATION
        names = {field.name for field in fields(cls)}
        values = spec.confidence
        if set(values) != names or not all(
            type(value) in (int, float) and math.isfinite(value) for value in values.values()
        ):
            raise EngineError(
                f"confidence of {spec.name} is {dict(values)}; it must have a finite number for "
                f"{', '.join(sorted(names))}: siampolar train identity calibrate fits them"
            )
        return cls(**values)

    def confidence(self, evidence: Evidence) -> float:
        """The probability, [0, 1]."""
        log_odds = (
            self.bias
            + self.score * evidence.score
            + self.usual * evidence.usual
            + self.runner_up * evidence.runner_up
            + self.agreement * evidence.agreement
            + self.size_change * evidence.size_change
            + self.surprise * evidence.surprise
            + self.rival * evidence.rival
            + self.doubt * evidence.doubt
            + self.past * evidence.past
        )
        return 1 / (1 + math.exp(-log_odds))


#: Fitted to generated clips of identical twins, which are harder than most video.
CALIBRATION = Calibration(
    bias=-0.47,
    score=1.14,
    usual=0.75,
    runner_up=0.05,
    agreement=1.18,
    size_change=-0.01,
    surprise=-1.17,
    rival=0.57,
    doubt=-2.63,
    past=0.0,
)
