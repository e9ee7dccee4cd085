"""NVIDIA's own parser and compiler take every graph that this project exports, without a GPU.

TensorRT for RTX (``pip install --no-deps tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs``, part
of the extra ``dev`` on x86-64 Linux) has TensorRT's API and ONNX parser, and a compiler that needs
no device. It does not stand for TensorRT's choice of kernels, for its INT8 speed, or for a Jetson
(sm_87).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

pytest.importorskip("tensorrt_rtx_bindings")
import tensorrt_rtx_bindings as rtx

from siampolar_model.engines.tensorrt import build_child
from siampolar_model.engines.tensorrt.cache import EngineCache
from siampolar_model.errors import EngineError
from siampolar_model.models.folder import INT8_FILE, ModelFolder
from support.nvidia_parser import parser_errors

#: Ampere (RTX 30, Jetson's generation), Ada (RTX 40) and Blackwell (RTX 50), in one build.
CAPABILITIES = ("SM86", "SM89", "SM120")

SHIPPED = sorted(path.name for path in (ROOT / "siampolar_model" / "weights").iterdir())
#: All but the one whose search graph ignores the template: no engine can run that.
NETWORKS = sorted(
    path for path in (ROOT / "config" / "network").rglob("*.yaml") if path.stem != "constant"
)

Build = Callable[..., None]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Build:
    """The project's own build(), unchanged, with TensorRT for RTX in place of TensorRT.

    Only the compute capabilities are named, because no device can be asked for its own. The
    stand-in for CUDA names a device for the engine's key.
    """
    capabilities = CAPABILITIES

    class Builder(rtx.Builder):  # type: ignore[misc]
        def create_builder_config(self) -> Any:
            config = super().create_builder_config()
            config.num_compute_capabilities = len(capabilities)
            for index, name in enumerate(capabilities):
                assert config.set_compute_capability(getattr(rtx.ComputeCapability, name), index)
            return config

    path = ROOT / "test" / "support" / "stand_in" / "cuda" / "bindings" / "runtime.py"
    spec = importlib.util.spec_from_file_location("cuda.bindings.runtime", path)
    assert spec is not None and spec.loader is not None
    cuda = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cuda)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", rtx)
    monkeypatch.setattr(rtx, "Builder", Builder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def build(folder: Path, precision: str, only: tuple[str, ...] = CAPABILITIES) -> None:
        nonlocal capabilities
        capabilities = only
        reported = set()

        def report(graph: str, phase: str, step: int, steps: int) -> None:
            reported.add(graph)

        stored = EngineCache().read(build_child.build(folder, precision, False, report))
        assert reported == {"template", "search"}
        assert stored.about["precision"] == precision
        # A plan holds the weights: one without a network in it has a few kB.
        assert all(len(plan) > 1 << 20 for plan in stored.plans.values())

    return build


@pytest.mark.parametrize("model", SHIPPED)
def test_the_parser_reads_every_shipped_file(model: str) -> None:
    files = [path for path in ModelFolder.open(model).path.glob("*.onnx") if path.name != INT8_FILE]
    assert len(files) >= 4
    for path in files:
        assert parser_errors(path) == [], path.name


@pytest.mark.parametrize("model", SHIPPED)
def test_the_parser_refuses_the_8_bit_file_for_processors(model: str) -> None:
    """A control: its 32-bit biases are why there is a second file (docs/engines.md)."""
    errors = parser_errors(ModelFolder.open(model).path / INT8_FILE)
    assert any("Int32" in error for error in errors), errors


def test_a_file_that_cannot_be_read_is_refused_with_the_parsers_reason(
    build: Build, tmp_path: Path
) -> None:
    model = ModelFolder.open("siampolar_lite0").copy_to(tmp_path / "model")
    wrong = tmp_path / "search.onnx"
    wrong.write_bytes(model.file(INT8_FILE).read_bytes())
    model.add(wrong)
    with pytest.raises(EngineError, match=r"TensorRT cannot read .*search\.onnx: .*Int32"):
        build(model.path, "fp32")


def test_the_compiler_takes_the_default_model(build: Build) -> None:
    build(ModelFolder.open("siampolar_lite0").path, "fp16")


def test_the_compiler_checks_each_of_several_capabilities(build: Build) -> None:
    """A control: TensorRT for RTX has no fp32 matrix product for Turing."""
    with pytest.raises(EngineError, match=r"cannot build .*SM75\): FP32 GEMM is not supported"):
        build(ModelFolder.open("siampolar_lite0").path, "fp16", only=("SM86", "SM75", "SM120"))


@pytest.mark.slow
@pytest.mark.parametrize("model", SHIPPED)
@pytest.mark.parametrize("precision", ["fp16", "fp32", "int8"])
def test_the_compiler_takes_every_shipped_model(build: Build, model: str, precision: str) -> None:
    build(ModelFolder.open(model).path, precision)


@pytest.mark.slow
@pytest.mark.parametrize("config", NETWORKS, ids=lambda path: path.stem)
def test_the_compiler_takes_every_network_of_config(
    build: Build, config: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("timm")
    from siampolar_model.export.onnx_export import export
    from siampolar_model.network.config import load_config
    from siampolar_model.network.siampolar import SiamPolar

    torch.manual_seed(0)
    folder = export(SiamPolar(load_config(config)), tmp_path / config.stem)
    for precision in ("fp16", "fp32"):
        build(folder, precision)
