"""Which targets the overlay shows."""

from __future__ import annotations

import numpy as np

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_ros.interfaces.lost_fade import LostFade


def target(id: int, state: TargetState) -> Target:
    return Target(id, state, 0.5, 0.5, Box(0, 0, 9, 9), np.zeros((0, 2), np.float32))


def test_a_lost_target_is_shown_for_two_seconds_and_again_once_it_is_found() -> None:
    now = 10.0
    fade = LostFade(lambda: now)
    kept, lost = target(1, TargetState.UNCERTAIN), target(2, TargetState.LOST)
    assert fade.shown([kept, lost]) == [kept, lost]
    now = 12.0
    assert fade.shown([kept, lost]) == [kept, lost]
    now = 12.1
    assert fade.shown([kept, lost]) == [kept]
    found = target(2, TargetState.TRACKING)
    assert fade.shown([kept, found]) == [kept, found]
    assert fade.shown([kept, lost]) == [kept, lost]  # lost a second time: two seconds more
