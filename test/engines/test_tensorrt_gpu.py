"""TensorRT on a real GPU against ONNX Runtime; skipped where there is none.

pytest -m gpu -s test/engines/test_tensorrt_gpu.py
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("onnxruntime")

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.tensorrt import api as trt
from siampolar_model.engines.tensorrt.build import build_engine
from siampolar_model.engines.tensorrt.cuda import Cuda
from siampolar_model.errors import EngineError
from siampolar_model.models.folder import FP16_FILE, TENSORRT_INT8_FILE, ModelFolder

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

#: Largest difference from fp32 of score and quality, of the box in pixels of the crop, and of the
#: rays relative to their length.
TOLERANCE = {"fp32": (1e-3, 0.1, 1e-3), "fp16": (0.02, 1.5, 0.03), "int8": (0.15, 8.0, 0.15)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model with all its precisions; engines go into a cache of this run's own."""
    try:
        trt.package()
        gpu = Cuda().gpu
    except (EngineError, ImportError) as error:
        pytest.skip(f"no GPU that TensorRT can use: {error}")
    if trt.is_lean():
        pytest.skip("only the lean TensorRT runtime is installed, which builds nothing")
    print(f"\nTensorRT {trt.version()} on {gpu}")
    folder = tmp_path_factory.mktemp("model") / "siampolar_lite0"
    shutil.copytree(ModelFolder.open("siampolar_lite0").path, folder)
    if not (folder / FP16_FILE).exists():
        pytest.importorskip("onnx")
        from siampolar_model.export.fp16 import derive_fp16

        derive_fp16(folder)
    return folder


@pytest.fixture(scope="module")
def load(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Engine]:
    """Engines by precision, each built once."""
    cache = tmp_path_factory.mktemp("cache")

    def load(precision: str) -> Engine:
        if precision == "int8" and not (model / TENSORRT_INT8_FILE).exists():
            pytest.skip("the model has no INT8 file")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            return load_engine(model, "tensorrt", precision=precision, build_engine="if_missing")

    return load


@pytest.fixture(scope="module")
def exact(model: Path) -> Engine:
    return load_engine(model, "onnxruntime", precision="fp32")


def encode(engine: Engine) -> None:
    """Slots 0 to 3: parts of a photograph."""
    size = engine.spec.template_size
    photo = cv2.imread(str(ROOT / "docs" / "images" / "demo.jpg"))
    box_xyxy = np.array([0.25, 0.2, 0.75, 0.8], np.float32) * size
    for slot in range(4):
        part = photo[:200, 60 * slot : 60 * slot + 200]
        engine.encode(slot, cv2.resize(part, (size, size)), box_xyxy)


def inputs(engine: Engine, n: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    size = engine.spec.search_size
    photo = cv2.imread(str(ROOT / "docs" / "images" / "demo.jpg"))
    crops = [
        cv2.resize(np.roll(photo, 17 * i, axis=1)[:256, 40:296], (size, size)) for i in range(n)
    ]
    middle = [0.3, 0.15, size / 4, size / 4, size / 2, size / 2]
    return [i % 4 for i in range(n)], np.stack(crops), np.array([middle] * n, np.float32)


def assert_close(found: Candidates, expected: Candidates, precision: str) -> None:
    score, box, rays = TOLERANCE[precision]
    for i in range(len(expected.score)):
        # Near-equal candidates may change places: the same cell is compared, wherever it stands.
        distance = np.abs(found.center_xy[i] - expected.center_xy[i, 0]).sum(1)
        k = int(distance.argmin())
        assert distance[k] < 0.01, f"target {i}: the best cell is not among the candidates"
        assert abs(found.score[i, k] - expected.score[i, 0]) <= score
        assert abs(found.quality[i, k] - expected.quality[i, 0]) <= score
        np.testing.assert_allclose(found.box_xyxy[i, k], expected.box_xyxy[i, 0], atol=box)
        np.testing.assert_allclose(
            found.rays_px[i, k], expected.rays_px[i, 0], rtol=rays, atol=10 * rays
        )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_batch_gives_what_onnx_runtime_gives(
    load: Callable[[str], Engine], exact: Engine, precision: str
) -> None:
    engine = load(precision)
    assert engine.precision == precision
    encode(engine)
    encode(exact)
    for n in range(1, engine.spec.max_targets + 1):
        slots, crops, prior = inputs(engine, n)
        expected = exact.search(slots, crops, prior)
        assert_close(engine.search(slots, crops, prior), expected, precision)
        # A graph launched again gives the same.
        assert_close(engine.search(slots, crops, prior), expected, precision)


def median_ms(engine: Engine, n: int) -> float:
    slots, crops, prior = inputs(engine, n)
    for _ in range(20):
        engine.search(slots, crops, prior)
    seconds = []
    for _ in range(100):
        start = time.perf_counter()
        engine.search(slots, crops, prior)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e3


def test_speed(load: Callable[[str], Engine], exact: Engine) -> None:
    engine = load("fp16")
    encode(engine)
    encode(exact)
    one, eight = median_ms(engine, 1), median_ms(engine, 8)
    cpu = median_ms(exact, 1)
    print(f"\nfp16: {one:.2f} ms for 1 target, {eight:.2f} ms for 8; ONNX Runtime {cpu:.2f} ms")
    assert one < cpu
    assert eight < 8 * one


def test_nothing_is_allocated_from_frame_to_frame(load: Callable[[str], Engine]) -> None:
    from cuda.bindings import runtime

    engine = load("fp16")
    encode(engine)
    engine.search(*inputs(engine, 3))

    def free_bytes() -> int:
        error, free, _ = runtime.cudaMemGetInfo()
        assert error == runtime.cudaError_t.cudaSuccess
        return int(free)

    before = free_bytes()
    for n in (1, 2, 3, 16) * 100:
        engine.search(*inputs(engine, n))
    assert free_bytes() >= before


def test_a_second_start_builds_nothing(load: Callable[[str], Engine]) -> None:
    load("fp16")
    start = time.perf_counter()
    load("fp16")
    assert time.perf_counter() - start < 10


def test_an_engine_for_the_lean_runtime(model: Path, tmp_path: Path) -> None:
    """Built here, and loaded where tensorrt_lean is installed too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        folder = build_engine(model, "fp16", lean=True)
        lean = pytest.importorskip("tensorrt_lean")
        patch.setattr(trt, "package", lambda: lean)
        engine = load_engine(model, "tensorrt", engine_path=folder)
        encode(engine)
        assert engine.search(*inputs(engine, 1)).score.shape == (1, 1)
