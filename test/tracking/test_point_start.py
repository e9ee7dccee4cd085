"""A click: the box of what stands out about it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from siampolar_model.engines.base import Candidates
from siampolar_model.errors import BoxError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.region import Point
from siampolar_model.images.frame import Frame
from siampolar_model.tracking.point_start import box_about
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine


def drawn(box: Box, size: tuple[int, int] = (640, 480)) -> Frame:
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    x1, y1, x2, y2 = map(int, box.as_xyxy())
    image[y1:y2, x1:x2] = (0, 80, 220)
    return Frame.from_bgr(image)


@pytest.mark.parametrize(
    "box", [Box(300, 200, 340, 240), Box(100, 60, 400, 360), Box(300, 140, 360, 340)]
)
@pytest.mark.parametrize("at", [(0.5, 0.5), (0.2, 0.7)])
def test_the_whole_object_is_found_whatever_its_size(box: Box, at: tuple[float, float]) -> None:
    engine = BlobEngine()
    point = Point(box.x1 + at[0] * box.width, box.y1 + at[1] * box.height)
    found = box_about(engine, drawn(box), point, TrackerSettings())
    assert found.iou(box) > 0.8
    assert not engine._colors  # the slot is free again


class Blind(BlobEngine):
    """Finds something with little confidence."""

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        found = super().search(slots, crops, prior)
        return Candidates(
            found.score * 0.1, found.quality, found.box_xyxy, found.center_xy, found.rays_px
        )


def test_where_nothing_stands_out_it_is_refused_and_nothing_starts() -> None:
    box = Box(300, 200, 340, 240)
    tracker = Tracker(Blind())
    with pytest.raises(BoxError, match=r"^nothing stands out at point x=320 y=220; drag a box"):
        tracker.start(drawn(box), (320, 220))
    assert tracker.ids == ()


def test_a_tracker_that_is_given_a_point_follows_what_is_there() -> None:
    box = Box(200, 150, 280, 230)
    tracker = Tracker(BlobEngine())
    assert tracker.start(drawn(box), Point(240, 190)) == 1
    (target,) = tracker.update(drawn(box))
    assert target.mask(480, 640)[155:225, 205:275].mean() > 0.95
    assert target.box.iou(box) > 0.8


def test_the_shipped_network_finds_a_disc_and_nothing_on_plain_grey() -> None:
    pytest.importorskip("onnxruntime", reason="needs an engine (onnxruntime)")
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (60, 80, 3), np.uint8)
    image = cv2.GaussianBlur(cv2.resize(noise, (640, 480)), (0, 0), 5)
    cv2.circle(image, (250, 200), 60, (0, 60, 230), -1)
    tracker = Tracker.from_pretrained("siampolar_lite0", engine="onnxruntime")
    tracker.start(image, (240, 210))
    (target,) = tracker.update(image)
    assert target.box.iou(Box(190, 140, 310, 260)) > 0.7
    with pytest.raises(BoxError, match="nothing stands out"):
        tracker.start(np.full((480, 640, 3), 127, np.uint8), (320, 240))
