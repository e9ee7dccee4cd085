"""The image itself as the first convolution's 8-bit input.

An image is 8-bit numbers already. Less a whole level, the same for all colours, it is these numbers
with that level as their zero point: quantised without any loss. (OpenVINO then fuses what centres
and quantises it. Given the bytes with the zero point and nothing before, it runs the convolution in
bf16 instead.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class ImageInput:
    """What of a graph brings the image to the first convolution.

    Attributes:
        tensor: name of what the convolution reads: the image less its mean, channels first.
        level: the mean, as the nearest of 256 levels.
    """

    tensor: str
    level: int

    @property
    def overrides(self) -> dict[str, list[dict[str, Any]]]:
        """For ``quantize_static``: one step of the quantised input is one level of the image."""
        at = {"scale": np.array(1, np.float32), "zero_point": np.array(self.level, np.uint8)}
        return {self.tensor: [at]}


def center_on_level(model: onnx.ModelProto) -> ImageInput:
    """Subtract a whole level from the image, the same for all colours, in place.

    What the mean differs by goes into the convolution's bias. That is exact but at the crop's
    border, where the convolution sees the level beside it instead of the mean: by half a level.

    Raises:
        ValueError: the graph does not begin as our export does: Cast, Sub, Transpose, Conv.
    """
    graph = model.graph
    _, sub, transpose, conv = _first_nodes(graph)
    mean = _constant(graph, sub.input[1]).astype(np.float64).reshape(-1)  # BGR
    level = int(np.clip(np.round(mean.mean()), 0, 255))
    weight = _constant(graph, conv.input[1]).astype(np.float64)
    beside = np.broadcast_to(level - mean, weight.shape[1])
    shift = np.einsum("oikl,i->o", weight, beside)
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
            found = [node.op_type for node in users]
            raise ValueError(f"{name} goes into {found}; one {kind} was expected")
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
    raise ValueError(f"{name} is no constant of the graph")


def _set(graph: onnx.GraphProto, name: str, values: np.ndarray) -> None:
    (initializer,) = (one for one in graph.initializer if one.name == name)
    initializer.CopyFrom(numpy_helper.from_array(values, name))
