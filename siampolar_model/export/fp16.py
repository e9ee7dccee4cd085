"""The search graph with its large layers in fp16, for TensorRT's strongly typed networks.

Since TensorRT 11 the types in the ONNX file alone decide what an engine computes in. As in
PyTorch's autocast, they follow from the operators: convolutions compute in fp16; nodes that move,
clamp or add their results do so too; everything else stays in fp32. So scores, priors, coordinates
and the choice among candidates keep their full precision.

ONNX Runtime's own converter (``onnxruntime.transformers.float16``) is not used because it rounds
to fp16 between nodes that it was told to leave in fp32, coordinates included.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ExportError
from ..models.folder import FP16_FILE, SEARCH_FILE, ModelFolder
from .metadata import derived_from, write_metadata

#: Compute in fp16, whatever their operands are.
_HALF = {"Conv", "ConvTranspose", "Gemm"}

#: Compute in fp16 if one of their operands is fp16: here template features meet maps.
_HALF_WITH_ANY = {"Concat", "MatMul", "Mul"}

#: Compute in fp16 only if all operands are fp16: the sum of an fp32 place and an fp16 offset stays
#: exact.
_FOLLOW = {
    "Abs", "Add", "AveragePool", "Clip", "DepthToSpace", "Expand", "Flatten", "Gather",
    "GatherElements", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Max", "MaxPool", "Min", "Neg", "Pad", "PRelu", "Relu", "Reshape", "Resize",
    "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze",
    "Where",
}  # fmt: skip

#: Inputs that must be fp32, whatever the others are: operator and index.
_ALWAYS_FP32 = {("Resize", 1), ("Resize", 2)}

_MAX_HALF = float(np.finfo(np.float16).max)


def derive_fp16(model: ModelFolder) -> ModelFolder:
    """Add ``search.fp16.onnx``, made from ``search.onnx``, to a model folder.

    Raises:
        ExportError: see :func:`to_fp16`.
    """
    with TemporaryDirectory() as folder:
        made = Path(folder) / FP16_FILE
        write_fp16(model.file(SEARCH_FILE), made)
        return model.add(made)


def write_fp16(source: Path, target: Path) -> None:
    """Convert a file; the metadata of the new one names the SHA-256 of the source.

    Raises:
        ExportError: see :func:`to_fp16`.
    """
    original = onnx.load(str(source))
    model = to_fp16(original)
    write_metadata(model, derived_from(source, original, "fp16"))
    onnx.save(model, str(target))


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose convolutions compute in fp16; inputs and outputs keep their types.

    Raises:
        ExportError: the graph is quantized already, or has subgraphs.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return _Conversion(inferred).run()


class _Conversion:
    """One pass over the nodes, which ONNX stores in the order of computation."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        graph = model.graph
        values = [*graph.input, *graph.output, *graph.value_info]
        #: Values that were fp32 in the original graph, and those of them that are fp16 now.
        self._floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._half: set[str] = set()
        self._constants = {i.name: i for i in graph.initializer if i.data_type == TensorProto.FLOAT}
        self._floats |= set(self._constants)
        self._outputs = {output.name for output in graph.output}
        self._nodes: list[onnx.NodeProto] = []
        self._as_half: dict[str, str] = {}
        self._as_float: dict[str, str] = {}

    def run(self) -> onnx.ModelProto:
        graph = self._model.graph
        for node in graph.node:
            self._convert(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        del graph.value_info[:]  # it has the old types
        used = {name for node in graph.node for name in node.input}
        kept = [i for i in graph.initializer if i.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        onnx.checker.check_model(self._model, full_check=True)
        return self._model

    def _convert(self, node: onnx.NodeProto) -> None:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            raise ExportError("the graph is quantized already; give the fp32 one")
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
               for a in node.attribute):  # fmt: skip
            raise ExportError(f"{node.op_type} {node.name!r} has a subgraph")
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                    self._constants[node.output[0]] = attribute.t
                    self._floats.add(node.output[0])
            self._nodes.append(node)
            return
        floats = [name for name in node.input if name in self._floats]
        half = _computes_in_half(
            node.op_type, [name in self._half for name in floats if name not in self._constants]
        )
        for k, name in enumerate(node.input):
            if name in self._floats:
                wanted = half and (node.op_type, k) not in _ALWAYS_FP32
                node.input[k] = self._half_of(name) if wanted else self._float_of(name)
        self._nodes.append(node)
        if not half:
            return
        for k, name in enumerate(node.output):
            if name not in self._floats:
                continue
            if name not in self._outputs:
                self._half.add(name)
                continue
            node.output[k] = self._as_half[name] = f"{name}_fp16"
            self._nodes.append(_cast(node.output[k], name, TensorProto.FLOAT))

    def _half_of(self, name: str) -> str:
        if name in self._half:
            return name
        if name not in self._as_half:
            self._as_half[name] = f"{name}_fp16"
            if name in self._constants:
                values = numpy_helper.to_array(self._constants[name])
                # Limits of a Clip may be too large for fp16; infinity, meaning "no limit", stays.
                finite = np.where(np.isfinite(values), values.clip(-_MAX_HALF, _MAX_HALF), values)
                half = numpy_helper.from_array(finite.astype(np.float16), self._as_half[name])
                self._model.graph.initializer.append(half)
            else:
                self._nodes.append(_cast(name, self._as_half[name], TensorProto.FLOAT16))
        return self._as_half[name]

    def _float_of(self, name: str) -> str:
        if name not in self._half:
            return name
        if name not in self._as_float:
            self._as_float[name] = f"{name}_fp32"
            self._nodes.append(_cast(name, self._as_float[name], TensorProto.FLOAT))
        return self._as_float[name]


def _computes_in_half(op_type: str, operands: Collection[bool]) -> bool:
    """Whether a node computes in fp16.

    Args:
        operands: whether the input is fp16, for each fp32 input that is not a constant.
    """
    if op_type in _HALF:
        return True
    if op_type in _HALF_WITH_ANY:
        return any(operands)
    return op_type in _FOLLOW and len(operands) > 0 and all(operands)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"Cast_{target}", to=to)
