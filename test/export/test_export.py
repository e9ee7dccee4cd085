"""Exported graphs: the same answer as torch, for any N, from operators every runtime has."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
import onnxruntime as ort
import torch

from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.torch_engine import NetworkEngine
from siampolar_model.errors import ExportError
from siampolar_model.export.onnx_export import example_inputs, export
from siampolar_model.models.folder import INT8_FILE, TENSORRT_INT8_FILE, ModelFolder, sha256
from siampolar_model.network.checkpoint import load_network
from siampolar_model.network.config import load_config
from siampolar_model.network.siampolar import SiamPolar

CONFIGS = Path(__file__).resolve().parents[2] / "config" / "network"

#: Slow, data-dependent or missing in one runtime or another.
FORBIDDEN = {
    "If",
    "Loop",
    "Scan",
    "NonZero",
    "NonMaxSuppression",
    "ScatterND",
    "Einsum",
    "RoiAlign",
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return ModelFolder.open("siampolar_lite0").path


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check_graphs(folder: Path) -> None:
    for file in ("template.onnx", "search.onnx"):
        model = onnx.load(str(folder / file))
        assert [o.version for o in model.opset_import] == [17]
        used = {node.op_type for node in model.graph.node}
        assert not used & FORBIDDEN
        constants = {i.name for i in model.graph.initializer}
        constants |= {n.output[0] for n in model.graph.node if n.op_type == "Constant"}
        for node in model.graph.node:
            if node.op_type == "Conv":
                assert set(node.input[1:]) <= constants, f"{node.name} has computed weights"
        for value in (*model.graph.input, *model.graph.output):
            first, *rest = value.type.tensor_type.shape.dim
            assert first.dim_param == "N"
            assert all(d.dim_value > 0 for d in rest), f"{value.name} is dynamic besides N"


def test_operators_opset_and_shapes(folder: Path) -> None:
    check_graphs(folder)


def test_colours_cost_no_pass_over_the_image(tmp_path: Path) -> None:
    """Their order and scale stand in the first convolution; INT8 files of older graphs go."""
    for name in (INT8_FILE, TENSORRT_INT8_FILE):
        (tmp_path / name).write_bytes(b"of another search.onnx")
    torch.manual_seed(0)
    export(SiamPolar(load_config(CONFIGS / "siampolar_light.yaml")), tmp_path)
    for file, image in (("template.onnx", "crop"), ("search.onnx", "crops")):
        kinds, value = [], image
        while kinds[-1:] != ["Conv"]:
            graph = onnx.load(str(tmp_path / file)).graph
            (node,) = [n for n in graph.node if value in n.input]
            kinds.append(node.op_type)
            value = node.output[0]
        assert kinds == ["Cast", "Sub", "Transpose", "Conv"], file
    assert not (tmp_path / INT8_FILE).exists() and not (tmp_path / TENSORRT_INT8_FILE).exists()
    assert len({file.stat().st_mode for file in tmp_path.iterdir()}) == 1  # who reads one reads all
    assert ModelFolder.open(tmp_path).spec.name == "siampolar_light"


def test_a_network_that_ignores_its_template_is_refused_in_one_line(tmp_path: Path) -> None:
    model = SiamPolar(load_config(CONFIGS / "ablation" / "constant.yaml"))
    with pytest.raises(ExportError) as caught:
        export(model, tmp_path / "model")
    assert str(caught.value).startswith(
        "search.onnx cannot be exported: the network does not use its input features ("
    )
    assert not (tmp_path / "model").exists()


def test_n_targets_at_once_equal_n_single_calls(folder: Path) -> None:
    engine = load_engine(folder, "onnxruntime")
    config = load_config(CONFIGS / "siampolar_lite0.yaml")
    n = engine.spec.max_targets
    search, template = session(folder / "search.onnx"), session(folder / "template.onnx")
    feeds = {k: v.numpy() for k, v in example_inputs(config, n).items()}
    single_features = [
        template.run(None, {k: feeds[k][i : i + 1] for k in ("crop", "box_xyxy", "mask")})[0]
        for i in range(n)
    ]
    names = ("crops", "features", "prior")
    feeds["features"] = np.concatenate(single_features)
    singles = [search.run(None, {k: feeds[k][i : i + 1] for k in names}) for i in range(n)]
    for count in range(1, n + 1):
        batch = search.run(None, {k: feeds[k][:count] for k in names})
        for output, values in enumerate(batch):
            expected = np.concatenate([s[output] for s in singles[:count]])
            np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3, err_msg=str(output))
    together = template.run(None, {k: feeds[k] for k in ("crop", "box_xyxy", "mask")})[0]
    np.testing.assert_allclose(together, feeds["features"], rtol=1e-3, atol=1e-3)


def test_every_engine_gives_what_torch_gives_on_the_shipped_weights(folder: Path) -> None:
    engines = [NetworkEngine(load_network(folder / "weights.safetensors"))]
    names = ["onnxruntime", "torch"]
    if importlib.util.find_spec("openvino"):  # `make test` requires it
        names.append("openvino")
    engines += [load_engine(folder, name, precision="fp32", num_threads=1) for name in names]
    spec = engines[1].spec
    assert all(engine.spec == spec for engine in engines[1:])
    # The network alone does not know what was fitted to its weights.
    assert engines[0].spec == replace(spec, confidence=None)
    rng = np.random.default_rng(3)
    low = rng.integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    crops = low.repeat(8, 1).repeat(8, 2)[:, : spec.search_size, : spec.search_size]
    prior = np.array([[0.3, 0.15, 70, 60, 127, 127]] * 3, np.float32)
    box = np.array([30, 30, 90, 95], np.float32)
    found = []
    for engine in engines:
        for slot in range(3):
            engine.encode(slot, np.ascontiguousarray(crops[slot, 60:187, 60:187]), box)
        found.append(engine.search([0, 1, 2], np.ascontiguousarray(crops), prior))
    for other in found[1:]:
        for field in ("score", "quality", "box_xyxy", "center_xy", "rays_px"):
            a, b = getattr(found[0], field)[:, 0], getattr(other, field)[:, 0]
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3, err_msg=field)


def test_metadata_hashes_and_card(folder: Path) -> None:
    model = onnx.load(str(folder / "search.onnx"))
    values = {p.key: p.value for p in model.metadata_props}
    about = json.loads(values["siampolar"])
    assert about["spec"]["name"] == "siampolar_lite0"
    assert about["pairs_seen"] > 0 and len(about["commit"]) == 40
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split()[1] for line in lines} >= {"template.onnx", "search.onnx"}
    for line in lines:
        digest, file = line.split()
        assert sha256(folder / file) == digest
    assert "trained on" in (folder / "README.md").read_text().lower()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siampolar_r101", "siampolar_r50", "siampolar_light"])
def test_the_other_configurations_export(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SiamPolar(load_config(CONFIGS / f"{name}.yaml"))
    check_graphs(export(model, tmp_path).path)  # export compares with torch itself
    engine = load_engine(tmp_path)
    assert engine.spec.name == name
