"""TensorRT for RTX on this card: built, run and compared with ONNX Runtime.

NVIDIA promises it for compute capabilities 7.5, 8.0, 8.6, 8.9 and 12.x; whether another card is
refused is one of the results.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from typing import Any

from gpu_latency import compare, latencies_ms
from gpu_report import NotHere, Report
from gpu_setup import open_cuda

_MODEL = "siampolar_lite0"

#: Largest difference from fp32 of score and quality, and of box and rays in pixels of the crop.
_TOLERANCE = {"fp32": (1e-3, 0.1), "fp16": (0.02, 1.5)}


def run(report: Report, options: Namespace) -> None:
    report.note("gpu", str(open_cuda().gpu))
    try:
        import tensorrt_rtx_bindings as rtx
    except (ImportError, OSError) as error:
        raise NotHere(
            f"tensorrt_rtx_bindings cannot be loaded ({error}): pip install --no-deps "
            "tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs"
        ) from None
    report.note("TensorRT for RTX", rtx.__version__)
    _install(rtx)
    os.environ["XDG_CACHE_HOME"] = str((options.out / "rtx_cache").resolve())
    from siampolar_model.engines.loading import load_engine
    from siampolar_model.engines.tensorrt.build_child import build
    from siampolar_model.engines.tensorrt.cuda import Cuda
    from siampolar_model.models.folder import ModelFolder

    exact = load_engine(_MODEL, "onnxruntime", precision="fp32")
    for precision, (score, pixels) in _TOLERANCE.items():
        start = time.monotonic()
        folder = build(ModelFolder.open(_MODEL).path, precision, False, lambda **_: None)
        report.note(f"{precision}: build, s", time.monotonic() - start)
        sizes = {path.stem: path.stat().st_size for path in folder.glob("*.plan")}
        report.note(f"{precision}: bytes of the plans", sizes)
        start = time.monotonic()
        engine = load_engine(_MODEL, "tensorrt", precision=precision)
        report.note(f"{precision}: load, s", time.monotonic() - start)
        report.note(f"{precision}: captured as graphs", not engine._cuda._capture_failed)
        found = compare(engine, exact)
        report.note(f"{precision}: largest differences from ONNX Runtime in fp32", found)
        limits = {"score": score, "quality": score, "box_xyxy": pixels, "rays_px": pixels}
        close = all(found.get(name, 0) <= limit for name, limit in limits.items())
        report.check(f"{precision}: results are those of ONNX Runtime", close)
        report.check(
            f"{precision}: the same cells are chosen", 20 * found["other cell"] <= found["targets"]
        )
        report.check(f"{precision}: a second run gives the same", found["not repeatable"] == 0)
        report.note(f"{precision}, ms with graphs: targets: p50, p95", latencies_ms(engine))
        capture, Cuda.capture = Cuda.capture, lambda self, work: work
        try:
            plain = load_engine(_MODEL, "tensorrt", precision=precision)
        finally:
            Cuda.capture = capture
        report.note(f"{precision}, ms without graphs: targets: p50, p95", latencies_ms(plain))


def _install(rtx: Any) -> None:
    """As ``tensorrt``. Its engines can be captured only if all memory comes from the caller."""

    class Builder(rtx.Builder):  # type: ignore[misc, name-defined]
        def create_builder_config(self) -> Any:
            config = super().create_builder_config()
            config.set_flag(rtx.BuilderFlag.REQUIRE_USER_ALLOCATION)
            return config

    rtx.Builder = Builder
    sys.modules["tensorrt"] = rtx
