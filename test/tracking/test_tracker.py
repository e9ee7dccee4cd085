"""The tracker's states and geometry, with an engine whose answers a test can write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.errors import BoxError, FrameError, TargetLimitError
from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.models.spec import ModelSpec
from siampolar_model.results import TargetState
from siampolar_model.settings import Setting, settings_of
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine

SPEC = ModelSpec("scripted", 127, 255, 1.7, 36, 4)
FRAME = np.zeros((480, 640, 3), np.uint8)
BOX = Box.from_xywh(200, 150, 80, 60)


class ScriptedEngine(Engine):
    """Finds what the test tells it to, so that only the rules of the tracker are tested."""

    name = "scripted"
    spec = SPEC

    def __init__(self) -> None:
        self.score = 0.9
        self.shift_px = (0.0, 0.0)
        self.slots: dict[int, np.ndarray] = {}
        self.batches: list[list[int]] = []
        self.priors: list[np.ndarray] = []

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        assert crop.shape == (127, 127, 3) and crop.dtype == np.uint8
        self.slots[slot] = box_xyxy

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        assert crops.shape == (len(slots), 255, 255, 3)
        self.batches.append(list(slots))
        self.priors.append(prior.copy())
        n, k = len(slots), 2
        center = np.full((n, k, 2), 127.5, np.float32) + np.float32(self.shift_px)
        half = prior[:, None, 2:4] / 2
        return Candidates(
            np.full((n, k), self.score, np.float32),
            np.full((n, k), 0.8, np.float32),
            np.concatenate([center - half, center + half], 2),
            center,
            np.full((n, k, SPEC.n_rays), 20, np.float32),
        )

    def release(self, slot: int) -> None:
        self.slots.pop(slot, None)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


def test_a_start_that_was_checked_is_not_searched_for_again_on_its_image() -> None:
    unchecked, checked = ScriptedEngine(), ScriptedEngine()
    plain, tracker = Tracker(unchecked), Tracker(checked)
    frame = Frame.from_bgr(FRAME)
    other_box = Box.from_xywh(400, 200, 60, 60)
    for one in (plain, tracker):
        assert (one.start(frame, BOX), one.start(frame, other_box)) == (1, 2)
    assert tracker.start_warning(frame, 1) == ""
    assert checked.batches == [[1]]
    for one, other in zip(tracker.update(frame), plain.update(frame), strict=True):
        assert one.state == other.state == TargetState.TRACKING
        assert (one.box, one.score, one.confidence) == (other.box, other.score, other.confidence)
    assert (checked.batches, unchecked.batches) == ([[1], [2]], [[1, 2]])
    tracker.update(frame)
    assert checked.batches[2:] == [[1, 2]]


@pytest.mark.parametrize("change", ["another image", "started again"])
def test_what_a_check_of_a_start_found_counts_for_its_image_and_template(change: str) -> None:
    engine = ScriptedEngine()
    tracker, frame = Tracker(engine), Frame.from_bgr(FRAME)
    id = tracker.start(frame, BOX)
    tracker.start_warning(frame, id)
    if change == "started again":
        tracker.start(frame, BOX, id=id)
    tracker.update(Frame.from_bgr(FRAME) if change == "another image" else frame)
    assert len(engine.batches) == 2


def test_a_still_target_stays_where_it_is(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    id = tracker.start(FRAME, BOX)
    (result,) = tracker.update(FRAME)
    assert result.id == id and result.state == TargetState.TRACKING
    assert result.box.as_xywh() == pytest.approx(BOX.as_xywh(), abs=1e-3)
    scale = engine.priors[0][0, 2] / BOX.width
    rays_xy = result.polygon_xy - BOX.center_xy
    np.testing.assert_allclose(np.linalg.norm(rays_xy, axis=1), 20 / scale, rtol=1e-4)


def test_a_move_in_the_crop_is_a_move_in_the_image(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    tracker.start(FRAME, BOX)
    engine.shift_px = (10.0, -4.0)
    (result,) = tracker.update(FRAME)
    scale = engine.priors[0][0, 2] / BOX.width
    moved = np.subtract(result.box.center_xy, BOX.center_xy)
    np.testing.assert_allclose(moved, np.array([10, -4]) / scale, atol=1e-3)


def test_states_have_hysteresis(engine: ScriptedEngine) -> None:
    settings = TrackerSettings(lost_frames=3, recover_frames=2)
    tracker = Tracker(engine, settings)
    tracker.start(FRAME, BOX)

    def state(score: float) -> TargetState:
        engine.score = score
        return tracker.update(FRAME)[0].state

    between = (settings.lost_score + settings.tracking_score) / 2
    assert state(0.9) == TargetState.TRACKING
    assert state(between) == TargetState.UNCERTAIN
    assert state(0.05) == state(0.05) == TargetState.UNCERTAIN
    assert state(0.9) == TargetState.UNCERTAIN  # one good image is not enough
    assert state(0.9) == TargetState.TRACKING  # but it broke the row of bad ones
    assert [state(0.05) for _ in range(3)][-1] == TargetState.LOST
    where = tracker.update(FRAME)[0].box
    engine.shift_px = (40.0, 0.0)
    assert state(between) == TargetState.LOST
    assert tracker.update(FRAME)[0].box == where  # not drawn away by a similar object
    engine.shift_px = (0.0, 0.0)
    assert state(0.9) == TargetState.LOST  # one good image is not enough
    assert state(0.9) == TargetState.TRACKING


def test_a_similar_object_that_scores_less_than_usual_is_not_believed(
    engine: ScriptedEngine,
) -> None:
    tracker = Tracker(engine, TrackerSettings(tracking_score=0.4, recover_share=0.8))
    tracker.start(FRAME, BOX)

    def states(score: float, images: int) -> list[TargetState]:
        engine.score = score
        return [tracker.update(FRAME)[0].state for _ in range(images)]

    states(0.9, 10)
    assert states(0.6, 3) == [TargetState.TRACKING] * 3  # it may change while it is watched
    states(0.9, 20)
    states(0.3, 1)
    assert states(0.6, 30) == [TargetState.UNCERTAIN] * 30
    assert states(0.8, 2)[-1] == TargetState.TRACKING
    states(0.3, 1)
    assert states(0.6, 200)[-1] == TargetState.TRACKING  # its looks have changed for good
    tracker.settings = TrackerSettings(tracking_score=0.4, recover_share=0.0)
    states(0.9, 20), states(0.3, 1)
    assert states(0.6, 2)[-1] == TargetState.TRACKING


def test_a_tracked_target_that_jumps_must_look_as_usual(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine, TrackerSettings(tracking_score=0.4, recover_share=0.8))
    tracker.start(FRAME, BOX)

    def state(score: float, shift: float) -> TargetState:
        engine.score, engine.shift_px = score, (shift, 0.0)
        return tracker.update(FRAME)[0].state

    assert [state(0.9, 0.0) for _ in range(10)] == [TargetState.TRACKING] * 10
    assert state(0.85, 70.0) == TargetState.TRACKING
    assert state(0.6, 0.0) == TargetState.TRACKING
    assert state(0.6, 70.0) == TargetState.UNCERTAIN


def test_a_target_that_is_not_believed_stays_and_its_search_grows(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    tracker.start(FRAME, BOX)
    engine.score, engine.shift_px = 0.05, (60.0, 60.0)
    for _ in range(tracker.settings.lost_frames - 1):
        (result,) = tracker.update(FRAME)
    assert result.box == BOX and result.state == TargetState.UNCERTAIN
    grown = engine.priors[0][0, 2] / engine.priors[-1][0, 2]
    assert grown == pytest.approx(tracker.settings.max_search_growth, rel=1e-3)
    engine.score, engine.shift_px = 0.9, (0.0, 0.0)
    tracker.update(FRAME)
    tracker.update(FRAME)
    assert engine.priors[-1][0, 2] == pytest.approx(engine.priors[0][0, 2], rel=1e-2)


def test_targets_share_batches_and_ids_stay(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    ids = [tracker.start(FRAME, Box.from_xywh(20 + 60 * i, 100, 50, 50)) for i in range(6)]
    assert ids == [1, 2, 3, 4, 5, 6] == [r.id for r in tracker.update(FRAME)]
    assert engine.batches == [[1, 2, 3, 4], [5, 6]]
    assert tracker.remove(3) and not tracker.remove(3)
    assert 3 not in engine.slots
    assert [r.id for r in tracker.update(FRAME, [6, 1])] == [1, 6]
    assert [r.id for r in tracker.update(FRAME, [2, 2])] == [2]
    assert tracker.start(FRAME, BOX, id=2) == 2
    assert tracker.remove(6) and tracker.start(FRAME, BOX) == 7  # 6 is not reused
    tracker.reset()
    assert tracker.ids == () and not engine.slots and tracker.update(FRAME) == []


def test_the_target_leaving_the_image_keeps_a_sane_box(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    tracker.start(FRAME, BOX)
    engine.shift_px = (100.0, 0.0)
    for _ in range(50):
        (result,) = tracker.update(FRAME)
    assert result.box.center_xy[0] == 640
    assert 0 < result.box.width <= 640
    if len(result.polygon_xy):
        assert result.polygon_xy[:, 0].max() <= 640


def test_warming_up_leaves_nothing_behind(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine)
    tracker.warm_up()
    assert engine.batches and not engine.slots and tracker.ids == ()


def test_refusals(engine: ScriptedEngine) -> None:
    tracker = Tracker(engine, TrackerSettings(max_targets=1))
    with pytest.raises(BoxError):
        tracker.start(FRAME, Box(0, 0, 0, 0))
    tracker.start(FRAME, BOX)
    with pytest.raises(TargetLimitError, match="at most 1"):
        tracker.start(FRAME, BOX)
    with pytest.raises(FrameError, match="320x240 but target 1 was started on 640x480"):
        tracker.update(np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(FrameError):
        tracker.update(np.zeros((480, 640), np.float32))  # type: ignore[arg-type]
    assert tracker.update(FRAME)[0].state == TargetState.TRACKING
    with pytest.raises(ValueError, match="id 0"):
        tracker.start(FRAME, BOX, id=0)


@pytest.mark.parametrize("what", ["score", "shift_px"])
def test_numbers_that_are_not_finite_are_an_error(engine: ScriptedEngine, what: str) -> None:
    tracker = Tracker(engine)
    tracker.start(FRAME, BOX)
    setattr(engine, what, {"score": np.nan, "shift_px": (np.inf, 0.0)}[what])
    with pytest.raises(FloatingPointError, match="target 1"):
        tracker.update(FRAME)


@pytest.mark.parametrize("setting", settings_of(TrackerSettings), ids=lambda one: one.name)
@pytest.mark.parametrize("side", ["low", "high", "nan"])
def test_every_setting_refuses_values_outside_its_range(setting: Setting, side: str) -> None:
    assert setting.low is not None and setting.high is not None
    value = {"low": setting.low - 1, "high": setting.high + 1, "nan": np.nan}[side]
    with pytest.raises(ValueError, match=f"{setting.name} is .*must be a .*from"):
        TrackerSettings(**{setting.name: value})


@pytest.mark.parametrize("value", [2.5, True, "3"])
def test_counts_must_be_whole_numbers(value: object) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        TrackerSettings(max_targets=value)  # type: ignore[arg-type]


def test_lost_score_must_not_exceed_tracking_score() -> None:
    with pytest.raises(ValueError, match="must not exceed"):
        TrackerSettings(tracking_score=0.3, lost_score=0.5)


# ---- lost and found ------------------------------------------------------------------------

GREEN, RED = (0, 200, 0), (0, 0, 220)


class CountingEngine(BlobEngine):
    """Follows blobs and notes whose crops each batch held."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, max_targets=16)
        self.batches: list[list[int]] = []

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        self.batches.append(list(slots))
        return super().search(slots, crops, prior)


