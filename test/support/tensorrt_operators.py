"""Whether TensorRT's ONNX parser reads a graph, by what it documents.

tensorrt_operators.csv is the operator table of onnx-tensorrt 10.1 (docs/operators.md): which
operators there are, for which types, and whether there are restrictions. 10.2 and 10.3 (JetPack 6)
only added to it: axes of Slice as a tensor, a newer plugin for ScatterElements (its Changelog.md).
The restrictions of the operators that our networks use or may use stand here as checks; an operator
with restrictions that nobody has written down here does not pass.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Opsets that the parser knows.
OPSETS = range(9, 21)

_TYPES = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.INT8: "INT8",
    TensorProto.UINT8: "UINT8",
    TensorProto.BOOL: "BOOL",
}


@dataclass(frozen=True)
class Operator:
    supported: bool
    types: frozenset[str]
    restricted: bool


def _read_table() -> dict[str, Operator]:
    with (Path(__file__).parent / "tensorrt_operators.csv").open(newline="") as file:
        return {
            row["operator"]: Operator(
                row["supported"] == "yes",
                frozenset(row["types"].split()),
                row["restricted"] == "yes",
            )
            for row in csv.DictReader(file)
        }


TABLE = _read_table()


@dataclass(frozen=True)
class _Node:
    """A node with what a check wants to know of it."""

    op_type: str
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, np.ndarray]
    ranks: dict[str, int]

    def constant(self, index: int) -> np.ndarray | None:
        """Value of an input; None if it is computed. What is left out is an empty array."""
        if index >= len(self.inputs) or not self.inputs[index]:
            return np.zeros(0)
        return self.constants.get(self.inputs[index])

    def rank(self, index: int = 0) -> int:
        return self.ranks[self.inputs[index]]


def _pool(node: _Node) -> bool:
    dilations = node.attributes.get("dilations", [])
    indices = len(node.outputs) > 1 and bool(node.outputs[1])
    return node.rank() in (4, 5) and set(dilations) <= {1} and not indices


def _grid_sample(node: _Node) -> bool:
    # The parser takes an unknown mode, such as "linear" of opset 20, for "nearest".
    mode = node.attributes.get("mode", b"bilinear").decode()
    padding = node.attributes.get("padding_mode", b"zeros").decode()
    return (
        node.rank() == 4
        and mode in ("bilinear", "nearest", "bicubic")
        and padding in ("zeros", "border", "reflection")
    )


def _resize(node: _Node) -> bool:
    def text(name: str, default: str) -> str:
        return str(node.attributes.get(name, default.encode()).decode())

    return (
        text("coordinate_transformation_mode", "half_pixel")
        in (
            "half_pixel",
            "pytorch_half_pixel",
            "tf_half_pixel_for_nn",
            "asymmetric",
            "align_corners",
        )
        and text("mode", "nearest") in ("nearest", "linear")
        and text("nearest_mode", "round_prefer_floor")
        in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
        and text("keep_aspect_ratio_policy", "stretch") == "stretch"
        and "axes" not in node.attributes
        and node.constant(2) is not None
    )


def _top_k(node: _Node) -> bool:
    k = node.constant(1)
    return node.attributes.get("sorted", 1) == 1 and k is not None and int(k.item()) < 3840


def _quantise(node: _Node) -> bool:
    """INT8 only symmetric: zero points are int8 zeros, and biases are not quantised."""
    scale, zero = node.constant(1), node.constant(2)
    if scale is None or zero is None or (zero.size and (zero.dtype != np.int8 or zero.any())):
        return False
    values = node.constants.get(node.inputs[0])
    return node.op_type == "QuantizeLinear" or values is None or values.dtype == np.int8


def _constant_axes(index: int) -> Callable[[_Node], bool]:
    """Axes are an attribute or a constant input."""
    return lambda node: node.constant(index) is not None


_CHECKS: dict[str, Callable[[_Node], bool]] = {
    "AveragePool": _pool,
    # Other kinds of constants than tensors.
    "Constant": lambda node: set(node.attributes) <= {"value", "value_float", "value_floats",
                                                      "value_int", "value_ints"},
    "CumSum": _constant_axes(1),
    "DequantizeLinear": _quantise,
    "GridSample": _grid_sample,
    "LayerNormalization": lambda node: not any(node.outputs[1:]),
    "MaxPool": _pool,
    "Pad": lambda node: node.constant(1) is not None and node.constant(3) is not None,
    "QuantizeLinear": _quantise,
    **{f"Reduce{name}": _constant_axes(1) for name in (
        "L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")},
    "Resize": _resize,
    "ScatterND": lambda node: node.attributes.get("reduction", b"none") == b"none",
    "Slice": _constant_axes(3),
    "Squeeze": _constant_axes(1),
    "TopK": _top_k,
    "Unsqueeze": _constant_axes(1),
}  # fmt: skip


def obstacles(model: onnx.ModelProto) -> list[str]:
    """One line for everything in a graph that the parser does not take."""
    found = [
        f"opset {one.version} of {one.domain or 'ONNX'}"
        for one in model.opset_import
        if one.domain not in ("", "ai.onnx") or one.version not in OPSETS
    ]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    kinds = {i.name: i.data_type for i in graph.initializer}
    ranks = {name: values.ndim for name, values in constants.items()}
    for value in (*graph.input, *graph.output, *graph.value_info):
        kinds[value.name] = value.type.tensor_type.elem_type
        ranks[value.name] = len(value.type.tensor_type.shape.dim)
    for proto in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        if proto.op_type == "Constant" and "value" in attributes:
            constants[proto.output[0]] = numpy_helper.to_array(attributes["value"])
        node = _Node(
            proto.op_type, attributes, tuple(proto.input), tuple(proto.output), constants, ranks
        )
        found += [f"{proto.op_type} {proto.name!r}: {what}" for what in _of_node(node, kinds)]
    return found


def _of_node(node: _Node, kinds: dict[str, int]) -> list[str]:
    operator = TABLE.get(node.op_type)
    if operator is None or not operator.supported:
        return ["not supported"]
    found = []
    names = [name for name in (*node.inputs, *node.outputs) if name]
    kind = _TYPES.get(kinds[names[0]], str(kinds[names[0]]))
    if kind not in operator.types and node.op_type != "DequantizeLinear":
        found.append(f"not for {kind}")
    if operator.restricted:
        check = _CHECKS.get(node.op_type)
        if check is None and node.op_type not in _UNRESTRICTED:
            found.append("its restrictions are not checked here yet")
        elif check is not None and not check(node):
            found.append(f"restricted otherwise: {sorted(node.attributes)}")
    return found


#: Said to be restricted, by a remark that keeps no graph from being read.
_UNRESTRICTED = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
