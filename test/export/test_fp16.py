"""The fp16 file: what computes in half, what does not, and that the answers stay."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
import onnxruntime as ort
from conftest import ROOT
from onnx import TensorProto, helper, numpy_helper

from siampolar_model.cli import main as cli
from siampolar_model.errors import EngineError, ExportError
from siampolar_model.export.fp16 import derive_fp16, to_fp16
from siampolar_model.export.metadata import read_metadata
from siampolar_model.models.folder import FP16_FILE, ModelFolder, sha256

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {i.name: i.data_type for i in graph.initializer}


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Otherwise casts there and back are dropped, and with them the rounding.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def graph(
    nodes: Sequence[
        tuple[str, Sequence[str], str] | tuple[str, Sequence[str], str, dict[str, Any]]
    ],
    inputs: dict[str, Sequence[int]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    made = helper.make_graph(
        [
            helper.make_node(op, list(names), [out], name=out, **(more[0] if more else {}))
            for op, names, out, *more in nodes
        ],
        "small",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# --- the shipped network --------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> onnx.ModelProto:
    return onnx.load(str(ModelFolder.open("siampolar_lite0").path / "search.onnx"))


@pytest.fixture(scope="module")
def converted(shipped: onnx.ModelProto) -> onnx.ModelProto:
    return to_fp16(shipped)


def test_convolutions_are_half_and_the_choice_is_not(converted: onnx.ModelProto) -> None:
    of = types(converted)
    kinds: dict[str, set[int]] = {}
    for node in converted.graph.node:
        kinds.setdefault(node.op_type, set()).add(of.get(node.output[0], 0))
    assert kinds["Conv"] == {HALF}
    for op in ("TopK", "Sigmoid", "Exp"):
        assert kinds.get(op, {FLOAT}) == {FLOAT}, op
    for value in (*converted.graph.input, *converted.graph.output):
        assert value.type.tensor_type.elem_type in (FLOAT, TensorProto.UINT8), value.name


def test_little_is_cast_back_and_forth(
    shipped: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    """Each cast is a pass over memory; a chain of convolutions has none inside."""
    casts = sum(node.op_type == "Cast" for node in converted.graph.node)
    assert casts <= 30
    size = len(converted.SerializeToString()) / len(shipped.SerializeToString())
    assert size < 0.6


def test_answers_stay_close_on_a_photograph(
    shipped: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    import cv2

    shapes = {
        value.name: [d.dim_value or 2 for d in value.type.tensor_type.shape.dim]
        for value in shipped.graph.input
    }
    size = shapes["crops"][1]
    photo = cv2.imread(str(ROOT / "docs" / "images" / "demo.jpg"))[:size, :size]
    crop = cv2.resize(photo, (size, size))
    feeds = {
        "crops": np.stack([crop, crop[:, ::-1]]),
        "features": np.random.default_rng(0).normal(0, 0.1, shapes["features"]).astype(np.float32),
        "prior": np.array([[0.3, 0.15, size / 4, size / 4, size / 2, size / 2]] * 2, np.float32),
    }
    names = [output.name for output in shipped.graph.output]
    exact = dict(zip(names, run(shipped, feeds), strict=True))
    half = dict(zip(names, run(converted, feeds), strict=True))
    np.testing.assert_allclose(half["score"][:, 0], exact["score"][:, 0], atol=0.01)
    # Near-equal candidates may change places behind the first.
    np.testing.assert_array_equal(half["center_xy"][:, 0], exact["center_xy"][:, 0])
    np.testing.assert_allclose(half["box_xyxy"][:, 0], exact["box_xyxy"][:, 0], atol=1)
    np.testing.assert_allclose(half["rays_px"][:, 0], exact["rays_px"][:, 0], rtol=0.03, atol=0.3)


# --- rules ----------------------------------------------------------------------------------

KERNEL = np.ones((2, 2, 1, 1), np.float32)
X = {"x": (1, 2, 4, 4)}


def test_what_follows_a_convolution_is_half_until_something_needs_more() -> None:
    model = to_fp16(
        graph(
            [
                ("Conv", ("x", "w"), "a"),
                ("Relu", ("a",), "b"),
                ("Conv", ("b", "w"), "c"),
                ("Sigmoid", ("c",), "d"),
                ("Relu", ("d",), "y"),
            ],
            X,
            ["y"],
            {"w": KERNEL},
        )
    )
    of = types(model)
    assert [of[name] for name in "abcdy"] == [HALF, HALF, HALF, FLOAT, FLOAT]
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 2


def test_an_offset_in_half_does_not_round_the_place_it_is_added_to() -> None:
    model = to_fp16(
        graph(
            [("Conv", ("x", "w"), "offset"), ("Add", ("place", "offset"), "y")],
            {**X, "place": (1, 2, 4, 4)},
            ["y"],
            {"w": KERNEL},
        )
    )
    place = np.full((1, 2, 4, 4), 200.03, np.float32)  # 200 or 200.125 in half
    (y,) = run(model, {"x": np.zeros((1, 2, 4, 4), np.float32), "place": place})
    np.testing.assert_array_equal(y, place)


def test_template_features_are_cast_where_they_meet_a_map() -> None:
    model = to_fp16(
        graph(
            [
                ("Conv", ("x", "w"), "map"),
                ("Mul", ("map", "features"), "weighted"),
                ("MatMul", ("weighted", "kernel"), "y"),
            ],
            {**X, "features": (1, 2, 1, 1), "kernel": (1, 2, 4, 3)},
            ["y"],
            {"w": KERNEL},
        )
    )
    of = types(model)
    assert of["weighted"] == HALF and of["y"] == FLOAT
    assert {n.op_type: of[n.output[0]] for n in model.graph.node}["MatMul"] == HALF


def test_an_output_of_a_convolution_stays_fp32_also_for_others() -> None:
    model = to_fp16(
        graph(
            [("Conv", ("x", "w"), "y"), ("Relu", ("y",), "z"), ("Exp", ("y",), "e")],
            X,
            ["y", "z", "e"],
            {"w": KERNEL},
        )
    )
    of = types(model)
    assert (of["y"], of["z"], of["e"]) == (FLOAT, FLOAT, FLOAT)
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype(np.float32)
    y, z, e = run(model, {"x": x})
    np.testing.assert_allclose(y, x.sum(1, keepdims=True).repeat(2, 1), atol=5e-3)
    np.testing.assert_allclose(z, np.maximum(y, 0), atol=5e-3)
    np.testing.assert_allclose(e, np.exp(y), rtol=5e-3)


def test_a_constant_serves_both_types_and_limits_beyond_half_are_clamped() -> None:
    model = to_fp16(
        graph(
            [
                ("Conv", ("x", "w"), "a"),
                ("Clip", ("a", "low", "high"), "b"),
                ("Mul", ("b", "two"), "c"),
                ("Sigmoid", ("c",), "d"),
                ("Mul", ("d", "two"), "y"),
            ],
            X,
            ["y"],
            {
                "w": KERNEL,
                "low": np.array(0, np.float32),
                "high": np.array(3e38, np.float32),
                "two": np.array(2, np.float32),
            },
        )
    )
    weights = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    assert weights["high_fp16"] == np.float16(65504)
    assert weights["two"].dtype == np.float32 and weights["two_fp16"].dtype == np.float16
    assert "high" not in weights, "not used any more"
    (y,) = run(model, {"x": np.ones((1, 2, 4, 4), np.float32)})
    np.testing.assert_allclose(y, 2 / (1 + np.exp(-4.0)), rtol=1e-3)


def test_scales_of_a_resize_stay_fp32() -> None:
    model = to_fp16(
        graph(
            [
                ("Conv", ("x", "w"), "a"),
                ("Resize", ("a", "", "scales"), "b", {"mode": "linear"}),
                ("Conv", ("b", "w"), "y"),
            ],
            X,
            ["y"],
            {"w": KERNEL, "scales": np.array([1, 1, 2, 2], np.float32)},
        )
    )
    assert types(model)["b"] == HALF and types(model)["scales"] == FLOAT
    (y,) = run(model, {"x": np.ones((1, 2, 4, 4), np.float32)})
    assert y.shape == (1, 2, 8, 8) and np.all(y == 4)


def test_a_quantised_graph_is_refused() -> None:
    model = graph(
        [("QuantizeLinear", ("x", "s", "z"), "q"), ("DequantizeLinear", ("q", "s", "z"), "y")],
        X,
        ["y"],
        {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)},
    )
    with pytest.raises(ExportError, match="quantized already"):
        to_fp16(model)


# --- files ----------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(ModelFolder.open("siampolar_lite0").path, folder)
    (folder / FP16_FILE).unlink(missing_ok=True)
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(x for x in lines if FP16_FILE not in x))
    return folder


def test_the_file_names_its_origin_and_is_listed_once(copy: Path) -> None:
    for _ in range(2):
        path = derive_fp16(ModelFolder.open(copy)).file(FP16_FILE)
    about = read_metadata(onnx.load(str(path)))
    assert about["precision"] == "fp16"
    assert about["derived_from_sha256"] == sha256(copy / "search.onnx")
    assert about["commit"] == read_metadata(onnx.load(str(copy / "search.onnx")))["commit"]
    sums = (copy / "SHA256SUMS").read_text()
    assert sums.count(FP16_FILE) == 1 and f"{sha256(path)}  {FP16_FILE}\n" in sums
    assert ModelFolder.open(copy).path == copy


def test_a_file_that_is_not_listed_is_refused(copy: Path) -> None:
    before = (copy / "SHA256SUMS").read_text()
    derive_fp16(ModelFolder.open(copy))
    (copy / "SHA256SUMS").write_text(before)
    with pytest.raises(
        EngineError, match=r"fp16\.onnx is not in SHA256SUMS.*quantize .* --precision fp16"
    ):
        ModelFolder.open(copy)


def test_every_shipped_fp16_file_was_made_of_the_search_graph_beside_it() -> None:
    for path in (ROOT / "siampolar_model" / "weights").glob(f"*/{FP16_FILE}"):
        about = read_metadata(onnx.load(str(path)))
        assert about["derived_from_sha256"] == sha256(path.with_name("search.onnx"))


def quantize(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["quantize", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_command_adds_the_file_to_the_model_or_to_a_copy(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert quantize(copy, "--precision", "fp16", "--out", other) == 0
    assert (other / FP16_FILE).is_file() and not (copy / FP16_FILE).exists()
    assert quantize(copy, "--precision", "fp16") == 0
    for folder in (copy, other):
        assert FP16_FILE in ModelFolder.open(folder).files
    assert (copy / FP16_FILE).read_bytes() == (other / FP16_FILE).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "--precision", "fp16"], "model 'nothing' is neither shipped"),
        (["siampolar_lite0", "--precision", "fp16", "--photos", "a"], "--photos is for"),
        (["siampolar_lite0"], "--photos is missing"),
        (["siampolar_lite0", "--precision", "fp8"], "'fp8'"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and len(error.splitlines()) == 1