def blobs(*placed: tuple[tuple[float, float], float, tuple[int, int, int]]) -> np.ndarray:
    """A grey 640x360 image with squares: centre, side and colour of each."""
    image = np.full((360, 640, 3), 90, np.uint8)
    for (x, y), side, color in placed:
        half = side / 2
        image[max(0, int(y - half)) : int(y + half), max(0, int(x - half)) : int(x + half)] = color
    return image


def lose(tracker: Tracker, image: np.ndarray) -> None:
    """Show an image without the target until every target but those in it is lost."""
    for _ in range(tracker.settings.lost_frames):
        tracker.update(image)


def images_until_tracked(tracker: Tracker, image: np.ndarray, id: int = 1, limit: int = 90) -> int:
    for count in range(1, limit + 1):
        found = {result.id: result for result in tracker.update(image)}
        if found[id].state == TargetState.TRACKING:
            return count
    raise AssertionError(f"not found in {limit} images")


@pytest.mark.parametrize("side", [40, 60, 88])
def test_a_lost_target_is_found_anywhere_in_the_frame(side: int) -> None:
    tracker = Tracker(CountingEngine())
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    lose(tracker, blobs())
    back = blobs(((560, 280), side, GREEN))
    # A round of all windows takes a second at 30 Hz, then it is confirmed.
    assert images_until_tracked(tracker, back) <= 30 + tracker.settings.recover_frames
    for _ in range(20):
        (result,) = tracker.update(back)
    assert result.box.iou(Box.from_center(560, 280, side, side)) > 0.8


