"""How many whole-frame windows are searched where the engine is slower than the stream."""

from __future__ import annotations

import math

from siampolar_model.session.redetection_limit import RedetectionLimit


def test_there_is_no_limit_while_no_image_is_skipped() -> None:
    limit = RedetectionLimit()
    for _ in range(100):
        limit.count(0, 4)
        assert limit.crops(4) == 4


def test_skipped_images_lower_the_limit_and_it_rises_slowly() -> None:
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
