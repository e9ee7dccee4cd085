"""The node's benchmark: what a second process sends, gets back, and notes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
pytest.importorskip("onnxruntime")

from siampolar_model.bench.case import Case
from siampolar_model.bench.results import NodeResult
from siampolar_model.errors import BenchError
from siampolar_model.evaluation.timing import Percentiles
from siampolar_ros.bench import camera as bench_camera
from siampolar_ros.bench import node as bench_node
from siampolar_ros.messages.conversions import stamp_to_ns
from siampolar_ros.messages.serialized_image import read_stamp
from siampolar_ros.msg import InitResult
from siampolar_ros.runtime.environment import dds_environment, local_environment

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    yield


@pytest.fixture
def case(tmp_path: Path) -> Case:
    for index in range(6):
        image = np.random.default_rng(0).integers(90, 130, (200, 320, 3), dtype=np.uint8)
        cv2.circle(image, (90 + 2 * index, 70), 30, (30, 30, 220), cv2.FILLED)
        cv2.imwrite(str(tmp_path / f"{index:05d}.png"), image)
    return Case(
        video=str(tmp_path), box_xywh=(60, 40, 60, 60), engine="onnxruntime", precision="fp32",
        num_threads=1,
    )  # fmt: skip


def test_images_are_sent_and_their_targets_come_back(case: Case) -> None:
    row = bench_node.measure_one(case, (640, 480), 10.0, 2.0)
    assert (row.image_size, row.rate_hz, row.sent) == ((640, 480), 10.0, 20)
    # Ten per second are few, but other work may have the processor.
    assert 0 <= row.lost < 10
    latency = row.latency_ms
    assert 1 < latency.p50 <= latency.p95 <= latency.p99
    assert 0 < row.node_cpu < (os.cpu_count() or 1)
    assert row.node_memory_mb > 50
    assert 0 <= row.tracking <= 1
    assert set(row.stages_ms) == {
        "there and back",
        "waiting",
        "decoding",
        "the engine",
        "publishing",
    }
    assert row.stages_ms["the engine"] > 1
    assert sum(row.stages_ms.values()) == pytest.approx(latency.p50)


def test_a_refused_target_is_said(case: Case) -> None:
    outside = Case(**{**vars(case), "box_xywh": (900.0, 900.0, 60.0, 60.0)})
    with pytest.raises(BenchError, match=r"the node refused the target: .*outside"):
        bench_node.measure_one(outside, (640, 480), 10.0, 1.0)


def test_a_camera_that_asks_again_takes_only_a_real_refusal() -> None:
    """On a busy machine a node answers later than the camera repeats its request."""
    for later in ("a later request for target 1 took its place", "no image has arrived yet"):
        assert not bench_camera.refusal(InitResult(success=False, id=1, message=later))
    assert not bench_camera.refusal(InitResult(success=True, id=1))
    refused = bench_camera.refusal(InitResult(success=False, id=1, message="box is outside"))
    assert refused == "the node refused the target: box is outside"


def test_all_sizes_and_rates(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ms = Percentiles(1, 2, 3)
    monkeypatch.setattr(
        bench_node,
        "measure_one",
        lambda case, size, rate, seconds: NodeResult(size, rate, 1, 0, 1.0, ms, 0.5, 100.0),
    )
    names: list[tuple[str, int]] = []
    rows = bench_node.measure_node(
        case, lambda: None, lambda name, left: names.append((name, left))
    )
    assert [(row.image_size, row.rate_hz) for row in rows] == [
        ((1280, 720), 30.0), ((1280, 720), 60.0), ((1920, 1080), 30.0), ((1920, 1080), 60.0),
    ]  # fmt: skip
    assert names[0] == ("node, 1280x720 at 30 Hz", 4) and names[-1][1] == 1


def test_what_is_left_of_the_latency_is_transport_and_waiting() -> None:
    reported = {
        "latency from arrival p50, ms": [6.0, 8.0],
        "latency from arrival p95, ms": [60.0, 80.0],
        "decoding per image, ms": [0.5, 0.5],
        "the engine per image, ms": [3.0, 5.0],
        "~/targets per image, ms": [0.25, 0.75],
        "~/overlay per image, ms": [0.0, 1.0],
    }
    assert bench_camera.stages_ms(10.0, reported) == pytest.approx(
        {"there and back": 3.0, "waiting": 1.5, "decoding": 0.5, "the engine": 4.0,
         "publishing": 1.0}
    )  # fmt: skip
    assert bench_camera.stages_ms(10.0, {}) == {}


def test_the_stamp_goes_where_it_belongs() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    head, rest = bench_camera._serialised(image)
    stamp_ns = 1_700_000_000_123_456_789
    data = head + bench_camera._STAMP.pack(*divmod(stamp_ns, 1_000_000_000)) + rest
    assert stamp_to_ns(read_stamp(data)) == stamp_ns
    assert data.endswith(bytes(image.nbytes))
