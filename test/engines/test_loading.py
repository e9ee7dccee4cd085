"""Model folders: found, checked by hash, loaded; and refused in one line."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from siampolar_model.engines import loading as pretrained
from siampolar_model.engines.loading import load_engine
from siampolar_model.errors import EngineError
from siampolar_model.geometry.box import Box
from siampolar_model.models.folder import INT8_FILE, ModelFolder, list_models
from siampolar_model.tracking.tracker import Tracker

pytest.importorskip("onnxruntime")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped model that a test may damage."""
    return Path(shutil.copytree(ModelFolder.open("siampolar_lite0").path, tmp_path / "model"))


def test_the_shipped_model_loads_and_describes_itself() -> None:
    assert "siampolar_lite0" in list_models()
    engine = load_engine("siampolar_lite0", "onnxruntime", num_threads=1)
    assert engine.spec.name == "siampolar_lite0"
    assert (engine.spec.template_size, engine.spec.search_size) == (127, 255)


def test_a_folder_can_be_given_by_path(copy: Path) -> None:
    engine, shipped = (load_engine(m, "onnxruntime") for m in (copy, "siampolar_lite0"))
    assert engine.spec == shipped.spec


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
    with pytest.raises(EngineError, match=r"'nonsense' is neither shipped .*siampolar_lite0"):
        load_engine("nonsense")
    with pytest.raises(EngineError, match=r"'gpu' is unknown; allowed: auto, .*onnxruntime"):
        load_engine("siampolar_lite0", "gpu")


def test_a_batch_gives_what_single_targets_give() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    boxes = [Box.from_xywh(20 + 25 * i, 30 + 10 * i, 40, 50) for i in range(5)]
    exact = {"precision": "fp32", "num_threads": 1}
    together = Tracker.from_pretrained(**exact)
    for box in boxes:
        together.start(frame, box)
    batch = together.update(frame)
    for box, expected in zip(boxes, batch, strict=True):
        alone = Tracker.from_pretrained(**exact)
        alone.start(frame, box)
        (result,) = alone.update(frame)
        assert result.score == pytest.approx(expected.score, abs=1e-4)
        assert result.box.as_xywh() == pytest.approx(expected.box.as_xywh(), abs=0.05)
        np.testing.assert_allclose(result.polygon_xy, expected.polygon_xy, atol=0.05)


class TestChoice:
    """Which engine and precision are taken, and what is reported about it."""

    @pytest.fixture
    def some_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on a machine with ONNX Runtime alone: the others' modules cannot be imported."""
        for name in ("openvino", "torch", "tensorrt"):
            monkeypatch.setitem(sys.modules, name, None)
        for name, (file, _, _) in pretrained.ENGINES.items():  # whatever else is listed
            if name not in ("openvino", "torch", "tensorrt", "onnxruntime"):
                monkeypatch.setitem(sys.modules, f"siampolar_model.engines.{file}", None)
        for module in list(sys.modules):
            if re.fullmatch(r"siampolar_model\.engines\.(openvino|torch|tensorrt)_engine", module):
                monkeypatch.delitem(sys.modules, module)

    def test_auto_says_what_it_took_and_why_nothing_before(self, some_missing: None) -> None:
        engine = load_engine("siampolar_lite0", num_threads=1)
        assert engine.name == "onnxruntime"
        before = list(pretrained.ENGINES)[: list(pretrained.ENGINES).index("onnxruntime")]
        assert engine.choice.startswith(
            f"siampolar_lite0 runs on onnxruntime in {engine.precision}, the first of "
        )
        for name in before:
            assert f"engine {name} cannot be used: " in engine.choice
        assert "pip install '.[openvino]' in siampolar_ros's folder" in engine.choice
        assert "engine torch" not in engine.choice and "\n" not in engine.choice

    def test_a_name_is_never_replaced_by_another(self, some_missing: None) -> None:
        with pytest.raises(EngineError, match=r"openvino cannot be used.*'\.\[openvino"):
            load_engine("siampolar_lite0", "openvino")

    def test_a_name_says_only_that(self) -> None:
        engine = load_engine("siampolar_lite0", "onnxruntime", precision="fp32")
        assert engine.choice == "siampolar_lite0 runs on onnxruntime in fp32"

    def test_nothing_that_runs_names_all(
        self, some_missing: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        monkeypatch.delitem(sys.modules, "siampolar_model.engines.onnxruntime_engine", False)
        with pytest.raises(EngineError) as caught:
            load_engine("siampolar_lite0")
        for name in pretrained.ENGINES:
            assert f"engine {name} cannot be used" in str(caught.value)

    def test_precision_that_cannot_be(self, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from siampolar_model.engines import onnxruntime_engine

        monkeypatch.setattr(onnxruntime_engine, "has_int8_dot_product", lambda: True)
        monkeypatch.setattr(onnxruntime_engine.ort, "__version__", "1.20.0")
        with pytest.raises(EngineError, match="'half' is unknown; allowed: auto, fp32, bf16"):
            load_engine(copy, precision="half")
        with pytest.raises(EngineError, match="onnxruntime cannot run in bf16: it can run in int8"):
            load_engine(copy, "onnxruntime", precision="bf16")
        (copy / INT8_FILE).unlink(missing_ok=True)
        with pytest.raises(EngineError, match=r"search\.int8\.onnx is missing; siampolar quantize"):
            load_engine(copy, "onnxruntime", precision="int8")
        with pytest.raises(EngineError, match="num_threads is 0; it must be at least 1"):
            load_engine(copy, num_threads=0)

    def test_int8_on_a_processor_without_a_dot_product(
        self, copy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from siampolar_model.engines import onnxruntime_engine

        monkeypatch.setattr(onnxruntime_engine, "has_int8_dot_product", lambda: False)
        with pytest.raises(EngineError, match="no 8-bit dot product"):
            load_engine(copy, "onnxruntime", precision="int8")
        assert load_engine(copy, "onnxruntime").precision == "fp32"

    def test_int8_in_an_onnx_runtime_that_computes_it_wrongly(
        self, copy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from siampolar_model.engines import onnxruntime_engine

        monkeypatch.setattr(onnxruntime_engine, "has_int8_dot_product", lambda: True)
        monkeypatch.setattr(onnxruntime_engine.ort, "__version__", "1.13.1")
        with pytest.raises(EngineError, match=r"ONNX Runtime 1\.13\.1 computes batches .*1\.14 or"):
            load_engine(copy, "onnxruntime", precision="int8")
        assert load_engine(copy, "onnxruntime").precision == "fp32"

    def test_int8_files_of_another_model_are_refused(self, copy: Path) -> None:
        sums = (copy / "SHA256SUMS").read_text().splitlines(keepends=True)
        (copy / "SHA256SUMS").write_text("".join(s for s in sums if INT8_FILE not in s))
        (copy / INT8_FILE).write_bytes((copy / "search.onnx").read_bytes())
        with pytest.raises(EngineError, match=r"search\.int8\.onnx is not in SHA256SUMS"):
            load_engine(copy)
