"""What is reported of the tracker, with its figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.results import Target, TargetState
from siampolar_model.session.history import StampedImage
from siampolar_model.session.session import Counters, Targets
from siampolar_ros.health.stream_health import Level
from siampolar_ros.health.tracker_health import Snapshot, TrackerHealth

FRAME = Frame.from_bgr(np.zeros((8, 8, 3), np.uint8))


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> TrackerHealth:
    return TrackerHealth(clock)


def target(id: int, state: TargetState) -> Target:
    nothing = np.zeros((0, 2), np.float32)
    return Target(id, state, 0.5, 0.5, Box(0, 0, 9, 9), nothing)


def result(arrived_s: float | None, update: bool = False, **took: float) -> Targets:
    return Targets(StampedImage(0, FRAME, arrived_s=arrived_s), (), update, **took)


def judge(health: TrackerHealth, snapshot: Snapshot) -> tuple[Level, str]:
    verdict, _ = health.judge(snapshot)
    return verdict.level, verdict.reason


def test_states_of_the_node(health: TrackerHealth) -> None:
    assert judge(health, Snapshot("unconfigured")) == (Level.WARN, "the node is unconfigured")
    assert judge(health, Snapshot("inactive")) == (Level.OK, "the node is inactive")
    assert judge(health, Snapshot("active")) == (Level.OK, "0 targets")
    broken = Snapshot("unconfigured", "the tracker failed, all targets are lost: out of memory")
    assert judge(health, broken) == (Level.ERROR, broken.problem)


def test_targets_by_state(health: TrackerHealth) -> None:
    kept = (target(1, TargetState.TRACKING), target(2, TargetState.UNCERTAIN))
    snapshot = Snapshot("active", engine="it runs on a fake", targets=kept)
    assert judge(health, snapshot) == (Level.OK, "2 targets")
    snapshot = replace(snapshot, targets=(*kept, target(7, TargetState.LOST)))
    verdict, figures = health.judge(snapshot)
    assert (verdict.level, verdict.reason) == (Level.WARN, "lost: target 7")
    assert figures["targets tracking"] == figures["targets lost"] == "1"
    assert figures["engine"] == "it runs on a fake" and figures["state"] == "active"


def test_latency_is_from_arrival_to_result_over_the_last_seconds(
    health: TrackerHealth, clock: Clock
) -> None:
    for k in range(100):
        clock.now += 0.1
        # The first half was slow, longer ago than the figures reach back.
        health.result(result(clock.now - (0.5 if k < 50 else (k + 1) / 1000)))
        health.result(result(clock.now - 9, update=True))  # said again: no latency of its own
        health.result(result(None))  # replayed: it never arrived
    _, figures = health.judge(Snapshot("active"))
    assert float(figures["results, Hz"]) == pytest.approx(10, abs=0.3)
    percentiles = [float(figures[f"latency from arrival p{p}, ms"]) for p in (50, 95, 99)]
    assert percentiles == pytest.approx([75.5, 97.6, 99.5], abs=0.7)
    clock.now += 60
    _, figures = health.judge(Snapshot("active"))
    assert figures["results, Hz"] == "0.0" and "latency from arrival p50, ms" not in figures


@pytest.mark.parametrize(
    ("share", "took", "outputs_s", "words"),
    [
        (1.0, {"track_s": 0.04}, {}, "the engine takes too long for this rate (per image: the "),
        (None, {"track_s": 0.04}, {}, "the engine takes too long for this rate (per image: the "),
        (1.0, {"decode_s": 0.03, "track_s": 0.02}, {}, "decoding takes too long for this rate"),
        (
            0.9, {"track_s": 0.02}, {"~/targets": 1e-4, "~/overlay/compressed": 0.03},
            "drawing ~/overlay/compressed takes too long for this rate "
            "(per image: ~/overlay/compressed 30 ms, the engine 20 ms)",
        ),
        (
            0.41, {"track_s": 0.04}, {},
            "the processor is full, this process gets 41% of the time that it asks for "
            "(per image: the engine 40 ms)",
        ),
    ],
)  # fmt: skip
def test_the_cause_that_was_measured_is_named(
    health: TrackerHealth,
    clock: Clock,
    share: float | None,
    took: dict[str, float],
    outputs_s: dict[str, float],
    words: str,
) -> None:
    for k in range(60):
        clock.now += 0.1
        health.result(result(clock.now - 0.1, **took), outputs_s)
        counters = Counters(received=3 * k, processed=k, skipped=2 * k)
        verdict, figures = health.judge(
            Snapshot("active", counters=counters, processor_share=share)
        )
    assert verdict.level is Level.WARN
    assert verdict.reason.startswith("50 of 150 images were processed in 5 s: ")
    assert words in verdict.reason
    assert figures["the engine per image, ms"] == f"{took['track_s'] * 1e3:.1f}"
    assert ("processor time given, of that asked for" in figures) == (share is not None)


def test_a_warning_of_the_node_comes_before_what_targets_do(health: TrackerHealth) -> None:
    lost = (target(7, TargetState.LOST),)
    snapshot = Snapshot("active", targets=lost, warning="another node called /tracker runs on b")
    assert judge(health, snapshot) == (Level.WARN, snapshot.warning)
    assert judge(health, replace(snapshot, problem="it failed"))[0] is Level.ERROR


def test_a_tracker_that_cannot_keep_up_is_reported(health: TrackerHealth, clock: Clock) -> None:
    counters = Counters()
    for processed in (30, 14):
        for _ in range(8):
            verdict, figures = health.judge(Snapshot("active", counters=counters))
            clock.now += 1
            counters = replace(
                counters,
                received=counters.received + 30,
                processed=counters.processed + processed,
                skipped=counters.skipped + 30 - processed,
            )
        if processed == 30:
            assert verdict.level is Level.OK
    assert verdict.level is Level.WARN
    assert verdict.reason == (
        "70 of 150 images were processed in 5 s: the engine takes too long for this rate"
    )
    assert figures["images received"] == "450" and figures["images skipped"] == "112"
    # A new session counts from zero.
    assert judge(health, Snapshot("active"))[0] is Level.OK
