"""INT8 graphs: which convolutions, what the files hold, and how far the answers are from fp32."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
from onnx import helper, numpy_helper

from siampolar_model.cli.main import main
from siampolar_model.engines.base import Candidates
from siampolar_model.engines.loading import load_engine
from siampolar_model.errors import DatasetError, EngineError, ExportError
from siampolar_model.export import int8 as module
from siampolar_model.export.calibration import crop_pairs
from siampolar_model.export.compare import difference
from siampolar_model.export.int8 import first_convolutions, quantize
from siampolar_model.models.folder import INT8_FILE, TENSORRT_INT8_FILE, ModelFolder, sha256

PAIRS = 9


def draw_photos(folder: Path, count: int) -> Path:
    """Photographs of one ellipse each, in DAVIS layout."""
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind / "photos").mkdir(parents=True)
    for index in range(count):
        rng = np.random.default_rng(index)
        noise = rng.integers(60, 200, (30, 40, 3), dtype=np.uint8)
        image = cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC)
        mask = np.zeros((300, 400), np.uint8)
        center = (int(rng.integers(150, 250)), int(rng.integers(120, 180)))
        axes = (int(rng.integers(40, 70)), int(rng.integers(30, 60)))
        color = [int(v) for v in rng.integers(0, 255, 3)]
        cv2.ellipse(image, center, axes, 20, 0, 360, color, cv2.FILLED)
        cv2.ellipse(mask, center, axes, 20, 0, 360, 1, cv2.FILLED)
        cv2.imwrite(str(folder / "JPEGImages" / "photos" / f"{index:05d}.jpg"), image)
        cv2.imwrite(str(folder / "Annotations" / "photos" / f"{index:05d}.png"), mask)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos"), PAIRS)


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model with INT8 files fitted to drawings."""
    out = tmp_path_factory.mktemp("int8")
    quantize("siampolar_lite0", photos, out, pairs=PAIRS)
    return out


class TestWhichConvolutions:
    def test_the_first(self) -> None:
        """image -> a -> b -> c, b -> Add(c) -> d; and e beside them, alone."""
        nodes = [
            helper.make_node("Mul", ["image", "scale"], ["x"], name="normalise"),
            helper.make_node("Conv", ["x", "w"], ["ya"], name="a"),
            helper.make_node("Relu", ["ya"], ["ra"], name="relu"),
            helper.make_node("Conv", ["ra", "w"], ["yb"], name="b"),
            helper.make_node("Conv", ["yb", "w"], ["yc"], name="c"),
            helper.make_node("Add", ["yb", "yc"], ["sum"], name="add"),
            helper.make_node("Conv", ["sum", "w"], ["yd"], name="d"),
            helper.make_node("Sigmoid", ["yd"], ["score"], name="sigmoid"),
            helper.make_node("Conv", ["x", "w"], ["lone"], name="e"),
        ]
        graph = helper.make_graph(nodes, "test", [], [])
        assert first_convolutions(graph) == ["a", "e"]

    def test_in_the_shipped_model(self) -> None:
        graph = onnx.load(str(ModelFolder.open("siampolar_lite0").path / "search.onnx")).graph
        names = [node.name for node in graph.node if node.op_type == "Conv"]
        assert first_convolutions(graph) == names[:1]


def _constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


class TestFiles:
    def test_every_other_convolution_is_quantised(self, made: Path) -> None:
        source = onnx.load(str(made / "search.onnx"))
        first = first_convolutions(source.graph)
        count = sum(node.op_type == "Conv" for node in source.graph.node)
        for file in (INT8_FILE, TENSORRT_INT8_FILE):
            graph = onnx.load(str(made / file)).graph
            exact = set(first if file == TENSORRT_INT8_FILE else ())
            makers = {name: node.op_type for node in graph.node for name in node.output}
            convolutions = [node for node in graph.node if node.op_type == "Conv"]
            assert len(convolutions) == count
            for node in convolutions:
                kinds = {makers.get(name) == "DequantizeLinear" for name in node.input[:2]}
                assert kinds == {node.name not in exact}, node.name
            # Nothing that decides between candidates or measures pixels is rounded.
            others = {n.op_type for n in graph.node} - {n.op_type for n in source.graph.node}
            assert others == {"QuantizeLinear", "DequantizeLinear"}

    def test_zero_points(self, made: Path) -> None:
        for file, kind in ((INT8_FILE, np.uint8), (TENSORRT_INT8_FILE, np.int8)):
            model = onnx.load(str(made / file))
            constants = _constants(model)
            assert [entry.domain for entry in model.opset_import] == [""]
            assert model.ir_version == onnx.load(str(made / "search.onnx")).ir_version
            for node in model.graph.node:
                if node.op_type == "QuantizeLinear":
                    assert constants[node.input[2]].dtype == kind
                    assert constants[node.input[1]].ndim == 0  # one scale a tensor
                if node.op_type == "DequantizeLinear" and file == TENSORRT_INT8_FILE:
                    zero = constants[node.input[2]]
                    assert zero.dtype == np.int8 and not zero.any()

    def test_tensorrt_reads_its_file(self, made: Path) -> None:
        pytest.importorskip("tensorrt_rtx_bindings")
        from support.nvidia_parser import parser_errors

        assert parser_errors(made / TENSORRT_INT8_FILE) == []

    def test_inputs_and_outputs_stay(self, made: Path) -> None:
        source = onnx.load(str(made / "search.onnx")).graph
        for file in (INT8_FILE, TENSORRT_INT8_FILE):
            graph = onnx.load(str(made / file)).graph
            assert list(graph.input) == list(source.input)
            assert list(graph.output) == list(source.output)

    def test_hashes_and_metadata(self, made: Path) -> None:
        assert ModelFolder.open(made).path == made  # checks all hashes
        sums = (made / "SHA256SUMS").read_text()
        for file in (INT8_FILE, TENSORRT_INT8_FILE):
            assert f"{sha256(made / file)}  {file}\n" in sums
            (entry,) = onnx.load(str(made / file)).metadata_props
            about = json.loads(entry.value)
            assert about["derived_from_sha256"] == sha256(made / "search.onnx")
            assert about["precision"] == "int8"
            assert about["calibration"]["crops"] == PAIRS * 2 // 3
            assert about["spec"]["name"] == "siampolar_lite0"
        original = ModelFolder.open("siampolar_lite0").path
        for file in ("search.onnx", "template.onnx", "weights.safetensors"):
            assert sha256(made / file) == sha256(original / file)

    def test_engines_take_it(self, made: Path) -> None:
        engine = load_engine(made, "onnxruntime", num_threads=1)
        assert engine.precision in ("int8", "fp32")  # fp32: this CPU has no dot product
        assert "runs on onnxruntime in" in engine.choice

    def test_again_into_its_own_folder(self, made: Path, photos: Path, tmp_path: Path) -> None:
        """The same bytes, and no hash listed twice."""
        copy = Path(shutil.copytree(made, tmp_path / "model"))
        steps: list[str] = []
        quantize(copy, photos, copy, lambda name, done, total: steps.append(name), PAIRS)
        for path in made.iterdir():
            assert (copy / path.name).read_bytes() == path.read_bytes(), path.name
        assert steps == ["crops"] * PAIRS + [INT8_FILE, TENSORRT_INT8_FILE]