def test_the_search_costs_what_the_settings_allow() -> None:
    engine = CountingEngine()
    settings = TrackerSettings(redetect_crops=3)
    tracker = Tracker(engine, settings)
    scene = blobs(((80, 80), 60, GREEN), ((400, 200), 60, RED))
    tracker.start(scene, Box.from_center(80, 80, 60, 60))
    tracker.start(scene, Box.from_center(400, 200, 60, 60))
    without = blobs(((400, 200), 60, RED))
    lose(tracker, without)
    engine.batches.clear()
    for _ in range(60):
        assert tracker.update(without)[1].state == TargetState.TRACKING
    # One batch per image: the other target's crop, the lost one's own, and three more at most.
    assert len(engine.batches) == 60
    assert all(batch.count(2) == 1 and 1 <= batch.count(1) <= 4 for batch in engine.batches)
    assert max(batch.count(1) for batch in engine.batches) == 4
    engine.batches.clear()
    tracker.update(without, redetect_crops=1)
    tracker.update(without, redetect_crops=0)
    assert [batch.count(1) for batch in engine.batches] == [2, 1]


def test_a_search_that_gets_no_crops_of_its_own_still_sees_the_whole_frame() -> None:
    tracker = Tracker(CountingEngine())
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    lose(tracker, blobs())
    back = blobs(((560, 280), 60, GREEN))
    states = [tracker.update(back, redetect_crops=0)[0].state for _ in range(250)]
    assert states[-1] == TargetState.TRACKING


