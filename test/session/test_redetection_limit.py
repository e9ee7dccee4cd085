"""How many whole-frame windows are searched while the stream is faster than the engine."""

from __future__ import annotations

import math

from siampolar_model.session.redetection_limit import RedetectionLimit


def test_nothing_is_taken_away_while_every_image_is_worked_off() -> None:
    limit = RedetectionLimit()
    for _ in range(100):
        limit.count(0, 4)
        assert limit.crops(4) == 4


def test_skipped_images_take_crops_away_and_give_them_back_slowly() -> None:
    limit = RedetectionLimit()
    got = []
    for skipped in (1, 0, 1, 1, 1):
        limit.count(skipped, 4)
        got.append(limit.crops(4))
    assert got == [2, 2, 1, 0, 0]
    patience = RedetectionLimit.PATIENCE
    for _ in range(patience - 1):
        limit.count(0, 4)
    assert limit.crops(4) == 0
    limit.count(0, 4)
    assert limit.crops(4) == 1
    for _ in range(10 * patience):
        limit.count(0, 4)
    assert limit.crops(4) == 4
    assert limit.crops(2) == 2
    assert math.isfinite(limit.crops(10**6))
