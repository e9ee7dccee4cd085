"""OpenCV's trackers behind the interface that an evaluation needs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from siampolar_model.errors import BoxError, CommandError, EngineError
from siampolar_model.evaluation.peers import Peer, open_peer
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.region import Mask
from siampolar_model.images.frame import Frame
from siampolar_model.results import TargetState


def scene(index: int) -> Frame:
    image = np.random.default_rng(1).integers(90, 130, (200, 320, 3), dtype=np.uint8)
    cv2.circle(image, (90 + 4 * index, 70), 25, (30, 30, 220), cv2.FILLED)
    cv2.circle(image, (90 + 4 * index, 62), 10, (220, 200, 30), cv2.FILLED)
    return Frame.from_bgr(image)


def follow(peer: Peer) -> float:
    """IoU with the disc after eight images."""
    peer.reset()
    assert peer.start(scene(0), Box.from_xywh(65, 45, 50, 50)) == 1
    for index in range(1, 9):
        (target,) = peer.update(scene(index))
    assert target.id == 1 and target.polygon_xy.shape == (4, 2)
    return target.box.iou(Box.from_xywh(65 + 4 * 8, 45, 50, 50))


def test_mil_follows() -> None:
    assert follow(open_peer("mil")) > 0.6


def test_nano_follows(shared_data) -> None:  # type: ignore[no-untyped-def]
    folder = shared_data("peers") / "nanotrack"
    if not hasattr(cv2, "TrackerNano_create"):
        pytest.skip("this OpenCV has no TrackerNano")
    assert follow(open_peer(f"nano:{folder}")) > 0.6


def test_a_tracker_that_fails_is_lost_where_it_was() -> None:
    class Fails:
        def init(self, image: np.ndarray, box: tuple[int, ...]) -> None:
            if box[2] < 5:
                raise cv2.error("too small")

        def update(self, image: np.ndarray) -> tuple[bool, tuple[int, ...]]:
            return False, (0, 0, 0, 0)

    peer = Peer("Fails", Fails)
    with pytest.raises(BoxError, match="Fails: too small"):
        peer.start(scene(0), Box.from_xywh(10, 10, 3, 30))
    with pytest.raises(EngineError, match="Fails takes no mask"):
        peer.start(scene(0), Mask(np.zeros((200, 320), np.uint8)))
    peer.start(scene(0), Box.from_xywh(10, 10, 30, 30))
    (target,) = peer.update(scene(1))
    assert target.state == TargetState.LOST and target.box.as_xywh() == (10, 10, 30, 30)


def test_a_tracker_that_this_opencv_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "TrackerCSRT_create", raising=False)
    with pytest.raises(CommandError, match=r"has no TrackerCSRT; opencv-contrib-python has it"):
        open_peer("csrt")
