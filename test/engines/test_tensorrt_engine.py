"""The TensorRT engine around its CUDA and TensorRT calls, with stand-ins for those.

The stand-ins (test/support/stand_in/README.md) run the same ONNX files with ONNX Runtime. Real
kernels are for the tests marked ``gpu`` (test_tensorrt_gpu.py), NVIDIA's real compiler for
test_tensorrt_rtx.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from siampolar_model.engines.base import BUILT_BY_CALLER
from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.tensorrt.build import BuildProgress, EngineBuild, build_engine
from siampolar_model.engines.tensorrt.build_child import build
from siampolar_model.engines.tensorrt.cache import EngineCache
from siampolar_model.engines.tensorrt.cuda import Cuda
from siampolar_model.engines.tensorrt.engine import TensorRtEngine, batch_sizes
from siampolar_model.engines.tensorrt.plan import Plan
from siampolar_model.errors import EngineError, EngineMissing, ProcessUnusable
from siampolar_model.models.folder import ModelFolder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from support.tiny_model import CANDIDATES, MAX_TARGETS, RAYS, SEARCH, write_tiny_model

STAND_IN = Path(__file__).resolve().parents[1] / "support" / "stand_in"


def load_module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def built(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """XDG_CACHE_HOME of a cache that holds the tiny model's engine, built by a child."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(STAND_IN))
        patch.setenv("XDG_CACHE_HOME", str(home))
        build_engine(model, "fp32")
    yield home


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Fresh stand-ins in place of CUDA and TensorRT; the one of CUDA keeps the log."""
    runtime = load_module("cuda.bindings.runtime", STAND_IN / "cuda" / "bindings" / "runtime.py")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", runtime)
    monkeypatch.setitem(sys.modules, "tensorrt", load_module("tensorrt", STAND_IN / "tensorrt.py"))
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    return runtime


@pytest.fixture
def cache(cuda: ModuleType, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of engines in a cache of this test's own that holds the built engine."""
    shutil.copytree(built, tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "siampolar" / "tensorrt"


def load(model: Path, **options: Any) -> TensorRtEngine:
    engine = load_engine(model, "tensorrt", precision="fp32", **options)
    assert isinstance(engine, TensorRtEngine)
    return engine


def inputs(engine: Any, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = engine.spec.search_size
    crops = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    middle = np.array([0.3, 0.15, size / 4, size / 4, size / 2, size / 2], np.float32)
    return crops, (middle * rng.uniform(0.8, 1.2, (n, 6))).astype(np.float32)


def encode(engine: Any, slot: int, seed: int | None = None) -> None:
    size = engine.spec.template_size
    rng = np.random.default_rng(slot if seed is None else seed)
    crop = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    engine.encode(slot, crop, np.array([0.3, 0.2, 0.7, 0.8], np.float32) * size)


def assert_same(actual: Any, expected: Any) -> None:
    for name in ("score", "quality", "box_xyxy", "center_xy", "rays_px"):
        np.testing.assert_allclose(
            getattr(actual, name), getattr(expected, name), rtol=1e-3, atol=1e-2, err_msg=name
        )


# --- results --------------------------------------------------------------------------------


def test_every_batch_gives_what_onnx_runtime_gives(model: Path, cache: Path) -> None:
    engine = load(model)
    reference = load_engine(model, "onnxruntime", precision="fp32", num_threads=1)
    for slot in range(1, 8):
        encode(engine, slot)
        encode(reference, slot)
    for slots in ([3], [1, 2], [5, 4, 3], [5, 4, 7, 3], [1, 1, 2, 7, 6], [6]):
        crops, prior = inputs(engine, len(slots), seed=len(slots))
        found = engine.search(slots, crops, prior)
        assert found.score.shape == (len(slots), CANDIDATES)
        assert found.rays_px.shape == (len(slots), CANDIDATES, RAYS)
        assert_same(found, reference.search(slots, crops, prior))


def test_results_stay_when_the_buffers_are_used_again(model: Path, cache: Path) -> None:
    engine = load(model)
    encode(engine, 1)
    first = engine.search([1], *inputs(engine, 1, seed=1))
    kept = first.rays_px.copy()
    engine.search([1], *inputs(engine, 1, seed=2))
    np.testing.assert_array_equal(first.rays_px, kept)


def test_a_slot_that_is_encoded_again_or_reused_gives_new_results(model: Path, cache: Path) -> None:
    engine = load(model)
    crops, prior = inputs(engine, 1)
    encode(engine, 1, seed=1)
    one = engine.search([1], crops, prior)
    encode(engine, 1, seed=2)
    two = engine.search([1], crops, prior)
    assert np.abs(one.score - two.score).max() > 1e-4
    engine.release(1)
    engine.release(99)  # unknown: ignored
    encode(engine, 1, seed=1)
    assert_same(engine.search([1], crops, prior), one)
    with pytest.raises(KeyError):
        engine.search([2], crops, prior)


@pytest.mark.parametrize("n", [0, MAX_TARGETS + 1])
def test_batches_that_do_not_fit_are_refused(model: Path, cache: Path, n: int) -> None:
    engine = load(model)
    encode(engine, 1)
    with pytest.raises(ValueError, match=f"{n} targets; the engine searches for 1 to 5"):
        engine.search([1] * n, *inputs(engine, n))


# --- calls ----------------------------------------------------------------------------------


def test_a_frame_is_one_launch_and_copies_no_features_that_are_there(
    model: Path, cache: Path, cuda: ModuleType
) -> None:
    engine = load(model)
    for slot in (1, 2, 3):
        encode(engine, slot)
    crops, prior = inputs(engine, 3)
    launch = ["cudaGraphLaunch", "cudaEventSynchronize"]

    def calls(*slots: int) -> list[str]:
        cuda.log.clear()
        engine.search(slots, crops[: len(slots)], prior[: len(slots)])
        return list(cuda.log)

    assert calls(1, 2, 3) == ["cudaMemcpyAsync"] * 3 + launch
    assert calls(1, 2, 3) == launch
    assert calls(1, 2) == launch
    assert calls(1, 3) == ["cudaMemcpyAsync", *launch]
    encode(engine, 1)
    assert calls(1, 3) == ["cudaMemcpyAsync", *launch]


def test_a_graph_is_captured_after_one_run_with_its_shapes(
    model: Path, cache: Path, cuda: ModuleType
) -> None:
    load(model)
    setup = [
        "create_execution_context",
        "set_optimization_profile_async",
        "cudaEventSynchronize",
    ]
    batches = 0
    log = list(cuda.log)
    for start in (i for i, name in enumerate(log) if name == "create_execution_context"):
        end = log.index("cudaGraphInstantiate", start)
        once = [name for name in log[start:end] if name not in ("cudaMemcpyAsync",)]
        assert once[:3] == setup
        assert once[-6:] == [
            "set_device_memory",  # a change of profile or shape may forget it
            "execute_async_v3",
            "cudaEventSynchronize",
            "cudaStreamBeginCapture",
            "execute_async_v3",
            "cudaStreamEndCapture",
        ]
        assert set(once[3:-6]) == {"set_input_shape", "set_tensor_address"}
        batches += 1
    assert batches == 1 + len(batch_sizes(MAX_TARGETS))  # the template's, and the search's
    assert log.count("cudaStreamCreateWithFlags") == 1


def test_outputs_come_back_in_one_copy(model: Path, cache: Path, cuda: ModuleType) -> None:
    """They lie next to each other, at the alignment that setTensorAddress asks for."""
    copies: list[int] = []
    copy = cuda.cudaMemcpyAsync

    def counted(dst: int, src: int, count: int, kind: Any, stream: Any) -> Any:
        if kind == cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost:
            copies.append(count)
        return copy(dst, src, count, kind, stream)

    cuda.cudaMemcpyAsync = counted
    addresses: list[int] = []
    context = sys.modules["tensorrt"].IExecutionContext
    set_address = context.set_tensor_address

    def noted(self: Any, name: str, memory: int) -> bool:
        addresses.append(memory)
        return bool(set_address(self, name, memory))

    context.set_tensor_address = noted
    engine = load(model)
    sizes = batch_sizes(MAX_TARGETS)
    assert len(copies) == 2 * len(sizes)  # the first run and the capture of each batch size
    row_bytes = [4 * CANDIDATES * values for values in (1, 1, 4, 2, RAYS)]
    assert copies[::2] == [sum(-(-n * b // 256) * 256 for b in row_bytes) for n in sizes]
    block = engine._search._outputs
    assert all((address - block.device) % 256 == 0 for address in block.addresses(3).values())
    assert set(block.addresses(sizes[-1]).values()) <= set(addresses)


@pytest.mark.parametrize("failure", ["refused", "invalid", "instantiate"])
def test_a_network_that_cannot_be_captured_is_enqueued_call_by_call(
    model: Path,
    cache: Path,
    cuda: ModuleType,
    failure: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the reason TensorRT gave, logged once, and nothing of the failed graphs left."""
    if failure == "instantiate":
        memory = cuda.cudaError_t.cudaErrorMemoryAllocation
        cuda.cudaGraphInstantiate = lambda *_: (memory, None)
        reason = "cudaGraphInstantiate: cudaErrorMemoryAllocation"
    else:
        sys.modules["tensorrt"].capture_failure = failure
        reason = "the stream is capturing, but this engine is not stream capturable"
    engine = load(model)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert reason in caplog.text and "StreamCaptureInvalidated" not in caplog.text
    assert set(cuda.handles.values()) == {engine._cuda._stream, engine._cuda._done}
    assert "cudaGetLastError" in cuda.log
    reference = load_engine(model, "onnxruntime", precision="fp32", num_threads=1)
    for slot in (1, 2, 3):
        encode(engine, slot)
        encode(reference, slot)
    cuda.log.clear()
    crops, prior = inputs(engine, 3)
    assert_same(engine.search([1, 2, 3], crops, prior), reference.search([1, 2, 3], crops, prior))
    assert cuda.log.count("execute_async_v3") == 1 and "cudaGraphLaunch" not in cuda.log
    del engine
    assert cuda.live() == 0


def test_waiting_for_a_result_does_not_keep_a_core_busy(
    model: Path, cache: Path, cuda: ModuleType
) -> None:
    """By an event that blocks: waiting for a stream spins on most machines."""
    flags: list[int] = []
    create = cuda.cudaEventCreateWithFlags
    cuda.cudaEventCreateWithFlags = lambda value: (flags.append(value), create(value))[1]
    load(model)
    assert flags == [cuda.cudaEventBlockingSync | cuda.cudaEventDisableTiming]
    assert not hasattr(cuda, "cudaStreamSynchronize")


def test_everything_is_freed_with_the_engine(model: Path, cache: Path, cuda: ModuleType) -> None:
    engine = load(model)
    encode(engine, 1)
    engine.search([1], *inputs(engine, 1))
    assert cuda.live() > 10
    cuda.log.clear()
    del engine
    assert cuda.live() == 0
    graphs = 1 + len(batch_sizes(MAX_TARGETS))
    assert cuda.log == ["cudaGraphExecDestroy", "context freed"] * graphs


def test_a_plan_goes_with_its_last_reference(cache: Path) -> None:
    """And its weights with it: no collector can see that the runtime holds its logger."""
    Cuda()  # no Runtime before a driver was found
    (path,) = cache.glob("*/template.plan")
    plan = Plan(path.read_bytes(), path)
    gone = weakref.ref(plan)
    del plan
    assert gone() is None


@pytest.mark.parametrize("engine", ["tensorrt", "auto"])
def test_an_error_after_which_only_a_new_process_helps_says_so(
    engine: str, model: Path, cache: Path, cuda: ModuleType
) -> None:
    """And "auto" does not fall back to a CPU, where it would stay."""
    cuda.devices = (cuda.cudaError_t.cudaErrorIllegalAddress, None)
    with pytest.raises(ProcessUnusable, match=r"cudaGetDeviceCount: cudaErrorIllegalAddress"):
        load_engine(model, engine)


def test_a_call_after_which_only_a_new_process_helps_says_so(
    model: Path, cache: Path, cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(model)
    illegal = (cuda.cudaError_t.cudaErrorIllegalAddress,)
    monkeypatch.setattr(cuda, "cudaEventSynchronize", lambda _: illegal)
    with pytest.raises(ProcessUnusable, match=r"cudaEventSynchronize: cudaErrorIllegalAddress"):
        encode(engine, 0)


def test_what_was_loaded_before_a_failure_is_freed(
    model: Path, cache: Path, cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate = cuda.cudaMalloc
    memory = (cuda.cudaError_t.cudaErrorMemoryAllocation, None)
    monkeypatch.setattr(
        cuda, "cudaMalloc", lambda n: memory if cuda.log.count("cudaGraphLaunch") else allocate(n)
    )
    with pytest.raises(EngineError, match=r"cudaMalloc: cudaErrorMemoryAllocation"):
        load(model)
    assert cuda.live() == 0


def test_buffers_have_the_size_of_the_largest_batch(
    model: Path, cache: Path, cuda: ModuleType
) -> None:
    engine = load(model)
    search = engine._search
    assert search.host["crops"].shape == (MAX_TARGETS, SEARCH, SEARCH, 3)
    assert search.host["crops"].dtype == np.uint8
    assert set(search.host) == {"crops", "prior"}
    for n in batch_sizes(MAX_TARGETS):
        assert search._outputs.arrays(n)["rays_px"].shape == (n, CANDIDATES, RAYS)
    for array in (*search.host.values(), *search._outputs.arrays(MAX_TARGETS).values()):
        assert cuda.inside(cuda.pinned, array.ctypes.data, array.nbytes)


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, (1,)), (2, (1, 2)), (12, (1, 2, 4, 8, 12)), (16, (1, 2, 4, 8, 16))]
)
def test_batch_sizes(most: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(most) == sizes


# --- what is missing ------------------------------------------------------------------------


def test_without_tensorrt_the_message_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Type stubs alone leave an empty package behind, None stands for one that is not installed.
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    monkeypatch.setitem(sys.modules, "tensorrt_lean", None)
    with pytest.raises(EngineError, match=r"engine tensorrt cannot be used: "):
        load(model)
    monkeypatch.delitem(sys.modules, "tensorrt_lean")
    if importlib.util.find_spec("tensorrt_lean") is None:
        with pytest.raises(EngineError, match="neither tensorrt nor tensorrt_lean is installed"):
            load(model)


def test_without_cuda_python_the_message_names_the_extra(
    model: Path, cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(EngineError, match=r"cuda\.bindings\.runtime.*'\.\[tensorrt"):
        load(model)


@pytest.mark.parametrize(
    ("error", "versions", "message"),
    [
        ("cudaErrorInsufficientDriver", (0, 13040), "no NVIDIA driver is loaded"),
        (
            "cudaErrorInsufficientDriver",
            (12060, 13040),
            r"pip install 'cuda-python<13', and TensorRT for CUDA 12 too: tensorrt-cu12",
        ),
        ("cudaErrorNoDevice", (13040, 13040), "cudaErrorNoDevice"),
    ],
)
def test_without_driver_or_device_the_message_says_which(
    model: Path, cuda: ModuleType, error: str, versions: tuple[int, int], message: str
) -> None:
    cuda.devices = (cuda.cudaError_t[error], None)
    cuda.versions = versions
    with pytest.raises(EngineError, match=message) as caught:
        load(model)
    assert str(caught.value).startswith("engine tensorrt cannot be used: ")
    assert "\n" not in str(caught.value)
    assert set(cuda.log) == {"cudaGetDeviceCount"}, "nothing of TensorRT may be touched"


@pytest.mark.parametrize("state", ["null", "TypeError"])
def test_a_driver_too_old_for_the_cuda_inside_tensorrt_is_told_and_not_a_crash(
    model: Path, cache: Path, cuda: ModuleType, state: str
) -> None:
    """cuda-python finds the device, and TensorRT, built for a newer CUDA, does not."""
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    sys.modules["tensorrt"].without_driver = state
    expected = (
        r"^engine tensorrt cannot be used: createInferRuntime: .*CUDA initialization failure.* \("
        r"the driver supports CUDA 12; TensorRT 10\.3\.0 may be for a newer one: pip install "
        r"tensorrt-cu12\)$"
    )
    for options in ({}, {"engine_path": folder}):
        with pytest.raises(EngineError, match=expected):
            load(model, **options)
    # "auto" goes on to the next engine and reports why.
    other = load_engine(model, "auto", precision="fp32")
    assert other.name != "tensorrt" and "CUDA initialization failure" in other.choice
    with pytest.raises(EngineError, match=expected):
        build(model, "fp32", False, lambda **_: None)
    assert cuda.live() == 0
    assert "segmentation fault" not in cuda.log, "such an object must not even be freed"


def test_an_engine_that_was_not_built_names_the_command(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EngineMissing, match=r"siampolar build-engine --model .* --precision fp32"):
        load(model)
    assert not list(tmp_path.iterdir())


def test_an_engine_for_another_gpu_or_version_is_not_taken(
    model: Path, cache: Path, cuda: ModuleType
) -> None:
    load(model)
    cuda.cudaDeviceProp.multiProcessorCount = 8
    with pytest.raises(EngineMissing, match=r"on Stand-in \(sm_87, 8 multiprocessors\)"):
        load(model)
    cuda.cudaDeviceProp.multiProcessorCount = 16
    sys.modules["tensorrt"].__version__ = "10.4.0"
    with pytest.raises(EngineMissing, match=r"for TensorRT 10\.4\.0"):
        load(model)


def test_what_tensorrt_refuses_is_told_with_its_cause(model: Path, cache: Path) -> None:
    """And not with "Engine deserialization failed.", which TensorRT logs after it."""
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    sys.modules["tensorrt"].__version__ = "10.4.0"
    with pytest.raises(EngineError, match=r"cannot load .*built by version 10\.3\.0$"):
        load(model, engine_path=folder)


def test_a_call_that_tensorrt_refuses_is_told_with_its_cause(model: Path, cache: Path) -> None:
    """And not with what was logged before the call."""
    tensorrt = sys.modules["tensorrt"]

    def complain(context: Any, memory: int, size: int) -> None:
        context._engine._logger.log(tensorrt.ILogger.ERROR, "an earlier complaint")

    tensorrt.IExecutionContext.set_device_memory = complain
    with pytest.raises(
        EngineError, match=r"the network cannot be enqueued\): a shape or the device"
    ):
        load(model)


@pytest.mark.parametrize("fixed", [True, False])
def test_an_engine_for_one_batch_size_may_name_it(model: Path, cache: Path, fixed: bool) -> None:
    """-1 or 1 for the template's batch: no document says which, and both were seen."""
    sys.modules["tensorrt"].names_fixed_batch = fixed
    engine = load(model)
    encode(engine, 1)
    assert engine.search([1], *inputs(engine, 1)).score.shape == (1, CANDIDATES)


def test_int8_is_called_experimental_where_it_is_loaded(
    model: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    about = json.loads((folder / "engine.json").read_text())
    about["precision"] = "int8"
    (folder / "engine.json").write_text(json.dumps(about))
    load_engine(model, "tensorrt", precision="int8", engine_path=folder)
    assert "int8 on TensorRT is experimental and probably slower than fp16" in caplog.text


def test_if_missing_builds_in_a_child_first(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine = load(model, build_engine="if_missing")
    encode(engine, 1)
    assert engine.search([1], *inputs(engine, 1)).score.shape == (1, CANDIDATES)
    with pytest.raises(EngineError, match="build_engine is 'always'; allowed: never, if_missing"):
        load(model, build_engine="always")


def test_auto_goes_on_builds_or_asks_as_build_engine_says(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node builds itself, so it must learn that the engine is missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = load_engine(model, precision="fp32", num_threads=1)
    assert other.name != "tensorrt" and "no TensorRT engine of tiny" in other.choice
    with pytest.raises(EngineMissing, match="no TensorRT engine of tiny"):
        load_engine(model, precision="fp32", build_engine=BUILT_BY_CALLER)
    assert not (tmp_path / "siampolar").exists()
    assert load_engine(model, precision="fp32", build_engine="if_missing").name == "tensorrt"
    assert load_engine(model, precision="fp32", build_engine=BUILT_BY_CALLER).name == "tensorrt"


# --- the lean runtime and engine_path -------------------------------------------------------


def test_the_lean_runtime_needs_a_path_and_builds_nothing(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    lean = sys.modules["tensorrt"]
    lean.__name__ = "tensorrt_lean"
    monkeypatch.setitem(sys.modules, "tensorrt_lean", lean)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="set engine_path to one"):
        load(model, build_engine="if_missing")
    engine = load(model, engine_path=folder)
    encode(engine, 1)
    assert engine.search([1], *inputs(engine, 1)).score.shape == (1, CANDIDATES)


@pytest.mark.parametrize("driver", ["none", "for an older CUDA"])
def test_the_real_lean_runtime_without_a_driver_ends_in_one_line(
    model: Path, built: Path, tmp_path: Path, driver: str
) -> None:
    """In a child, because the runtime's own object without a driver ends the process."""
    if importlib.util.find_spec("tensorrt_lean") is None:
        pytest.skip("tensorrt_lean is not installed here (pip install tensorrt-lean-cu13)")
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a driver")
    pytest.importorskip("cuda.bindings.runtime")
    if driver != "none":  # cuda-python finds a device, and TensorRT's own CUDA library does not
        (tmp_path / "cuda").symlink_to(STAND_IN / "cuda")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from siampolar_model.engines.loading import load_engine\n"
        "from siampolar_model.errors import EngineError\n"
        "try:\n"
        "    load_engine(sys.argv[1], 'tensorrt', engine_path=Path(sys.argv[2]))\n"
        "except EngineError as error:\n"
        "    sys.exit(str(error))\n"
    )
    (folder,) = (built / "siampolar" / "tensorrt").glob("tiny-*")
    done = subprocess.run(
        [sys.executable, "-c", code, str(model), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
            "XDG_CACHE_HOME": str(built),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, (done.returncode, done.stderr)
    (line,) = done.stderr.strip().splitlines()
    expected = "cudaErrorInsufficientDriver" if driver == "none" else "CUDA initialization failure"
    assert line.startswith("engine tensorrt cannot be used: ") and expected in line


def test_an_engine_outside_the_cache_is_refused(model: Path, cache: Path, tmp_path: Path) -> None:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    shutil.copytree(folder, tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="engine files are code"):
        load(model, engine_path=tmp_path / "elsewhere")
    (cache / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="engine files are code"):
        load(model, engine_path=cache / "link")


def test_an_engine_of_other_weights_or_precision_is_refused(model: Path, cache: Path) -> None:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    with pytest.raises(EngineError, match="computes in fp32, not in fp16"):
        load_engine(model, "tensorrt", precision="fp16", engine_path=folder)
    about = json.loads((folder / "engine.json").read_text())
    about["onnx_sha256"]["search"] = "0" * 64
    (folder / "engine.json").write_text(json.dumps(about))
    with pytest.raises(EngineError, match=r"was not built from .*search\.onnx"):
        load(model, engine_path=folder)


# --- building -------------------------------------------------------------------------------


def test_a_build_reports_its_outer_phases_and_keeps_what_it_measured(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[BuildProgress] = []
    folder = build_engine(model, "fp32", lean=True, on_progress=seen.append)
    assert seen == [
        BuildProgress(graph, "Building", step, 2)
        for graph in ("template", "search")
        for step in (0, 1, 2)
    ]
    about = json.loads((folder / "engine.json").read_text())
    assert about["lean"] and about["batches"] == [1, 2, 4, 5]
    header = json.loads((folder / "search.plan").read_bytes().split(b"\n")[0])
    # No flag of precision: those are gone in TensorRT 11. TF32 would not be fp32.
    asked = {name: header[name] for name in ("flags", "aux_streams", "pools")}
    assert asked == {
        "flags": ["EXCLUDE_LEAN_RUNTIME", "VERSION_COMPATIBLE"],
        "aux_streams": 0,
        "pools": {"WORKSPACE": 1 << 30},
    }
    assert [profile["crops"][1][0] for profile in header["profiles"]] == [1, 2, 4, 5]
    assert about["recipe"] == 1, "raise cache.RECIPE with every change of what is asked for here"
    (timing,) = folder.parent.glob("timing-*.cache")
    assert timing.read_bytes() == b"10.3.0 measured measured"  # one graph after the other
    timing.write_bytes(b"of another version")
    build_engine(model, "fp32", lean=True)
    assert timing.read_bytes() == b"10.3.0 measured measured"


def test_a_build_that_fails_says_why_and_leaves_nothing(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "template.onnx").write_bytes(b"nonsense")
    broken = ModelFolder.open(model).copy_to(tmp_path / "model").add(tmp_path / "template.onnx")
    with pytest.raises(EngineError, match=r"TensorRT cannot read .*template\.onnx"):
        build_engine(broken.path, "fp32")
    assert not (tmp_path / "cache" / "siampolar").exists()


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (["the cause", "Assertion engine != nullptr failed."], r"template\.onnx: the cause$"),
        (
            ["Could not find any implementation for node {Conv}.", "buildSerializedNetwork failed"],
            r"implementation for node \{Conv\}\. \(possibly too little memory\)$",
        ),
    ],
)
def test_a_build_that_tensorrt_gives_up_is_told_with_its_cause(
    model: Path,
    cuda: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[str],
    message: str,
) -> None:
    """And not with the complaint about an older timing cache, which does no harm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build(model, "fp32", False, lambda **_: None)
    (timing,) = (tmp_path / "siampolar" / "tensorrt").glob("timing-*.cache")
    timing.write_bytes(b"of another version")
    sys.modules["tensorrt"].build_errors = errors
    with pytest.raises(EngineError, match=message):
        build(model, "fp32", False, lambda **_: None)


def test_a_child_that_dies_is_reported_with_tensorrts_first_error(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text(
        "import os, sys\n"
        "from siampolar_model.engines.tensorrt.build_child import _to_stderr\n"
        "_to_stderr(False, 'a warning')\n"
        "_to_stderr(True, 'the cause')\n"
        "_to_stderr(True, 'a consequence')\n"
        "os.kill(os.getpid(), 11)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    expected = r"not built: TensorRT error: the cause \(killed by signal 11\)"
    with pytest.raises(EngineError, match=expected):
        build_engine(model, "fp32")


def test_a_child_that_dies_is_reported(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"the engine was not built: killed by signal 9"):
        build_engine(model, "fp32")


def test_a_build_can_be_cancelled(
    model: Path, cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = EngineBuild(model, "fp32")
    running.cancel()
    with pytest.raises(EngineError, match="killed by signal 9"):
        list(running.progress())


def test_building_again_replaces_the_engine(model: Path, cache: Path) -> None:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    before = (folder / "search.plan").stat().st_ino
    assert build_engine(model, "fp32") == folder
    assert (folder / "search.plan").stat().st_ino != before
    assert not [path for path in cache.iterdir() if path.name.startswith(".new")]
    assert EngineCache().read(folder).about["precision"] == "fp32"


def test_the_command_prints_where_the_engine_lies(
    model: Path,
    cuda: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("typer")
    from siampolar_model.cli.main import main as command

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        command(["build-engine", "--model", str(model), "--precision", "fp32"])
    assert ended.value.code == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / "search.plan").is_file() and folder.parent.parent.parent == tmp_path
    with pytest.raises(SystemExit) as ended:
        command(["build-engine", "--model", str(model), "--precision", "fp16"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: tensorrt cannot run in fp16: ") and error.count("\n") == 1
