"""Model folders: found, checked by hash, loaded; and refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from siampolar_model.engines.base import EngineError
from siampolar_model.pretrained import load_engine, model_folder, shipped_models
from siampolar_model.results import Box
from siampolar_model.tracker import Tracker

pytest.importorskip("onnxruntime")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped model that a test may damage."""
    return Path(shutil.copytree(model_folder("siampolar_lite0"), tmp_path / "model"))


def test_the_shipped_model_loads_and_describes_itself() -> None:
    assert "siampolar_lite0" in shipped_models()
    engine = load_engine("siampolar_lite0", "onnxruntime", 1)
    assert engine.spec.name == "siampolar_lite0"
    assert (engine.spec.template_size, engine.spec.search_size) == (127, 255)


def test_a_folder_can_be_given_by_path(copy: Path) -> None:
    assert load_engine(copy).spec == load_engine("siampolar_lite0").spec


@pytest.mark.parametrize("file", ["search.onnx", "template.onnx", "weights.safetensors"])
def test_an_altered_file_is_refused(copy: Path, file: str) -> None:
    path = copy / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(EngineError, match=f"{file} was altered: SHA-256 is"):
        load_engine(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "template.onnx").unlink()
    with pytest.raises(EngineError, match=r"template\.onnx is missing"):
        load_engine(copy)


def test_a_damaged_list_of_hashes_is_refused(copy: Path) -> None:
    with (copy / "SHA256SUMS").open("a") as file:
        file.write("\n")
    with pytest.raises(EngineError, match="line '' is not a SHA-256 and a file name"):
        load_engine(copy)


def test_unknown_names_say_what_is_allowed() -> None:
    with pytest.raises(EngineError, match=r"'nonsense' is neither shipped \(siampolar_lite0"):
        load_engine("nonsense")
    with pytest.raises(EngineError, match="'gpu' is unknown; allowed: auto, onnxruntime"):
        load_engine("siampolar_lite0", "gpu")


def test_a_batch_gives_what_single_targets_give() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    boxes = [Box.from_xywh(20 + 25 * i, 30 + 10 * i, 40, 50) for i in range(5)]
    together = Tracker.from_pretrained(num_threads=1)
    for box in boxes:
        together.init(frame, box)
    batch = together.track(frame)
    for box, expected in zip(boxes, batch, strict=True):
        alone = Tracker.from_pretrained(num_threads=1)
        alone.init(frame, box)
        (result,) = alone.track(frame)
        assert result.score == pytest.approx(expected.score, abs=1e-4)
        assert result.box.as_xywh() == pytest.approx(expected.box.as_xywh(), abs=0.05)
        np.testing.assert_allclose(result.rays_px, expected.rays_px, rtol=1e-3, atol=1e-2)