class TestErrors:
    def test_a_result_that_is_far_off(
        self, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MIN_OUTLINE_IOU", 1.1)
        out = tmp_path / "out"
        with pytest.raises(ExportError, match=r"search\.int8\.onnx: the mean IoU .*1\.1"):
            quantize("siampolar_lite0", photos, out, pairs=PAIRS)
        assert not out.exists()

    def test_too_few_photographs(self, photos: Path, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=f"{PAIRS} annotated photographs, 300 are"):
            quantize("siampolar_lite0", photos, tmp_path / "out")
        with pytest.raises(DatasetError, match="0 annotated photographs"):
            quantize("siampolar_lite0", tmp_path, tmp_path / "out")

    def test_photographs_may_be_of_any_kind_of_picture(self, tmp_path: Path) -> None:
        spec = load_engine("siampolar_lite0", "onnxruntime").spec
        folder = draw_photos(tmp_path, 2)
        jpeg = folder / "JPEGImages" / "photos" / "00000.jpg"
        assert cv2.imwrite(str(jpeg.with_suffix(".webp")), cv2.imread(str(jpeg)))
        jpeg.unlink()
        assert len(list(crop_pairs(folder, spec, 2))) == 2

    def test_damaged_photographs(self, tmp_path: Path) -> None:
        spec = load_engine("siampolar_lite0", "onnxruntime").spec
        folder = draw_photos(tmp_path, 2)
        first = folder / "JPEGImages" / "photos" / "00000.jpg"
        first.write_bytes(b"no image")
        with pytest.raises(DatasetError, match=r"00000\.jpg: not a readable image"):
            list(crop_pairs(folder, spec, 2))
        cv2.imwrite(str(first), np.zeros((10, 10, 3), np.uint8))
        with pytest.raises(DatasetError, match=r"00000\.png: no object, or not of the size"):
            list(crop_pairs(folder, spec, 2))

    def test_command(
        self, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["quantize", "siampolar_lite0", "--photos", str(photos)]
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--out", str(tmp_path / "out")])
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        assert "annotated photographs, 300 are needed" in error


def test_crops_show_the_object(photos: Path) -> None:
    spec = load_engine("siampolar_lite0", "onnxruntime").spec
    for pair in crop_pairs(photos, spec, PAIRS):
        assert pair.template.shape == (spec.template_size, spec.template_size, 3)
        assert pair.search.shape == (spec.search_size, spec.search_size, 3)
        x1, y1, x2, y2 = pair.box_xyxy
        assert 0 < x1 < x2 < spec.template_size and 0 < y1 < y2 < spec.template_size
        # The object's colour is around the middle of both.
        size = spec.search_size
        middle = pair.search[size // 4 : -size // 4, size // 4 : -size // 4].reshape(-1, 3)
        color = pair.template[int((y1 + y2) / 2), int((x1 + x2) / 2)].astype(int)
        assert (np.abs(middle.astype(int) - color).max(1) < 30).mean() > 0.1


@pytest.mark.slow
def test_answers_on_real_crops(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Every engine's INT8 compared with ONNX Runtime's fp32, on photographs."""
    photos = shared_data("photos")
    quantize("siampolar_lite0", photos, tmp_path, pairs=90)
    exact = load_engine(tmp_path, "onnxruntime", precision="fp32")
    pairs = list(crop_pairs(photos, exact.spec, 40))
    compared = []
    for name in ("onnxruntime", "openvino"):
        try:
            engine = load_engine(tmp_path, name, precision="int8")
        except EngineError as error:
            print(f"left out: {error}")
            continue
        found: dict[str, list[Candidates]] = {"exact": [], name: []}
        for which, one in (("exact", exact), (name, engine)):
            for pair in pairs:
                one.encode(1, pair.template, pair.box_xyxy)
                found[which].append(one.search([1], pair.search[None], pair.prior[None]))
        compared.append((name, difference(found[name], found["exact"])))
    assert compared, "no engine runs INT8 here"
    for name, off in compared:
        print(name, off)
        assert off.score < 0.02 and off.box_iou > 0.96 and off.outline_iou > 0.95, (name, off)
