"""How probable it is that what was found is the chosen object: evidence, and its calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
    """

    score: float = 1.0
    usual: float = 1.0
    runner_up: float = 0.0
    agreement: float = 1.0
    size_change: float = 0.0
    surprise: float = 0.0
    rival: float = 0.0
    doubt: float = 0.0


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
)
