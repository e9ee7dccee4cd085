"""ONNX Runtime's providers: what is missing is said, and the CPU never stands in silently."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnxruntime as ort

from siampolar_model.engines import onnx_providers
from siampolar_model.engines.base import PROVIDERS, EngineOptions
from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.onnxruntime_engine import OnnxRuntimeEngine, _BoundSearch
from siampolar_model.errors import EngineError
from siampolar_model.models.folder import ModelFolder

MODEL = "siampolar_lite0"


def test_the_names_are_those_that_options_take() -> None:
    assert tuple(onnx_providers.PROVIDERS) == PROVIDERS
    with pytest.raises(
        EngineError, match="provider 'gpu' is unknown; allowed: cpu, cuda, tensorrt"
    ):
        EngineOptions(provider="gpu")


def test_a_provider_that_is_not_installed_names_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match=r"no provider cuda; it has cpu; install onnxruntime-gpu"):
        load_engine(MODEL, "onnxruntime", provider="cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_onnx_runtime_going_on_with_the_cpu_is_an_error(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """As with onnxruntime-gpu on a machine without CUDA's libraries."""
    label = onnx_providers.PROVIDERS[provider].label
    if label in ort.get_available_providers():
        pytest.skip(f"{label} is installed here")
    monkeypatch.setattr(ort, "get_available_providers", lambda: [label, "CPUExecutionProvider"])
    with pytest.raises(EngineError, match=rf"could not start its {label} and would run template"):
        load_engine(MODEL, "onnxruntime", provider=provider, precision="fp32")


class _Divided:
    """A session that started, with its nodes divided between provider and CPU."""

    def __init__(self, label: str, mine: int, others: int) -> None:
        self._label, self._parts = label, {label: mine, "CPUExecutionProvider": others}

    def __call__(self, *_: Any, **__: Any) -> _Divided:
        return self

    def disable_fallback(self) -> None:
        pass

    def get_providers(self) -> list[str]:
        return [self._label, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda count=count: [None] * count)
            for name, count in self._parts.items()
        ]


@pytest.mark.parametrize(
    ("mine", "others", "remark"),
    [(90, 10, "90 of 100 nodes, the others on the CPU"), (100, 0, "all 100 nodes")],
)
def test_nodes_that_are_left_to_the_cpu_are_counted(
    monkeypatch: pytest.MonkeyPatch, mine: int, others: int, remark: str
) -> None:
    label = onnx_providers.PROVIDERS["xnnpack"].label
    monkeypatch.setattr(ort, "get_available_providers", lambda: [label])
    monkeypatch.setattr(ort, "InferenceSession", _Divided(label, mine, others))
    choice = load_engine(MODEL, "onnxruntime", provider="xnnpack").choice
    assert choice == f"{MODEL} runs on onnxruntime in fp32 (provider xnnpack: {remark})"


def test_a_provider_that_takes_no_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    label = onnx_providers.PROVIDERS["xnnpack"].label
    monkeypatch.setattr(ort, "get_available_providers", lambda: [label])
    monkeypatch.setattr(ort, "InferenceSession", _Divided(label, 0, 100))
    with pytest.raises(EngineError, match=f"{label} takes no node of template"):
        load_engine(MODEL, "onnxruntime", provider="xnnpack")


def test_other_engines_take_no_provider() -> None:
    with pytest.raises(EngineError, match="openvino takes no provider; cuda is one of onnxruntime"):
        load_engine(MODEL, "openvino", provider="cuda")
    pytest.importorskip("timm")
    with pytest.raises(EngineError, match="torch takes the providers cpu and cuda, not xnnpack"):
        load_engine(MODEL, "torch", provider="xnnpack")


def test_bound_inputs_give_what_a_plain_call_gives() -> None:
    """As on a GPU, with the CPU as the device; features are copied only when the targets change."""
    engine = OnnxRuntimeEngine(ModelFolder.open(MODEL), EngineOptions("fp32", num_threads=1))
    size, cut = engine.spec.search_size, engine.spec.template_size
    images = np.random.default_rng(1).integers(0, 255, (3, size, size, 3), np.uint8)
    box = np.array([30, 30, 90, 95], np.float32)
    for slot in range(3):
        engine.encode(slot, np.ascontiguousarray(images[slot, :cut, :cut]), box)
    prior = np.array([[0.3, 0.15, 70, 60, 127, 127]] * 3, np.float32)
    bound = _BoundSearch(engine._search, "cpu")
    for slots in ([0, 1, 2], [0, 1, 2], [2, 0], [1]):
        expected = engine.search(slots, images[slots], prior[slots])
        features = [engine._features[slot] for slot in slots]
        found = bound.run(features, images[slots], prior[slots])
        for values, wanted in zip(found, vars(expected).values(), strict=True):
            np.testing.assert_array_equal(values, wanted)
