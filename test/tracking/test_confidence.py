"""The probability that an outline lies on the chosen object, and the state that follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siampolar_model.tracking.confidence import (
    CALIBRATION,
    Evidence,
    risk_after_return,
    risk_later,
)

#: Every value as bad as it can be.
WORST = Evidence(0.0, 0.0, 1.0, 1.0, 4.0, 1.0, 1.0)


@pytest.mark.parametrize("name", Evidence.__dataclass_fields__)
def test_worse_evidence_never_raises_the_confidence(name: str) -> None:
    good = Evidence()
    worse = replace(good, **{name: getattr(WORST, name)})
    assert CALIBRATION.confidence(worse) < CALIBRATION.confidence(good)


def test_a_confidence_is_a_probability() -> None:
    assert 0 < CALIBRATION.confidence(WORST) < 0.1
    assert 0.9 < CALIBRATION.confidence(Evidence()) < 1


def test_every_return_among_alike_things_adds_to_the_risk_and_time_takes_it_away() -> None:
    once = risk_after_return(0.0)
    assert 0 < once < risk_after_return(once) < 1
    assert risk_later(once, 60.0) < 0.001
    assert risk_later(risk_later(once, 1.0), 2.0) == pytest.approx(risk_later(once, 3.0))
