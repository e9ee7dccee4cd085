"""Motion is a matter of time, whatever the rate of the images."""

from __future__ import annotations

import math

import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.tracking.elapsed import USUAL_S, seconds_between
from support.seen_boxes import FRAME, Scene


@pytest.mark.parametrize(
    ("before_ns", "now_ns", "elapsed_s"),
    [
        (None, 10**18, USUAL_S),
        (10**18, 10**18 + 40_000_000, 0.04),
        (10**18, 10**18, USUAL_S),
        (10**18, 10**18 - 1, USUAL_S),
        (0, 10**18, 5.0),
    ],
)
def test_stamps_that_cannot_be_right_are_not_believed(
    before_ns: int | None, now_ns: int, elapsed_s: float
) -> None:
    assert seconds_between(before_ns, now_ns) == pytest.approx(elapsed_s)


def expected_while_hidden(every: int) -> list[Box]:
    """Of a clip at 30 Hz that is given to the tracker with every so many-th frame: where the target
    is expected 0.2, 0.4 and 0.6 s after it was last seen."""
    scene = Scene(1)
    scene.start(FRAME, Box.from_center(100, 150, 40, 40))
    expected = []
    for image in range(every, 49, every):
        seen = Box.from_center(100 + 4 * image, 150 + 2 * image, 40, 40)
        scene.seen = {seen: 0.9} if image <= 30 else {}
        (result,) = scene.update(FRAME, elapsed_s=every / 30)
        if image in (36, 42, 48):
            assert result.predicted_box is not None
            expected.append(result.predicted_box)
    return expected


def test_a_hidden_target_is_expected_at_the_same_place_at_15_hz_as_at_30_hz() -> None:
    for at_30, at_15 in zip(expected_while_hidden(1), expected_while_hidden(2), strict=True):
        assert math.dist(at_30.center_xy, at_15.center_xy) < 3
    first, *_, last = expected_while_hidden(2)
    assert last.center_xy[0] - first.center_xy[0] > 10


@pytest.mark.parametrize("elapsed_s", [-0.1, math.nan, math.inf])
def test_a_time_that_cannot_be_is_refused(elapsed_s: float) -> None:
    scene = Scene(1)
    scene.start(FRAME, Box.from_center(100, 150, 40, 40))
    with pytest.raises(ValueError, match=f"elapsed_s is {elapsed_s}; it must be 0 or more"):
        scene.update(FRAME, elapsed_s=elapsed_s)
