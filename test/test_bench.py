"""Timing the tracker by stage, and beside OpenCV's TrackerNano."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from blob_engine import BlobEngine

from siampolar_model.bench import PEER_FILES, RUNS, STAGES, BenchError, bench
from siampolar_model.evaluate import find_sequences
from siampolar_model.metrics import mask_box
from siampolar_model.pretrained import load_engine
from siampolar_model.results import Box, BoxError

BOX = Box.from_xywh(60, 40, 60, 60)


def images(count: int) -> list[np.ndarray]:
    out = []
    for index in range(count):
        image = np.random.default_rng(index).integers(90, 130, (200, 320, 3), dtype=np.uint8)
        cv2.circle(image, (90 + 2 * index, 70), 30, (30, 30, 220), cv2.FILLED)
        out.append(image)
    return out


def test_stages_add_up() -> None:
    runs = []
    before = cv2.getNumThreads()
    result = bench(
        BlobEngine(), images(8), BOX, num_threads=1, on_run=lambda: runs.append(len(runs))
    )
    assert cv2.getNumThreads() == before
    json.dumps(result, allow_nan=False)
    assert len(runs) == RUNS
    assert (result["engine"], result["threads"], result["frames"]) == ("blob", 1, 8)
    assert result["versions"]["opencv"] == cv2.__version__
    assert "peers" not in result
    ms = result["tracker"]["ms"]
    assert set(ms) == {"total", *STAGES}
    for row in ms.values():
        assert 0 <= row["p50"] <= row["p95"] <= row["p99"]
    assert result["tracker"]["fps"] == pytest.approx(1000 / ms["total"]["p50"])
    # Medians of parts need not add up exactly; the engine is most of it here.
    assert sum(ms[stage]["p50"] for stage in STAGES) == pytest.approx(ms["total"]["p50"], rel=0.3)
    assert ms["infer"]["p50"] > ms["crop"]["p50"]


def test_beside_trackernano(shared_data: Callable[[str], Path]) -> None:
    if not hasattr(cv2, "TrackerNano_create"):
        pytest.skip(f"OpenCV {cv2.__version__} has no TrackerNano")
    result = bench(BlobEngine(), images(4), BOX, num_threads=2, peer=shared_data("peers/nanotrack"))
    peer = result["peers"]["trackernano_v2"]
    assert len(peer["runs"]) == RUNS
    ratios = [run["tracker_fps"] / run["peer_fps"] for run in peer["runs"]]
    assert peer["fps_ratio"] == pytest.approx(np.median(ratios))
    assert min(ratios) <= peer["fps_ratio"] <= max(ratios)


@pytest.mark.slow
def test_the_shipped_model_beside_trackernano(shared_data: Callable[[str], Path]) -> None:
    """On real frames, warm, in one process: at least a quarter of the peer's rate."""
    pytest.importorskip("onnxruntime")
    if not hasattr(cv2, "TrackerNano_create"):
        pytest.skip(f"OpenCV {cv2.__version__} has no TrackerNano")
    peer = shared_data("peers/nanotrack")
    sequence = find_sequences(shared_data("davis-dev"), ["dog"])[0]
    box = mask_box(cv2.imread(str(sequence.masks[0]), cv2.IMREAD_GRAYSCALE))
    assert box is not None
    frames = [cv2.imread(str(path)) for path in sequence.images]
    engine = load_engine("siampolar_lite0", "onnxruntime", num_threads=2)
    ratios: list[float] = []
    # Other work on the machine hits the longer computation harder, so a low figure is repeated.
    while len(ratios) < 3 and max(ratios, default=0) < 0.25:
        result = bench(engine, frames, box, num_threads=2, peer=peer)["peers"]["trackernano_v2"]
        ratios.append(result["fps_ratio"])
    print(f"{ratios} of TrackerNano's rate")
    assert max(ratios) >= 0.25


class TestErrors:
    def test_one_frame(self) -> None:
        with pytest.raises(BenchError, match="1 frames; a benchmark needs at least 2"):
            bench(BlobEngine(), images(1), BOX, num_threads=1)

    def test_box(self) -> None:
        with pytest.raises(BoxError, match="wholly outside"):
            bench(BlobEngine(), images(2), Box(900, 900, 950, 950), num_threads=1)

    def test_peer_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("TrackerNano_create", "TrackerNano_Params"):
            monkeypatch.setattr(cv2, name, lambda: None, raising=False)
        with pytest.raises(BenchError, match=r"nanotrack_backbone\.onnx: no such file"):
            bench(BlobEngine(), images(2), BOX, num_threads=1, peer=tmp_path)

    def test_damaged_peer(self, tmp_path: Path) -> None:
        if not hasattr(cv2, "TrackerNano_create"):
            pytest.skip(f"OpenCV {cv2.__version__} has no TrackerNano")
        for name in PEER_FILES:
            (tmp_path / name).write_bytes(b"no network")
        with pytest.raises(BenchError, match="TrackerNano cannot run") as caught:
            bench(BlobEngine(), images(2), BOX, num_threads=1, peer=tmp_path)
        assert "\n" not in str(caught.value)

    def test_opencv_without_the_peer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(cv2, "TrackerNano_create", raising=False)
        with pytest.raises(BenchError, match=r"OpenCV 4\.7 or later; this is"):
            bench(BlobEngine(), images(2), BOX, num_threads=1, peer=tmp_path)