def test_the_search_can_be_switched_off() -> None:
    engine = CountingEngine()
    tracker = Tracker(engine, TrackerSettings(redetect_crops=0))
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    lose(tracker, blobs())
    for _ in range(60):
        (result,) = tracker.update(blobs(((560, 280), 60, GREEN)))
    assert result.state == TargetState.LOST
    assert all(batch == [1] for batch in engine.batches)
    assert images_until_tracked(tracker, blobs(((90, 85), 60, GREEN))) == 2  # where it was


def test_a_place_seen_once_is_not_believed() -> None:
    tracker = Tracker(CountingEngine(), TrackerSettings(recover_frames=3))
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    lose(tracker, blobs())
    where = tracker.update(blobs())[0].box
    for _ in range(40):
        (flash,) = tracker.update(blobs(((100, 100), 60, GREEN)))
        (gone,) = tracker.update(blobs())
        assert flash.state == gone.state == TargetState.LOST
        assert flash.box == gone.box == where


def test_a_lost_target_is_not_found_on_another_one() -> None:
    tracker = Tracker(CountingEngine())
    scene = blobs(((80, 80), 60, GREEN), ((400, 200), 60, GREEN))
    tracker.start(scene, Box.from_center(80, 80, 60, 60))
    tracker.start(scene, Box.from_center(400, 200, 60, 60))
    for _ in range(90):
        first, second = tracker.update(blobs(((400, 200), 60, GREEN)))
    assert first.state == TargetState.LOST and second.state == TargetState.TRACKING
    tracker.remove(2)
    assert images_until_tracked(tracker, blobs(((400, 200), 60, GREEN))) <= 32


