"""The box that is published: the mask's own where it agrees with the box that is followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from siampolar_model.engines.base import Candidates
from siampolar_model.geometry.box import Box
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine

CELLS, CELL_PX = 64, 4
DRAWN = Box(120.0, 90.0, 200.0, 150.0)


class MaskedBlobEngine(BlobEngine):
    """Predicts a box that is 16 % too large, and draws the upper ``share`` of the blob.

    Args:
        share: of the blob's height.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.spec = replace(self.spec, gives_mask=True)
        self._share = share

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        found = super().search(slots, crops, prior)
        masks = np.zeros((len(slots), CELLS, CELLS), np.float32)
        for i, slot in enumerate(slots):
            inside = (np.abs(crops[i].astype(int) - self._colors[slot]).max(2) < 60).astype(float)
            x1, y1, x2, y2 = found.box_xyxy[i, 0]
            inside[round(y1 + self._share * (y2 - y1)) :] = 0
            padded = np.pad(inside, ((0, CELLS * CELL_PX - len(inside)),) * 2)
            masks[i] = cv2.resize(padded, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
            middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
            larger = Box.from_center(middle_x, middle_y, 1.16 * (x2 - x1), 1.16 * (y2 - y1))
            found.box_xyxy[i, 0] = larger.as_xyxy()
        return replace(found, mask=masks, mask_gain=np.ones((len(slots), 1), np.float32))


def published(share: float) -> Box:
    """The box after some images of a rectangle that stands still."""
    image = np.full((240, 320, 3), 90, np.uint8)
    corner, opposite = (int(DRAWN.x1), int(DRAWN.y1)), (int(DRAWN.x2) - 1, int(DRAWN.y2) - 1)
    cv2.rectangle(image, corner, opposite, (30, 30, 220), cv2.FILLED)
    tracker = Tracker(MaskedBlobEngine(share))
    tracker.start(image, DRAWN)
    for _ in range(8):
        (target,) = tracker.update(image)
    return target.box


def test_a_mask_that_agrees_gives_the_box() -> None:
    assert published(1.0).as_xyxy() == pytest.approx(DRAWN.as_xyxy(), abs=1.0)


def test_a_mask_that_lacks_a_part_does_not() -> None:
    """A third of the target is drawn: the predicted box is nearer to the truth."""
    box = published(0.34)
    assert box.height > 0.9 * DRAWN.height
    assert box.iou(DRAWN) > 0.7
