"""The image itself as the first convolution's 8-bit input.

If the subtracted mean is the same integer for all channels, the uint8 image is its own exact
quantization, with that integer as zero point. OpenVINO fuses the subtraction with the quantization;
if the graph read the bytes directly, it would run the convolution in bf16 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class ImageInput:
    """How the image reaches the first convolution of a graph.

    Attributes:
        tensor: name of the convolution's input: the image minus its mean, channels first.
        level: the mean, rounded to one of 256 levels.
    """

    tensor: str
    level: int

    @property
    def overrides(self) -> dict[str, list[dict[str, Any]]]:
        """For ``quantize_static``: one step of the quantized input is one level of the image."""
        at = {"scale": np.array(1, np.float32), "zero_point": np.array(self.level, np.uint8)}
        return {self.tensor: [at]}


def center_on_level(model: onnx.ModelProto) -> ImageInput:
    """Make a graph subtract the same integer from all colours of the image, in place.

    The difference from the mean goes into the convolution's bias. This is exact except at the
    crop's border, where padding stands for the level instead of the mean (off by up to half a
    level).

    Raises:
        ValueError: the graph does not start with Cast, Sub, Transpose, Conv, as ours do.
    """
    graph = model.graph
    _, sub, transpose, conv = _first_nodes(graph)
    mean = _constant(graph, sub.input[1]).astype(np.float64).reshape(-1)  # BGR
    level = int(np.clip(np.round(mean.mean()), 0, 255))
    weight = _constant(graph, conv.input[1]).astype(np.float64)
    difference = np.broadcast_to(level - mean, weight.shape[1])
    shift = np.einsum("oikl,i->o", weight, difference)
    bias = _constant(graph, conv.input[2]) + shift
    _set(graph, conv.input[2], bias.astype(np.float32))
    name = f"{sub.name}_level"
    graph.initializer.append(numpy_helper.from_array(np.array([level], np.float32), name))
    sub.input[1] = name
    return ImageInput(transpose.output[0], level)


def _first_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    nodes, name = [], "crops"
    for kind in ("Cast", "Sub", "Transpose", "Conv"):
        users = [node for node in graph.node if name in node.input]
        if [node.op_type for node in users] != [kind] or users[0].input[0] != name:
            found = ", ".join(node.op_type for node in users) or "nothing"
            raise ValueError(f"expected {name} -> {kind}, found {found}")
        nodes += users
        name = users[0].output[0]
    return nodes


def _constant(graph: onnx.GraphProto, name: str) -> np.ndarray:
    for initializer in graph.initializer:
        if initializer.name == name:
            return numpy_helper.to_array(initializer)
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            return numpy_helper.to_array(helper.get_node_attr_value(node, "value"))
    raise ValueError(f"{name} is not a constant of the graph")


def _set(graph: onnx.GraphProto, name: str, values: np.ndarray) -> None:
    (initializer,) = (one for one in graph.initializer if one.name == name)
    initializer.CopyFrom(numpy_helper.from_array(values, name))
