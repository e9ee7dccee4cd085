"""A model folder with two graphs of a few nodes: for tests of what lies around a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from siampolar_model.models.folder import SEARCH_FILE, TEMPLATE_FILE, ModelFolder
from siampolar_model.models.spec import ModelSpec

TEMPLATE, SEARCH, CANDIDATES, RAYS, MAX_TARGETS = 6, 8, 3, 5, 5
_FEATURES = (2, 4)
_OUTPUTS = {
    "score": (CANDIDATES,),
    "quality": (CANDIDATES,),
    "box_xyxy": (CANDIDATES, 4),
    "center_xy": (CANDIDATES, 2),
    "rays_px": (CANDIDATES, RAYS),
}


def write_tiny_model(folder: Path) -> Path:
    """Inputs and outputs are named and typed as in a real model; every row depends on its own
    crop, features and prior alone."""
    folder.mkdir()
    files = [folder / TEMPLATE_FILE, folder / SEARCH_FILE]
    for path, graph in zip(files, (_template(), _search()), strict=True):
        _write(path, graph)
    spec = ModelSpec("tiny", TEMPLATE, SEARCH, 1.7, RAYS, MAX_TARGETS)
    return ModelFolder.write(folder, spec, files, about={}).path


class _Graph:
    """Nodes and weights as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def add(self, op: str, *inputs: str, to: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [to], name=to, **attributes))
        return to

    def constant(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def linear(self, x: str, n_in: int, shape: tuple[int, ...], to: str) -> str:
        """(N, n_in) to (N, *shape)."""
        weight = self._rng.normal(size=(n_in, int(np.prod(shape)))).astype(np.float32)
        flat = self.add("MatMul", x, self.constant(f"{to}_w", weight), to=f"{to}_flat")
        size = self.constant(f"{to}_shape", np.array([-1, *shape], np.int64))
        return self.add("Reshape", flat, size, to=to)

    def mean(self, crop: str) -> str:
        """uint8 (N, H, W, 3) to (N, 3)."""
        floats = self.add("Cast", crop, to=f"{crop}_float", **{})
        self.nodes[-1].attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
        mean = self.add("ReduceMean", floats, to=f"{crop}_mean", axes=[1, 2], keepdims=0)
        scale = self.constant(f"{crop}_scale", np.array(1 / 255, np.float32))
        return self.add("Mul", mean, scale, to=f"{crop}_scaled")


def _template() -> onnx.GraphProto:
    graph = _Graph()
    x = graph.add("Concat", graph.mean("crop"), "box_xyxy", to="x", axis=1)
    graph.linear(x, 7, _FEATURES, to="features")
    crop = ("crop", TensorProto.UINT8, (TEMPLATE, TEMPLATE, 3))
    box = ("box_xyxy", TensorProto.FLOAT, (4,))
    return _finish(graph, (crop, box), {"features": _FEATURES})


def _search() -> onnx.GraphProto:
    graph = _Graph()
    flat = graph.add("Flatten", "features", to="flat", axis=1)
    x = graph.add("Concat", graph.mean("crops"), flat, "prior", to="x", axis=1)
    for name, shape in _OUTPUTS.items():
        graph.linear(x, 3 + int(np.prod(_FEATURES)) + 6, shape, to=name)
    crops = ("crops", TensorProto.UINT8, (SEARCH, SEARCH, 3))
    features = ("features", TensorProto.FLOAT, _FEATURES)
    prior = ("prior", TensorProto.FLOAT, (6,))
    return _finish(graph, (crops, features, prior), _OUTPUTS)


def _finish(
    graph: _Graph,
    inputs: tuple[tuple[str, int, tuple[int, ...]], ...],
    outputs: dict[str, tuple[int, ...]],
) -> onnx.GraphProto:
    def value(name: str, kind: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ["N", *shape])

    return helper.make_graph(
        graph.nodes,
        "tiny",
        [value(*one) for one in inputs],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        graph.weights,
    )


def _write(path: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
