"""Scheduling under load, in virtual time: who waits for whom, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.engines.loading import load_engine
from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.models.spec import ModelSpec
from siampolar_model.results import TargetState
from siampolar_model.session.history import StampedImage
from siampolar_model.session.requests import InitRequest, InitResult
from siampolar_model.session.session import Session, Targets
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine
from support.virtual_time import SlowEngine, play

RATE_HZ = 30
PERIOD_S = 1 / RATE_HZ


class SeenOrNot(Engine):
    """Finds every target in the middle of its crops, but those in ``hidden`` nowhere."""

    name = "seen or not"
    spec = ModelSpec("seen or not", 127, 255, 1.7, 36, 16)

    def __init__(self) -> None:
        self.hidden: set[int] = set()
        self.encoded = 0

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        self.encoded += 1

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n = len(slots)
        score = np.array([[0.0 if slot in self.hidden else 0.9] for slot in slots], np.float32)
        center = np.full((n, 1, 2), 127.5, np.float32)
        half = prior[:, None, 2:4] / 2
        box = np.concatenate([center - half, center + half], 2)
        return Candidates(score, score, box, center, np.full((n, 1, 36), 20, np.float32))

    def release(self, slot: int) -> None:
        pass


class Rig:
    """A session on an engine of some speed, and everything that it reported."""

    def __init__(self, engine: Engine, crop_s: float, settings: TrackerSettings | None = None):
        self.engine = SlowEngine(engine, crop_s)
        self.results: list[Targets] = []
        self.reported_s: list[float] = []
        self.answers: list[InitResult] = []
        self.session = Session(
            Tracker(self.engine, settings),
            on_result=self._on_result,
            on_failure=self._on_failure,
            clock=lambda: self.engine.now_s,
        )

    def _on_result(self, result: Targets) -> None:
        self.results.append(result)
        self.reported_s.append(self.engine.now_s)

    def _on_failure(self, error: Exception) -> None:
        raise AssertionError("the tracker failed") from error

    def init(self, box: Box, stamp_ns: int = 0) -> None:
        self.session.init(InitRequest(box, stamp_ns), self.answers.append)
        assert self.answers[-1].success, self.answers[-1].message


def grey_images(count: int, first: int = 0) -> Iterator[StampedImage]:
    frame = Frame.from_bgr(np.full((180, 320, 3), 90, np.uint8))
    for index in range(first, first + count):
        yield StampedImage(stamp_ns(index), frame, index)


def stamp_ns(index: int) -> int:
    return 10**18 + round(index * PERIOD_S * 1e9)


@pytest.mark.parametrize("crop_ms", [1, 9, 12, 40])
@pytest.mark.parametrize("targets", [2, 4])
def test_a_lost_target_costs_the_others_at_most_a_fifth_of_their_rate(
    crop_ms: float, targets: int
) -> None:
    engine = SeenOrNot()
    rig = Rig(engine, crop_ms / 1000)
    rig.session.add_image(next(grey_images(1)))
    for i in range(targets):
        rig.init(Box.from_xywh(20 + 50 * i, 60, 40, 40))
    rig.session.drain()
    seconds = 8
    play(rig.session, rig.engine, grey_images(seconds * RATE_HZ, first=1), PERIOD_S)
    before = len(rig.results)
    engine.hidden = {1}
    play(
        rig.session,
        rig.engine,
        grey_images(seconds * RATE_HZ, first=1 + seconds * RATE_HZ),
        PERIOD_S,
    )
    during = len(rig.results) - before
    states = {result.id: result.state for result in rig.results[-1].targets}
    assert states.pop(1) == TargetState.LOST
    assert set(states.values()) == {TargetState.TRACKING} and len(states) == targets - 1
    assert during >= 0.8 * before, f"{before / seconds:g} Hz before, {during / seconds:g} Hz during"


def test_the_whole_frame_is_searched_while_there_is_time() -> None:
    """It gets as many crops as the settings allow."""
    engine = SeenOrNot()
    searched: list[int] = []
    plain = engine.search

    def search(slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        searched.append(list(slots).count(1))
        return plain(slots, crops, prior)

    engine.search = search  # type: ignore[method-assign]
    rig = Rig(engine, 0.001)
    rig.session.add_image(next(grey_images(1)))
    rig.init(Box.from_xywh(20, 60, 12, 12))
    rig.session.drain()
    engine.hidden = {1}
    play(rig.session, rig.engine, grey_images(60, first=1), PERIOD_S)
    assert searched[-1] == 1 + TrackerSettings().redetect_crops


@pytest.mark.parametrize("crop_ms", [2, 10, 25, 45, 100])
@pytest.mark.parametrize("others", [0, 2])
def test_no_live_image_waits_longer_than_one_slice_of_catching_up(
    crop_ms: float, others: int
) -> None:
    """Also on an engine that is slower than the camera, where a late target still catches up."""
    crop_s = crop_ms / 1000
    rig = Rig(SeenOrNot(), crop_s)
    play(rig.session, rig.engine, grey_images(30), PERIOD_S)
    for i in range(others):
        rig.init(Box.from_xywh(20 + 50 * i, 60, 40, 40))
    play(rig.session, rig.engine, grey_images(30, first=30), PERIOD_S)
    begun = len(rig.results)
    rig.init(Box.from_xywh(200, 60, 40, 40), stamp_ns(45))
    late = rig.answers[-1].id
    start_s, seconds = rig.engine.now_s, 6
    play(rig.session, rig.engine, grey_images(seconds * RATE_HZ, first=60), PERIOD_S)
    slice_s = 2 * crop_s  # catch_up_frames, one target
    live_s = (others + 1) * crop_s
    for result, reported_s in zip(rig.results[begun:], rig.reported_s[begun:], strict=True):
        if result.update:
            continue
        arrived_s = start_s + (result.image.header - 60) * PERIOD_S
        # The image before, the slice, the encoding of the new template, and itself.
        assert reported_s - arrived_s <= live_s + slice_s + crop_s + live_s + 1e-9
    caught_up = [r for r in rig.results[begun:] if late in {one.id for one in r.targets}]
    assert caught_up, "never caught up"
    assert caught_up[0].image.header <= 60 + 3 * RATE_HZ


@pytest.mark.parametrize("crop_ms", [2, 12, 50])
def test_a_flood_of_inits_does_not_stop_the_stream(crop_ms: float) -> None:
    """120 inits per second, for new targets, which soon exceed the limit, and for known ones."""
    crop_s = crop_ms / 1000
    engine = SeenOrNot()
    rig = Rig(engine, crop_s, TrackerSettings(max_targets=3))
    play(rig.session, rig.engine, grey_images(30), PERIOD_S)
    encoded_before_last = 0

    def ask() -> None:
        nonlocal encoded_before_last
        encoded_before_last = engine.encoded
        for id in (0, 1, 2, 1):
            request = InitRequest(Box.from_xywh(100, 60, 40, 40), id=id)
            rig.session.init(request, rig.answers.append)

    seconds, begun = 8, rig.session.counters.processed
    play(rig.session, rig.engine, grey_images(seconds * RATE_HZ, first=30), PERIOD_S, ask)
    assert engine.encoded - encoded_before_last <= 3  # no more starts had piled up
    assert sum(answer.success for answer in rig.answers) > 3 * seconds * RATE_HZ
    assert "at most 3" in rig.answers[-4].message
    # Three targets, and a slice of two other crops, for every image.
    possible = seconds / max(PERIOD_S, (3 + 2) * crop_s)
    assert rig.session.counters.processed - begun >= 0.8 * possible
    assert [one.id for one in rig.session.targets] == [1, 2, 3]


def scene(index: int) -> StampedImage:
    """A checkered square that moves 3 px an image over blurred noise."""
    noise = np.random.default_rng(7).integers(0, 256, (240, 480, 3), np.uint8)
    pixels = cv2.GaussianBlur(noise, (0, 0), 5)
    tile = np.kron([[0, 255] * 4, [255, 0] * 4] * 4, np.ones((8, 8)))
    x = 40 + 3 * index
    pixels[80:144, x : x + 64] = tile[..., None] * np.array([0.2, 0.6, 1.0])
    return StampedImage(stamp_ns(index), Frame.from_bgr(pixels), index)


@pytest.mark.parametrize("name", ["blob", "shipped network"])
def test_a_box_half_a_second_old_ends_on_the_same_track(name: str) -> None:
    images = [scene(index) for index in range(61)]
    box = Box.from_xywh(40, 80, 64, 64)
    boxes = {}
    for asked_after in (0, 15):
        engine = BlobEngine() if name == "blob" else load_engine("siampolar_lite0")
        rig = Rig(engine, 0.012)
        play(rig.session, rig.engine, images[: asked_after + 1], PERIOD_S)
        rig.init(box, images[0].stamp_ns)
        play(rig.session, rig.engine, images[asked_after + 1 : 46], PERIOD_S)
        (last,) = rig.results[-1].targets
        assert rig.results[-1].image.header == 45 and last.state == TargetState.TRACKING
        boxes[asked_after] = last.box
    assert boxes[0].iou(boxes[15]) >= 0.9
    true_box = Box.from_xywh(40 + 3 * 45, 80, 64, 64)
    assert boxes[15].iou(true_box) >= 0.5
