"""Scheduling without ROS: which image is worked on when, and how requests are answered."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from siampolar_model.errors import StampError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.region import Mask, Outline, Point
from siampolar_model.images.compressed import CompressedFrame
from siampolar_model.images.frame import Frame
from siampolar_model.results import StateChange, Target, TargetState
from siampolar_model.session.history import History, StampedImage, format_stamp
from siampolar_model.session.requests import InitRequest, InitResult, TargetIds
from siampolar_model.session.session import Counters, Session, Targets
from siampolar_model.session.settings import SessionSettings
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker

PERIOD_NS = 100_000_000
BOX = Box.from_xywh(10, 10, 20, 20)


def image(index: int, size: tuple[int, int] = (64, 48), start_ns: int = 10**18) -> StampedImage:
    """The ``index``-th image of a 10 Hz stream; every pixel holds the index."""
    pixels = np.full((size[1], size[0], 3), index % 256, np.uint8)
    return StampedImage(start_ns + index * PERIOD_NS, Frame.from_bgr(pixels), f"header {index}")


def index_of(frame: Frame) -> int:
    return int(frame.decode().planes[0][0, 0, 0])


@dataclass
class FakeTracker:
    """Records its calls; every target stays in the box it was started on."""

    class spec:
        takes_mask = False

    settings: TrackerSettings = field(default_factory=lambda: TrackerSettings(max_targets=4))
    targets: dict[int, Box] = field(default_factory=dict)
    calls: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    fail_on: int | None = None
    refuse: bool = False
    states: dict[int, TargetState] = field(default_factory=dict)
    elapsed_s: list[float] = field(default_factory=list)
    redetect_crops: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    gate: threading.Event | None = None
    warning: str = ""
    on_update: Callable[[], object] = lambda: None

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self.targets))

    def start(self, frame: Frame, box: Box, *, id: int | None = None) -> int:
        assert id is not None
        if self.refuse:
            raise ValueError("refused after all")
        self.calls.append(("start", index_of(frame), (id,)))
        self.targets[id] = box
        return id

    def start_warning(self, frame: Frame, id: int) -> str:
        return self.warning

    def update(
        self,
        frame: Frame,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float,
        redetect_crops: int,
    ) -> list[Target]:
        self.elapsed_s.append(elapsed_s)
        self.redetect_crops.append(redetect_crops)
        self.threads.add(threading.get_ident())
        if self.gate is not None:
            assert self.gate.wait(5)
        self.on_update()
        chosen = self.ids if ids is None else tuple(sorted(ids))
        if index_of(frame) == self.fail_on:
            raise RuntimeError("engine broke")
        self.calls.append(("update", index_of(frame), chosen))
        outline = np.array([[1, 1], [60, 1], [60, 40]], np.float32)
        return [
            Target(i, self.states.get(i, TargetState.TRACKING), 0.9, 0.8, self.targets[i], outline)
            for i in chosen
        ]

    def remove(self, id: int) -> bool:
        return self.targets.pop(id, None) is not None

    def tracked(self, id: int) -> list[int]:
        """Indices of the images that this target was tracked on, in order."""
        return [index for verb, index, ids in self.calls if verb == "update" and id in ids]


class Rig:
    """A session with a fake tracker and clock, and everything that it reported."""

    def __init__(
        self,
        settings: SessionSettings | None = None,
        target_ids: TargetIds | None = None,
        **fake: object,
    ) -> None:
        self.tracker = FakeTracker(**fake)  # type: ignore[arg-type]
        self.results: list[Targets] = []
        self.failures: list[Exception] = []
        self.notices: list[str] = []
        self.answers: list[InitResult] = []
        self.now = 0.0
        self.session = Session(
            self.tracker,
            settings,
            on_result=self.results.append,
            on_failure=self.failures.append,
            on_notice=self.notices.append,
            clock=lambda: self.now,
            target_ids=target_ids,
        )

    def add(self, *indices: int) -> None:
        """Images one after another, each worked off before the next arrives."""
        for index in indices:
            self.session.add_image(image(index))
            self.session.drain()

    def init(self, index: int | None = None, box: Box = BOX, **fields: object) -> InitResult | None:
        """Ask for a target on the ``index``-th image (None for the newest)."""
        stamp_ns = 0 if index is None else image(index).stamp_ns
        count = len(self.answers)
        request = InitRequest(box, fields.pop("stamp_ns", stamp_ns), **fields)  # type: ignore[arg-type]
        self.session.init(request, self.answers.append)
        return self.answers[-1] if len(self.answers) > count else None


def test_every_image_is_reported_with_its_header_even_without_targets() -> None:
    rig = Rig()
    rig.add(0, 1)
    assert [r.image.header for r in rig.results] == ["header 0", "header 1"]
    assert all(r.targets == () for r in rig.results)
    assert rig.tracker.calls == []


def test_newest_image_wins_and_counters_add_up() -> None:
    rig = Rig()
    for index in range(3):
        rig.session.add_image(image(index))
    rig.session.drain()
    rig.session.count_lost(2)
    assert [r.image.header for r in rig.results] == ["header 2"]
    assert rig.session.counters == Counters(received=3, processed=1, skipped=2, lost=2)


def test_init_is_answered_at_once_with_id_and_image() -> None:
    rig = Rig()
    rig.add(0)
    answer = rig.init()
    assert answer is not None and answer.success and answer.id == 1
    assert answer.image is not None and answer.image.header == "header 0"
    assert rig.tracker.calls == []  # nothing has run yet
    assert rig.init().id == 2  # type: ignore[union-attr]
    assert rig.session.ids == (1, 2)


@pytest.mark.parametrize("processed_first", [True, False])
def test_the_init_image_is_tracked_once_whichever_came_first(processed_first: bool) -> None:
    rig = Rig()
    rig.session.add_image(image(0))
    if processed_first:
        rig.session.drain()
    rig.init(0)
    rig.session.drain()
    rig.add(1, 2)
    assert rig.tracker.tracked(1) == [0, 1, 2]
    assert [r.id for r in rig.results[-1].targets] == [1]
    first = [r for r in rig.results if r.image.header == "header 0"]
    assert [r.id for r in first[-1].targets] == [1]
    assert first[-1].update == processed_first


def test_late_init_catches_up_without_blocking_the_stream() -> None:
    rig = Rig(SessionSettings(catch_up_frames=2))
    rig.add(0)
    rig.init()
    rig.add(*range(1, 7))
    answer = rig.init(2)
    assert answer is not None and answer.success
    order: list[str] = []
    for index in range(7, 20):
        rig.session.add_image(image(index))
        before = len(rig.tracker.calls)
        while rig.session.counters.received != rig.session.counters.processed:
            rig.session.step()  # the next image comes as soon as this one is done
        late = [c for c in rig.tracker.calls[before:] if c[0] == "update" and c[2] == (2,)]
        assert len(late) <= 2
        order += [f"{c[1]}:{c[2]}" for c in rig.tracker.calls[before:]]
    # Target 1 never missed an image; target 2 saw every image from its own on, in order.
    assert rig.tracker.tracked(1) == list(range(20))
    assert rig.tracker.tracked(2) == list(range(2, 20))
    # While catching up a target is not reported, afterwards it is.
    assert [r.id for r in rig.results[-1].targets] == [1, 2]
    assert order[0] == "2:(2,)"


def test_catch_up_goes_on_when_the_stream_pauses_and_reports_the_last_image_again() -> None:
    rig = Rig()
    rig.add(*range(6))
    rig.init(1)
    rig.session.drain()
    assert rig.tracker.tracked(1) == [1, 2, 3, 4, 5]
    last = rig.results[-1]
    assert last.update and last.image.header == "header 5" and [r.id for r in last.targets] == [1]
    assert rig.session.counters.processed == 6


def test_late_and_live_init_end_in_the_same_state() -> None:
    live, late = Rig(), Rig()
    live.add(0, 1)
    live.init()
    live.add(2, 3, 4)
    late.add(0, 1, 2, 3)
    late.init(1)
    late.add(4)
    assert live.tracker.tracked(1) == late.tracker.tracked(1) == [1, 2, 3, 4]


def test_stamp_nearest_within_half_a_period() -> None:
    rig = Rig()
    rig.add(0, 1, 2, 3)
    near = rig.init(stamp_ns=image(2).stamp_ns - 40_000_000)
    assert near is not None and near.image is not None and near.image.header == "header 2"
    newest = rig.init(stamp_ns=0)
    assert newest is not None and newest.image is not None and newest.image.header == "header 3"


def test_stamp_older_than_the_history_is_refused_with_both_times() -> None:
    rig = Rig(SessionSettings(history_s=0.2))
    rig.add(*range(5))
    answer = rig.init(0)
    assert answer is not None and not answer.success
    assert format_stamp(image(0).stamp_ns) in answer.message
    assert format_stamp(image(2).stamp_ns) in answer.message and "older" in answer.message


def test_stamp_in_the_future_is_refused_with_both_times() -> None:
    rig = Rig()
    rig.add(0, 1, 2)
    answer = rig.init(100)
    assert answer is not None and not answer.success
    assert format_stamp(image(100).stamp_ns) in answer.message
    assert format_stamp(image(2).stamp_ns) in answer.message and "future" in answer.message


def test_a_request_that_overtakes_its_image_waits_for_it() -> None:
    rig = Rig()
    rig.add(0, 1)
    assert rig.init(3) is None
    rig.add(2)
    assert rig.answers == []
    rig.add(3)
    assert rig.answers[0].success and rig.answers[0].image is not None
    assert rig.answers[0].image.header == "header 3"
    assert rig.tracker.tracked(1) == [3]


def test_stamp_in_a_gap_is_refused() -> None:
    rig = Rig()
    rig.add(0, 1, 2, 8)
    answer = rig.init(5)
    assert answer is not None and not answer.success and "half a frame period" in answer.message


def test_before_the_first_image_a_request_is_held_and_then_refused() -> None:
    rig = Rig()
    assert rig.init() is None
    rig.now = 1.9
    rig.session.drain()
    assert rig.answers == []
    rig.now = 2.1
    rig.session.drain()
    assert not rig.answers[0].success
    assert rig.answers[0].message == "no image has arrived (waited 2 s)"
    assert rig.init() is None  # and one that is held starts on the first image
    rig.add(0)
    assert rig.answers[1].success and rig.tracker.tracked(1) == [0]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (Box.from_xywh(float("nan"), 0, 10, 10), "not finite"),
        (Box.from_xywh(5, 5, 0, 10), "no area"),
        (Box.from_xywh(5, 5, -3, 10), "no area"),
        (Box.from_xywh(500, 500, 20, 20), "wholly outside the 64x48 image"),
        (Box.from_xywh(-30, 10, 40, 20), "outside the 64x48 image"),
        (Box.from_xywh(5, 5, 3, 20), "at least 4 px"),
    ],
)
@pytest.mark.parametrize("before_first_image", [True, False])
def test_bad_boxes_are_refused_and_harm_nobody(
    box: Box, words: str, before_first_image: bool
) -> None:
    rig = Rig()
    if not before_first_image:
        rig.add(0)
        rig.init()
    rig.init(box=box)
    rig.add(1)
    assert not rig.answers[-1].success and words in rig.answers[-1].message
    assert [r.id for r in rig.results[-1].targets] == ([] if before_first_image else [1])


def test_box_drawn_on_another_size_is_refused() -> None:
    rig = Rig()
    rig.add(0)
    answer = rig.init(image_size=(1280, 720))
    assert answer is not None and not answer.success
    assert answer.message == "the box was drawn on 1280x720 but the image is 64x48"
    assert rig.init(image_size=(64, 48)).success  # type: ignore[union-attr]


def test_target_limit_counts_what_is_queued() -> None:
    rig = Rig(settings=SessionSettings())
    rig.add(0)
    assert all(rig.init().success for _ in range(4))  # type: ignore[union-attr]
    answer = rig.init(id=9)
    assert answer is not None and not answer.success and answer.id == 9
    assert "at most 4" in answer.message
    assert rig.init(id=2).success  # type: ignore[union-attr]  # restarting needs no room
    rig.session.remove(1)
    assert rig.init(id=9).success  # type: ignore[union-attr]


def test_the_result_of_an_init_that_restarts_a_target_mentions_it() -> None:
    rig = Rig()
    rig.add(0)
    first, again = rig.init(id=3), rig.init(id=3)
    assert first is not None and first.success and first.message == ""
    assert again is not None and again.success and again.id == 3
    assert again.message == "target 3 was followed already and is started again"
    rig.session.remove(3)
    fresh = rig.init(id=3)
    assert fresh is not None and fresh.message == ""


def test_ids_are_never_reused() -> None:
    rig = Rig()
    rig.add(0)
    assert rig.init(id=2).id == 2  # type: ignore[union-attr]
    assert rig.init().id == 1  # type: ignore[union-attr]
    assert rig.init().id == 3  # type: ignore[union-attr]
    rig.session.remove(3)
    rig.session.remove(2)
    assert rig.init().id == 4  # type: ignore[union-attr]
    refused = rig.init(id=-3)
    assert refused is not None and not refused.success and "-3" in refused.message


def test_ids_are_not_reused_by_the_next_session() -> None:
    ids = TargetIds()
    for asked, expected in ((0, 1), (3, 3), (0, 2), (0, 4)):
        rig = Rig(target_ids=ids)
        rig.add(0)
        assert rig.init(id=asked).id == expected  # type: ignore[union-attr]


def test_remove_and_reset() -> None:
    rig = Rig()
    rig.add(0)
    rig.init(), rig.init()
    rig.add(1)
    assert rig.session.remove(1) and not rig.session.remove(1) and not rig.session.remove(7)
    rig.add(2)
    assert [r.id for r in rig.results[-1].targets] == [2]
    rig.session.reset()
    rig.add(3)
    assert rig.results[-1].targets == () and rig.tracker.ids == ()


def test_removal_is_reported_at_once_even_if_no_image_follows() -> None:
    rig = Rig()
    rig.add(0)
    rig.init(), rig.init()
    rig.add(1)
    reported = len(rig.results)
    rig.session.remove(1)
    rig.session.drain()
    (result,) = rig.results[reported:]
    assert result.update and result.image.header == "header 1"
    assert [r.id for r in result.targets] == [2]
    assert result.changes == (StateChange(1, TargetState.TRACKING, None),)
    assert rig.session.reset() == 1 and rig.session.reset() == 0
    rig.session.drain()
    assert rig.results[-1].targets == () and len(rig.results) == reported + 2


def test_changes_are_reported_once_with_the_image_they_happen_on() -> None:
    rig = Rig()
    rig.add(0)
    rig.init()
    rig.add(1, 2)
    rig.tracker.states[1] = TargetState.LOST
    rig.add(3, 4)
    rig.tracker.states[1] = TargetState.TRACKING
    rig.add(5, 6)
    reported = [(r.image.header, c) for r in rig.results for c in r.changes]
    assert reported == [
        ("header 0", StateChange(1, None, TargetState.TRACKING)),
        ("header 3", StateChange(1, TargetState.TRACKING, TargetState.LOST)),
        ("header 5", StateChange(1, TargetState.LOST, TargetState.TRACKING)),
    ]


def test_a_target_that_is_started_again_late_is_neither_gone_nor_new() -> None:
    rig = Rig()
    rig.add(0)
    rig.init()
    rig.add(1, 2, 3, 4)
    rig.session.init(InitRequest(BOX, image(1).stamp_ns, 1), rig.answers.append)
    rig.add(5)
    assert [c for r in rig.results for c in r.changes] == [
        StateChange(1, None, TargetState.TRACKING)
    ]
    assert [r.id for r in rig.results[-1].targets] == [1]


def test_a_target_lost_for_too_long_is_dropped() -> None:
    rig = Rig(SessionSettings(lost_timeout_s=0.55))
    rig.add(0)
    rig.init(), rig.init()
    rig.session.drain()
    rig.tracker.states[1] = TargetState.LOST
    rig.add(*range(1, 7))  # 0.1 s apart
    assert rig.session.ids == (1, 2)
    rig.add(7)
    assert rig.session.ids == (2,) == rig.tracker.ids
    assert [r.id for r in rig.results[-1].targets] == [2]
    assert rig.results[-1].changes == (StateChange(1, TargetState.LOST, None, "lost for 0.55 s"),)
    rig.add(8)
    assert rig.results[-1].changes == ()


def test_lost_time_counts_from_the_last_tracked_image_and_a_limit_of_zero_keeps_a_target() -> None:
    rig = Rig(SessionSettings(lost_timeout_s=0.5))
    rig.add(0)
    rig.init()
    for index in range(1, 30):  # never more than three lost images in a row
        rig.tracker.states[1] = TargetState.TRACKING if index % 4 == 0 else TargetState.LOST
        rig.add(index)
    assert rig.session.ids == (1,)
    rig.session.set_settings(SessionSettings(lost_timeout_s=0.0))
    rig.tracker.states[1] = TargetState.LOST
    rig.add(*range(30, 100))
    assert rig.session.ids == (1,)


def test_a_target_asked_for_again_as_it_is_dropped_stays() -> None:
    rig = Rig(SessionSettings(lost_timeout_s=0.05))
    rig.add(0)
    rig.init()
    rig.tracker.states[1] = TargetState.LOST
    rig.add(1)
    answers: list[InitResult | None] = []

    def ask() -> None:
        """The request comes while the worker is busy with the image."""
        rig.tracker.on_update = lambda: None
        answers.append(rig.init(id=1))

    rig.tracker.on_update = ask
    rig.session.add_image(image(2))
    rig.session.step()
    assert answers[0] is not None and answers[0].success
    rig.tracker.states[1] = TargetState.TRACKING
    rig.session.drain()
    assert rig.session.ids == (1,) == rig.tracker.ids
    rig.add(3)
    assert [r.state for r in rig.results[-1].targets] == [TargetState.TRACKING]


def test_targets_lists_the_last_results() -> None:
    rig = Rig()
    assert rig.session.targets == ()
    rig.add(0)
    rig.init(), rig.init()
    rig.tracker.states[2] = TargetState.LOST
    rig.add(1)
    assert [(r.id, r.state) for r in rig.session.targets] == [
        (1, TargetState.TRACKING),
        (2, TargetState.LOST),
    ]
    rig.session.remove(1)
    assert [r.id for r in rig.session.targets] == [2]  # before the worker has done it


def test_the_tracker_gets_the_time_that_has_passed() -> None:
    rig = Rig()
    rig.add(0)
    rig.init()
    rig.session.drain()
    start_ns, elapsed_s = image(0).stamp_ns, []
    for after_s in (0.1, 0.2, 0.2, 3600, 0.2, 0.3):  # no new stamp, an hour on, and back
        frame = Frame.from_bgr(np.zeros((48, 64, 3), np.uint8))
        rig.session.add_image(StampedImage(start_ns + round(after_s * 1e9), frame))
        rig.session.drain()
        elapsed_s.append(rig.tracker.elapsed_s[-1])
    assert elapsed_s == pytest.approx([0.1, 0.1, 1 / 30, 5.0, 1 / 30, 0.1])


def test_skipped_images_leave_fewer_crops_for_searching() -> None:
    rig = Rig()
    rig.add(0)
    rig.init()
    rig.add(1)
    assert rig.tracker.redetect_crops[-1] == 4
    rig.session.add_image(image(2))
    rig.session.add_image(image(3))
    rig.session.drain()
    assert rig.tracker.redetect_crops[-1] == 2


def test_targets_are_lost_on_another_image_size_until_theirs_returns() -> None:
    rig = Rig()
    rig.add(0)
    rig.init()
    rig.add(1)
    rig.session.add_image(image(2, size=(32, 24)))
    rig.session.drain()
    lost = rig.results[-1].targets[0]
    assert (lost.id, lost.state, lost.score) == (1, TargetState.LOST, 0.0)
    assert lost.polygon_xy.max(0)[0] <= 32 and lost.polygon_xy.max(0)[1] <= 24
    assert len(rig.notices) == 1
    assert "from 64x48 to 32x24" in rig.notices[0] and "target 1 (64x48)" in rig.notices[0]
    # A new target may start on the new size; the old one goes on when its size returns.
    assert rig.init(box=Box.from_xywh(2, 2, 12, 12)).success  # type: ignore[union-attr]
    rig.session.add_image(image(3, size=(32, 24)))
    rig.session.drain()
    assert [r.state for r in rig.results[-1].targets] == [TargetState.LOST, TargetState.TRACKING]
    rig.add(4)
    assert [r.state for r in rig.results[-1].targets] == [TargetState.TRACKING, TargetState.LOST]
    assert rig.tracker.tracked(1) == [0, 1, 4]


def test_an_image_that_cannot_be_decoded_is_skipped_with_a_notice() -> None:
    """Its header was good when it arrived, but the rest of it is missing."""
    rig = Rig()

    def add(index: int, damaged: bool = False) -> None:
        whole = image(index)
        _, data = cv2.imencode(".png", whole.frame.decode().planes[0])
        frame = CompressedFrame(bytes(data)[: 40 if damaged else None])
        rig.session.add_image(StampedImage(whole.stamp_ns, frame, whole.header))
        rig.session.drain()

    add(0, damaged=True)
    assert len(rig.results) == 1 and not rig.notices  # its pixels are not needed
    add(1)
    rig.init()
    for index in (2, 3, 4):
        add(index, damaged=index == 3)
    assert rig.tracker.tracked(1) == [1, 2, 4]
    assert [result.image.header for result in rig.results[-2:]] == ["header 2", "header 4"]
    assert len(rig.notices) == 1 and "skipped: PNG image of 64x48 px cannot" in rig.notices[0]
    # The same for a target that has to catch up over it.
    rig.init(2)
    rig.session.drain()
    assert rig.tracker.tracked(2) == [2, 4] and not rig.failures


def test_stamps_that_go_back_start_a_new_history() -> None:
    rig = Rig()
    rig.add(5, 6)
    rig.init()
    rig.session.drain()
    rig.add(0, 1)
    assert "went back" in rig.notices[0]
    assert [r.image.header for r in rig.results[-2:]] == ["header 0", "header 1"]
    assert rig.tracker.tracked(1) == [6, 0, 1]
    assert rig.init(0).success  # type: ignore[union-attr]


def test_a_clock_that_jumps_an_hour_back_and_on_again_loses_nothing() -> None:
    rig = Rig(SessionSettings(lost_timeout_s=1.0))
    rig.add(0)
    rig.init()
    hour = 36_000  # images at 10 Hz
    for index in (1, 2, 2 - hour, 3 - hour, 4, 5, 5 + hour, 6 + hour):
        rig.session.add_image(replace(image(index % 250), stamp_ns=image(index).stamp_ns))
        rig.session.drain()
        assert [r.state for r in rig.results[-1].targets] == [TargetState.TRACKING]
        assert rig.init(index, id=1).success  # type: ignore[union-attr]
    assert len(rig.notices) == 1 and "went back" in rig.notices[0]
    refused = rig.init(5)  # an hour old now
    assert refused is not None and not refused.success and "older" in refused.message
    assert format_stamp(image(5).stamp_ns) in refused.message


def test_a_recording_that_begins_again_within_the_history_starts_a_new_one() -> None:
    rig = Rig()
    rig.add(*range(10))
    rig.add(*range(3))
    assert "starts again" in rig.notices[0]
    assert rig.init().image.header == "header 2"  # type: ignore[union-attr]
    # Also if its first images went missing.
    rig.add(*range(3, 20))
    rig.add(*range(4, 14))
    assert rig.init().image.header == "header 13"  # type: ignore[union-attr]
    refused = rig.init(12)
    assert refused is not None and "older than the oldest image" in refused.message


def test_images_out_of_order_or_sent_twice_are_followed_and_leave_the_history_alone() -> None:
    rig = Rig()
    rig.add(0, 1, 2)
    rig.init()
    rig.add(4, 3, 4, 5, 6, 6)
    assert rig.tracker.tracked(1) == [2, 4, 3, 4, 5, 6, 6]
    calls = zip(rig.tracker.elapsed_s, rig.tracker.redetect_crops, strict=True)
    elapsed_s = [seconds for seconds, crops in calls if crops]
    usual = 1 / 30
    assert elapsed_s == pytest.approx([0.2, usual, usual, 0.1, 0.1, usual])
    assert rig.init(1).success  # type: ignore[union-attr]
    rig.session.drain()
    assert rig.tracker.tracked(2) == [1, 2, 4, 5, 6]
    refused = rig.init(3)
    assert refused is not None and "from the nearest image" in refused.message
    assert len(rig.notices) == 1 and "not kept" in rig.notices[0]


def test_notices_that_every_image_causes_are_repeated_only_now_and_then() -> None:
    rig = Rig()
    rig.add(0)
    for index in range(2, 150):  # two cameras: one is late, and both have images of their own size
        rig.now += 0.1
        size = (64, 48) if index % 2 else (32, 24)
        rig.session.add_image(image(index if index % 2 else index - 2, size))
        rig.session.drain()
    kinds = [notice.split(" from ")[0] for notice in rig.notices]
    assert kinds.count("image stamps went back") == kinds.count("image size changed") == 2


def test_cameras_without_stamps_are_followed_too() -> None:
    rig = Rig()
    for index in range(3):
        pixels = np.full((48, 64, 3), index, np.uint8)
        rig.session.add_image(StampedImage(0, Frame.from_bgr(pixels)))
        if index == 0:
            rig.init()
        rig.session.drain()
    assert rig.tracker.tracked(1) == [0, 1, 2] and rig.notices == []
    rig.init()  # on the newest
    rig.session.drain()
    assert rig.tracker.tracked(2) == [2]


def test_an_engine_failure_is_reported_and_ends_the_session() -> None:
    rig = Rig(fail_on=2)
    rig.add(0)
    rig.init()
    rig.add(1, 2)
    assert [str(error) for error in rig.failures] == ["engine broke"]
    assert rig.session.failure is rig.failures[0]
    last = rig.results[-1]
    assert last.image.header == "header 2" and last.targets[0].state == TargetState.LOST
    reported = len(rig.results)
    rig.add(3)
    assert len(rig.results) == reported
    answer = rig.init()
    assert answer is not None and not answer.success and "engine broke" in answer.message


def test_a_target_refused_by_the_tracker_is_forgotten_with_a_notice() -> None:
    rig = Rig(refuse=True)
    rig.add(0)
    rig.init()
    rig.add(1)
    assert rig.notices == ["target 1 could not be started: refused after all"]
    assert rig.session.ids == () and rig.failures == []


def test_a_refused_start_does_not_forget_a_later_request_for_the_same_id() -> None:
    rig = Rig()
    rig.add(0)

    def refuse_once(frame: Frame, box: Box, *, id: int | None = None) -> int:
        del rig.tracker.start  # type: ignore[method-assign]
        assert rig.init(id=1).success  # type: ignore[union-attr]
        raise ValueError("refused once")

    rig.tracker.start = refuse_once  # type: ignore[method-assign]
    rig.init(id=1)
    rig.session.drain()
    assert rig.session.ids == (1,) == rig.tracker.ids


def test_tracker_settings_are_swapped_whole_between_images() -> None:
    rig = Rig()
    rig.add(0)
    smaller = TrackerSettings(max_targets=1, min_box_px=30)
    rig.session.set_tracker_settings(smaller)
    assert rig.tracker.settings is not smaller  # the worker does it
    assert "at least 30 px" in rig.init().message  # type: ignore[union-attr]
    rig.session.drain()
    assert rig.tracker.settings is smaller


def test_history_is_bounded_in_time_and_bytes() -> None:
    one = image(0).nbytes
    by_time = History(3 * PERIOD_NS, 10**9)
    by_bytes = History(10**12, 3 * one)
    for index in range(10):
        by_time.add(image(index))
        by_bytes.add(image(index))
    assert len(by_time) == 4 and len(by_bytes) == 3 and by_bytes.nbytes == 3 * one
    assert by_bytes.find(image(7).stamp_ns).image.header == "header 7"
    with pytest.raises(StampError, match="older"):
        by_bytes.find(image(6).stamp_ns)
    tiny = History(0, 0)
    tiny.add(image(0))
    tiny.add(image(1))
    assert len(tiny) == 1  # the newest stays, however large


def test_catch_up_goes_on_with_what_the_history_still_has() -> None:
    rig = Rig(SessionSettings(history_s=0.5, catch_up_frames=1))
    rig.add(*range(6))
    rig.init(1)
    for index in range(6, 12):
        rig.session.add_image(image(index))
    rig.session.drain()
    seen = rig.tracker.tracked(1)
    assert seen == sorted(seen) and seen[-1] == 11


@pytest.mark.parametrize(
    ("field_name", "value"),
    [
        ("history_s", -1.0),
        ("history_s", float("nan")),
        ("history_mb", -1.0),
        ("catch_up_frames", 0),
        ("hold_init_s", 61.0),
    ],
)
def test_session_settings_name_the_value_that_they_refuse(field_name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field_name} is .* must be a .*from"):
        SessionSettings(**{field_name: value})


def wait_until(condition: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)


def test_the_thread_takes_the_newest_image_and_callers_never_wait() -> None:
    rig = Rig(gate=threading.Event())
    session = rig.session
    session.start()
    try:
        session.add_image(image(0))
        wait_until(lambda: len(rig.results) == 1)  # no targets: the tracker was not asked
        rig.init()
        wait_until(lambda: any(call[0] == "start" for call in rig.tracker.calls))
        for index in range(1, 6):
            session.add_image(image(index))  # the worker is held in update()
        assert rig.tracker.gate is not None
        rig.tracker.gate.set()
        wait_until(lambda: rig.results[-1].image.header == "header 5")
    finally:
        session.stop()
    counters = session.counters
    assert counters.received == 6 == counters.processed + counters.skipped
    assert counters.skipped >= 3
    assert rig.tracker.threads.isdisjoint({threading.get_ident()})


def test_stop_keeps_targets_and_refuses_requests_that_wait() -> None:
    rig = Rig()
    rig.session.start()
    assert rig.init() is None
    rig.session.stop()
    assert not rig.answers[0].success and "deactivated" in rig.answers[0].message
    rig.add(0)
    rig.init()
    rig.add(1)
    rig.session.start()
    rig.session.stop()
    assert rig.session.ids == (1,)
    rig.session.start()
    try:
        rig.session.add_image(image(2))
        wait_until(lambda: rig.results and rig.results[-1].image.header == "header 2")
    finally:
        rig.session.stop()
    assert [r.id for r in rig.results[-1].targets] == [1]


def test_a_closed_session_releases_its_tracker_at_once() -> None:
    rig = Rig(fail_on=1)
    rig.add(0)
    rig.init()
    rig.add(1)
    rig.session.remove(1)
    rig.session.set_tracker_settings(TrackerSettings())
    tracker = weakref.ref(rig.tracker)
    gc.disable()
    try:
        del rig.tracker
        rig.failures.clear()  # their tracebacks
        rig.session.close()
        assert tracker() is None
    finally:
        gc.enable()


def test_a_held_request_is_refused_by_the_thread_in_time() -> None:
    answers: list[InitResult] = []
    session = Session(
        FakeTracker(),
        SessionSettings(hold_init_s=0.05),
        on_result=lambda result: None,
        on_failure=lambda error: None,
    )
    session.start()
    try:
        session.init(InitRequest(BOX), answers.append)
        wait_until(lambda: len(answers) == 1)
    finally:
        session.stop()
    assert not answers[0].success


def test_failure_in_the_thread_reaches_the_owner_who_may_stop_there() -> None:
    failed = threading.Event()
    tracker = FakeTracker(fail_on=1)

    def on_failure(error: Exception) -> None:
        session.stop()  # from the worker's own thread
        failed.set()

    session = Session(tracker, on_result=lambda result: None, on_failure=on_failure)
    session.add_image(image(0))
    session.init(InitRequest(BOX), lambda answer: None)
    session.drain()
    session.start()
    session.add_image(image(1))
    assert failed.wait(5)
    with pytest.raises(RuntimeError, match="engine broke"):
        session.start()


# ---- with the real tracker -----------------------------------------------------------------


def square(index: int) -> StampedImage:
    """A checkered square that moves 2 px an image over blurred noise, at 10 Hz."""
    noise = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    pixels = cv2.GaussianBlur(noise, (0, 0), 5)
    tile = np.kron([[0, 255] * 4, [255, 0] * 4] * 4, np.ones((8, 8)))
    x = 100 + 2 * index
    pixels[80:144, x : x + 64] = tile[..., None] * np.array([0.2, 0.6, 1.0])
    return StampedImage(10**18 + index * PERIOD_NS, Frame.from_bgr(pixels), index)


@pytest.mark.parametrize("asked_after", [0, 3, 7])
def test_session_and_tracker_alone_agree_however_late_the_init(asked_after: int) -> None:
    images = [square(index) for index in range(8)]
    box = Box.from_xywh(100, 80, 64, 64)
    alone = Tracker.from_pretrained()
    alone.start(images[0].frame, box, id=1)
    # It is searched for on its first image as well, to which there is no time.
    gaps_s = [1 / 30] + [PERIOD_NS / 1e9] * 7
    expected = [
        alone.update(image.frame, elapsed_s=gap_s)[0]
        for image, gap_s in zip(images, gaps_s, strict=True)
    ]

    results: list[Targets] = []
    failures: list[Exception] = []
    session = Session(
        Tracker.from_pretrained(), on_result=results.append, on_failure=failures.append
    )
    for index, image in enumerate(images):
        session.add_image(image)
        session.drain()
        if index == asked_after:
            session.init(InitRequest(box, stamp_ns=images[0].stamp_ns), lambda answer: None)
            session.drain()
    assert failures == []
    reported = {result.image.header: result.targets for result in results}
    for index in range(asked_after, len(images)):
        (got,) = reported[index]
        want = expected[index]
        assert (got.id, got.state) == (1, want.state)
        assert got.score == pytest.approx(want.score, abs=1e-6)
        assert np.allclose(got.polygon_xy, want.polygon_xy, atol=1e-3)


def compressed(index: int, damaged: bool = False) -> StampedImage:
    """Image ``index`` as a PNG file, cut off behind its header if it is damaged."""
    whole = image(index)
    data = bytes(cv2.imencode(".png", whole.frame.decode().planes[0])[1])
    frame = CompressedFrame(data[: 40 if damaged else None])
    return StampedImage(whole.stamp_ns, frame, whole.header)


class TestAnsweredAfterDecoding:
    """A compressed image may be damaged behind its header, so its pixels decide."""

    @pytest.mark.parametrize("late", [False, True])
    def test_a_box_on_a_damaged_image_is_refused(self, late: bool) -> None:
        rig = Rig()
        rig.session.add_image(compressed(0))
        rig.session.add_image(compressed(1, damaged=True))
        rig.session.drain()
        if late:
            rig.session.add_image(compressed(2))
            rig.session.drain()
        rig.init(1)
        assert not rig.answers  # the pixels have not been read yet
        rig.session.drain()
        (answer,) = rig.answers
        assert not answer.success and answer.id == 0
        assert answer.message.startswith("PNG image of 64x48 px cannot be decoded")
        assert answer.image is not None and answer.image.header == "header 1"
        assert rig.session.ids == () and not rig.notices and not rig.failures

    def test_a_whole_image_is_answered_once_it_is_decoded(self) -> None:
        rig = Rig()
        rig.session.add_image(compressed(0))
        rig.init()
        assert not rig.answers
        rig.session.drain()
        assert [(answer.success, answer.id) for answer in rig.answers] == [(True, 1)]
        rig.init(id=1)  # decoded by now: answered at once
        assert len(rig.answers) == 2 and rig.answers[1].success
        rig.session.drain()
        assert len(rig.answers) == 2

    def test_an_answer_that_waits_for_the_start_warns_of_the_region(self) -> None:
        rig = Rig()
        rig.tracker.warning = "little to hold on to"
        rig.add(0)
        assert rig.init(wait=True) is None
        rig.session.drain()
        assert [answer.message for answer in rig.answers] == ["little to hold on to"]
        rig.init(id=1, wait=True)
        rig.session.drain()
        again = "target 1 was followed already and is started again; little to hold on to"
        assert rig.answers[1].success and rig.answers[1].message == again

    def test_a_request_that_waited_for_its_image(self) -> None:
        rig = Rig()
        rig.init(0)
        rig.session.add_image(compressed(0, damaged=True))
        rig.session.drain()
        assert [answer.success for answer in rig.answers] == [False]

    def test_a_refused_restart_leaves_the_target_as_it_was(self) -> None:
        rig = Rig()
        rig.add(0)
        rig.init()
        rig.add(1)
        rig.session.add_image(compressed(2, damaged=True))
        rig.init(id=1)
        rig.add(3)
        assert [(answer.success, answer.id) for answer in rig.answers] == [(True, 1), (False, 1)]
        assert rig.tracker.tracked(1)[-1] == 3 and rig.session.ids == (1,)

    def test_a_later_request_for_the_same_target_takes_its_place(self) -> None:
        rig = Rig()
        rig.session.add_image(compressed(0))
        rig.init(id=5)
        rig.init(id=5)
        assert [answer.message for answer in rig.answers] == [
            "a later request for target 5 took its place"
        ]
        rig.session.drain()
        assert [answer.success for answer in rig.answers] == [False, True]

    def test_stopping_refuses_it(self) -> None:
        rig = Rig()
        rig.session.add_image(compressed(0))
        rig.init()
        rig.session.stop()
        assert [answer.message for answer in rig.answers] == ["the tracker was deactivated"]
        assert rig.session.ids == ()
        rig.session.drain()
        assert len(rig.answers) == 1 and not rig.tracker.ids

    def test_a_failure_refuses_it(self) -> None:
        rig = Rig()

        def broken(frame: Frame, box: Box, *, id: int | None = None) -> int:
            raise RuntimeError("engine broke")

        rig.tracker.start = broken  # type: ignore[method-assign]
        rig.session.add_image(compressed(0))
        rig.init(id=1)
        rig.init(id=2)
        rig.session.drain()
        messages = ["the tracker has failed: engine broke"] * 2
        assert [answer.message for answer in rig.answers] == messages and rig.failures


# ---- other ways to point at an object -------------------------------------------------------


def test_a_point_is_answered_once_the_tracker_has_looked() -> None:
    rig = Rig(warning="little to hold on to")
    rig.session.add_image(image(1))
    rig.session.init(InitRequest(Point(20, 20)), rig.answers.append)
    assert rig.answers == []
    rig.session.drain()
    (answer,) = rig.answers
    assert (answer.success, answer.id, answer.message) == (True, 1, "little to hold on to")
    assert rig.tracker.targets == {1: Point(20, 20)}


def test_a_point_where_nothing_stands_out_is_refused_and_its_id_is_free() -> None:
    rig = Rig(refuse=True)
    rig.session.add_image(image(1))
    rig.session.init(InitRequest(Point(20, 20), id=5), rig.answers.append)
    rig.session.drain()
    (answer,) = rig.answers
    assert (answer.success, answer.id, answer.message) == (False, 5, "refused after all")
    assert rig.session.ids == ()


def test_a_model_without_masks_uses_the_box_around_them_and_says_so() -> None:
    rig = Rig()
    rig.session.add_image(image(1))
    outline = Outline(np.array([[1, 1], [60, 1], [60, 40]], np.float32))
    pixels = np.zeros((48, 64), np.uint8)
    pixels[10:40, 10:50] = 1
    for region in (outline, Mask(pixels), Mask(pixels[:-1])):
        rig.session.init(InitRequest(region), rig.answers.append)
    assert [answer.success for answer in rig.answers] == [True, True, False]
    assert [answer.message for answer in rig.answers] == [
        "this model takes no masks: the box around the outline is used",
        "this model takes no masks: the box around the mask is used",
        "a mask of 64x47 pixels; the image is 64x48",
    ]


def test_a_region_that_fits_no_image_is_refused_without_waiting_for_one() -> None:
    rig = Rig()
    for region in (Outline(np.zeros((2, 2), np.float32)), Mask(np.zeros((9, 9), np.uint8))):
        rig.session.init(InitRequest(region), rig.answers.append)
    assert [answer.message for answer in rig.answers] == [
        "an outline of 2 points; it needs at least 3",
        "a mask without any pixel of the object; it must not be 0 there",
    ]
    rig.session.init(InitRequest(Point(9, 9)), rig.answers.append)
    assert len(rig.answers) == 2  # a point waits for its image