class HalfBlindEngine(CountingEngine):
    """Mistakes what is red for its target, with a middling score."""

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        found = super().search(slots, crops, prior)
        for i in range(len(slots)):
            red = np.abs(crops[i].astype(int) - RED).max(2) < 60
            if not found.score[i, 0] and red.any():
                rows, columns = np.nonzero(red)
                box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                found.box_xyxy[i, 0], found.score[i, 0] = box, 0.6
        return found


def test_a_target_in_doubt_is_also_searched_for_elsewhere() -> None:
    """A similar object is followed in its old place until the target is seen elsewhere."""
    tracker = Tracker(HalfBlindEngine(), TrackerSettings(tracking_score=0.5, recover_share=0.8))
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    tracker.update(blobs(((80, 80), 60, GREEN)))
    tracker.update(blobs())
    for step in range(60):
        (result,) = tracker.update(blobs(((90 + step, 80), 60, RED)))
        assert result.state == TargetState.UNCERTAIN
    assert result.box.center_xy == pytest.approx((149, 80), abs=2)
    both = blobs(((150, 80), 60, RED), ((560, 280), 60, GREEN))
    assert images_until_tracked(tracker, both) <= 32
    (result,) = tracker.update(both)
    assert result.box.iou(Box.from_center(560, 280, 60, 60)) > 0.8


def test_low_rates_and_gaps_only_make_the_search_use_its_limit() -> None:
    engine = CountingEngine()
    tracker = Tracker(engine, TrackerSettings(redetect_crops=2))
    tracker.start(blobs(((80, 80), 60, GREEN)), Box.from_center(80, 80, 60, 60))
    lose(tracker, blobs())
    engine.batches.clear()
    for elapsed_s in (5.0, 1 / 30, 5.0):
        tracker.update(blobs(), elapsed_s=elapsed_s)
    assert [len(batch) for batch in engine.batches] == [3, 3, 3]
    # A target that fills the frame has few windows, for which one crop per image is enough.
    tracker.start(blobs(((320, 180), 300, RED)), Box.from_center(320, 180, 300, 300), id=1)
    lose(tracker, blobs())
    engine.batches.clear()
    for _ in range(30):
        tracker.update(blobs(), elapsed_s=1 / 30)
    assert sum(map(len, engine.batches)) <= 45


def test_an_encoding_that_changes_between_images_disturbs_nothing() -> None:
    tracker = Tracker(CountingEngine())
    bgr = blobs(((80, 80), 60, (200, 200, 200)))
    rows = {"bgr8": bgr, "rgb8": bgr[..., ::-1], "mono8": bgr[..., 0]}
    rows["mono16"] = bgr[..., 0].astype(np.uint16) * 17
    rows["yuv422"] = np.stack([np.full_like(bgr[..., 0], 128), bgr[..., 0]], 2)

    def frame(encoding: str) -> Frame:
        data = np.ascontiguousarray(rows[encoding])
        return Frame.from_buffer(
            data.tobytes(), encoding=encoding, width=640, height=360, step=data.nbytes // 360
        )

    for start in rows:
        tracker.start(frame(start), Box.from_center(80, 80, 60, 60), id=1)
        for then in rows:
            (result,) = tracker.update(frame(then))
            assert result.box.iou(Box.from_center(80, 80, 60, 60)) > 0.5, (start, then)
