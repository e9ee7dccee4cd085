"""TensorRT's ONNX parser has every operator and attribute that our files use.

Against its documentation (tensorrt_operators.py); networks of config/ are checked where
test_export.py exports them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
import onnx
from conftest import ROOT
from onnx import TensorProto, helper, numpy_helper

from siampolar_model.export.fp16 import to_fp16
from siampolar_model.models.folder import INT8_FILE
from support.tensorrt_operators import TABLE, obstacles

#: All but the 8-bit file for processors: its zero points are nothing for TensorRT.
FILES = [
    path
    for path in sorted((ROOT / "siampolar_model" / "weights").glob("*/*.onnx"))
    if path.name != INT8_FILE
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_file_is_read(path: Path) -> None:
    assert obstacles(onnx.load(str(path))) == []


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name == "search.onnx"], ids=lambda path: path.parent.name
)
def test_the_fp16_file_made_of_it_is_read(path: Path) -> None:
    assert obstacles(to_fp16(onnx.load(str(path)))) == []


def graph(
    op: str,
    inputs: dict[str, Any],
    outputs: int = 1,
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
    **attributes: Any,
) -> Any:
    """One node; arrays are constants, tuples are shapes of inputs, None leaves one out."""
    values, weights = [], []
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            weights.append(numpy_helper.from_array(value, name))
        elif value is not None:
            given, shape = value if isinstance(value[-1], tuple) else (kind, value)
            values.append(helper.make_tensor_value_info(name, given, shape))
    names = [name if value is not None else "" for name, value in inputs.items()]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="node", **attributes)
    infos = [helper.make_empty_tensor_value_info(name) for name in results]
    made = helper.make_graph([node], "one", values, infos, weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    return onnx.shape_inference.infer_shapes(model)


X = (1, 2, 8, 8)
SCALES = np.array([1, 1, 2, 2], np.float32)
RESIZE = {"x": X, "roi": None, "scales": SCALES}
ONE = np.array([1], np.int64)


@pytest.mark.parametrize(
    "model",
    [
        graph("GridSample", {"x": X, "grid": (1, 4, 4, 2)}),
        graph("GridSample", {"x": X, "grid": (1, 4, 4, 2)}, mode="nearest", padding_mode="border"),
        graph("Resize", RESIZE, mode="linear", coordinate_transformation_mode="align_corners"),
        graph("Resize", RESIZE, mode="nearest", nearest_mode="floor"),
        graph("CumSum", {"x": X, "axis": np.array(1, np.int64)}),
        graph("ArgMax", {"x": X}, axis=1),
        graph("Softmax", {"x": X}, axis=1),
        graph("Sigmoid", {"x": X}),
        graph("Gather", {"x": X, "i": ONE}, axis=2),
        graph("GatherElements", {"x": X, "i": (TensorProto.INT64, X)}, axis=2),
        graph("TopK", {"x": X, "k": ONE}, 2, axis=1),
        graph("ReduceSum", {"x": X, "axes": ONE}),
        graph("ReduceMean", {"x": X}, axes=[1]),
        graph("Slice", {"x": X, "a": ONE, "b": ONE + 1, "axes": ONE}),
        graph("MaxPool", {"x": X}, kernel_shape=[2, 2]),
        graph("Cast", {"x": X}, kind=TensorProto.UINT8, to=TensorProto.FLOAT),
        graph(
            "QuantizeLinear",
            {"x": X, "s": np.array(0.1, np.float32), "z": np.array(0, np.int8)},
        ),
    ],
    ids=lambda model: model.graph.node[0].op_type,
)
def test_what_the_parser_takes_passes(model: Any) -> None:
    assert obstacles(model) == []


@pytest.mark.parametrize(
    ("model", "obstacle"),
    [
        (graph("Unique", {"x": (8,)}, sorted=1), "Unique 'node': not supported"),
        (graph("Sigmoid", {"x": X}, opset=21), "opset 21"),
        (graph("Transpose", {"x": X}, kind=TensorProto.UINT8), "not for UINT8"),
        (graph("Gelu", {"x": X}, opset=20, kind=TensorProto.DOUBLE), "not for 11"),
        (graph("GridSample", {"x": X, "grid": (1, 4, 4, 2)}, opset=20, mode="linear"), "restrict"),
        (graph("Resize", RESIZE, mode="cubic"), "restricted"),
        (
            graph("Resize", RESIZE, coordinate_transformation_mode="tf_crop_and_resize"),
            "restricted",
        ),
        (graph("CumSum", {"x": X, "axis": (TensorProto.INT64, ())}), "restricted"),
        (graph("TopK", {"x": X, "k": ONE}, 2, axis=1, sorted=0), "restricted"),
        (graph("TopK", {"x": (1, 9000), "k": 4000 * ONE}, 2, axis=1), "restricted"),
        (graph("ReduceSum", {"x": X, "axes": (TensorProto.INT64, (1,))}), "restricted"),
        (graph("MaxPool", {"x": X}, 2, kernel_shape=[2, 2]), "restricted"),
        (graph("MaxPool", {"x": X}, kernel_shape=[2, 2], dilations=[2, 2]), "restricted"),
        (graph("AveragePool", {"x": (1, 2, 8)}, kernel_shape=[2]), "restricted"),
        (
            graph(
                "QuantizeLinear",
                {"x": X, "s": np.array(0.1, np.float32), "z": np.array(128, np.uint8)},
            ),
            "restricted",
        ),
        (
            graph(
                "DequantizeLinear",
                {"b": np.ones(4, np.int32), "s": np.array(0.1, np.float32)},
            ),
            "restricted",
        ),
        (graph("EyeLike", {"x": (4, 4)}), "not checked here yet"),
    ],
    ids=lambda value: value.graph.node[0].op_type if hasattr(value, "graph") else "",
)
def test_what_the_parser_does_not_take_is_named(model: Any, obstacle: str) -> None:
    assert any(obstacle in line for line in obstacles(model)), obstacles(model)


def test_the_table_knows_every_operator_of_its_opsets() -> None:
    """All of ONNX up to opset 20, so that no name is missing for want of a row."""
    named = {
        schema.name
        for schema in onnx.defs.get_all_schemas()
        if schema.domain == "" and schema.since_version <= 20
    }
    # String and image operators of opset 20, and one of control flow, are not in the document.
    assert named - set(TABLE) <= {
        "AffineGrid", "ImageDecoder", "Optional", "OptionalGetElement", "OptionalHasElement",
        "RegexFullMatch", "StringConcat", "StringSplit",
    }  # fmt: skip
