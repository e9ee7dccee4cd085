"""The image itself as the first convolution's 8-bit input.

An image is 8-bit numbers already. Its mean, subtracted before the first convolution, becomes the
zero point of these numbers, so that nothing has to pass over the image first.
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
    graph.initializer.append(numpy_helper.from_array(np.float32([level]), name))
    sub.input[1] = name
    return ImageInput(transpose.output[0], level)


def take_bytes(model: onnx.ModelProto, image: ImageInput) -> None:
    """Let the quantised graph read the image without passing over it, in place.

    With a step of one level, quantising the centred image gives the image back; so what centres
    and quantises it is left out.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    (quantize,) = (
        node
        for node in graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] == image.tensor
    )
    transpose = makers[image.tensor]
    sub = makers[transpose.input[0]]
    cast = makers[sub.input[0]]
    transpose.input[0] = cast.input[0]
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == quantize.output[0]:
                node.input[i] = transpose.output[0]
    for node in (cast, sub, quantize):
        graph.node.remove(node)
    del graph.value_info[:]  # the transposed image is bytes now


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
