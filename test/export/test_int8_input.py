"""The image as an 8-bit input gives what it gave as numbers less their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from siampolar_model.export.int8_input import center_on_level

MEAN = np.float32([103.5, 116.3, 123.7])
RNG = np.random.default_rng(0)


def make_model() -> onnx.ModelProto:
    weight = RNG.normal(0, 0.01, (4, 3, 3, 3)).astype(np.float32)
    constants = {"mean": MEAN, "w": weight, "b": RNG.normal(0, 1, 4).astype(np.float32)}
    nodes = [
        helper.make_node("Cast", ["crops"], ["numbers"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["numbers", "mean"], ["centred"], name="sub"),
        helper.make_node("Transpose", ["centred"], ["x"], name="transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, [1, 16, 16, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def image() -> np.ndarray:
    return RNG.integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)


def run(model: onnx.ModelProto, crops: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    out: np.ndarray = session.run(None, {"crops": crops})[0]
    return out


class Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._images = iter([image() for _ in range(4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        crops = next(self._images, None)
        return None if crops is None else {"crops": crops}


def test_only_the_border_sees_another_mean() -> None:
    model, crops = make_model(), image()
    before = run(model, crops)
    found = center_on_level(model)
    assert (found.tensor, found.level) == ("x", round(float(MEAN.mean())))
    after = run(model, crops)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(after[inner], before[inner], atol=1e-3)
    assert np.abs(after - before).max() > 0.01


def test_quantising_it_loses_nothing(tmp_path: Path) -> None:
    model = make_model()
    found = center_on_level(model)
    path = tmp_path / "int8.onnx"
    quantize_static(
        model,
        str(path),
        Images(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        extra_options={
            "OpTypesToExcludeOutputQuantization": ["Conv"],
            "TensorQuantOverrides": found.overrides,
        },
    )
    quantised = onnx.load(str(path))
    (node,) = (node for node in quantised.graph.node if node.op_type == "QuantizeLinear")
    quantised.graph.output.append(
        helper.make_tensor_value_info(node.output[0], TensorProto.UINT8, [1, 3, 16, 16])
    )
    crops = image()
    session = ort.InferenceSession(
        quantised.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    y, levels = session.run(None, {"crops": crops})
    np.testing.assert_array_equal(levels, crops.transpose(0, 3, 1, 2))
    exact = run(model, crops)
    assert np.abs(y - exact).max() < 0.02 * np.abs(exact).max()


def test_another_graph_is_refused() -> None:
    model = make_model()
    model.graph.node[1].op_type = "Mul"
    with pytest.raises(ValueError, match="expected numbers -> Sub, found Mul"):
        center_on_level(model)
