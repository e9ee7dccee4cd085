"""The real lean runtime with a device: what it reports of plans that it cannot load."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from gpu_report import NotHere, Report
from gpu_setup import open_cuda


def run(report: Report, options: Namespace) -> None:
    report.note("gpu", str(open_cuda().gpu))
    try:
        import tensorrt_lean_bindings as lean
    except (ImportError, OSError) as error:
        raise NotHere(
            f"tensorrt_lean_bindings cannot be loaded ({error}): pip install --no-deps "
            "tensorrt-lean-cu13-bindings tensorrt-lean-cu13-libs"
        ) from None
    report.note("TensorRT lean", lean.__version__)
    sys.modules["tensorrt"] = lean
    from siampolar_model.engines.tensorrt.plan import Plan
    from siampolar_model.errors import EngineError

    plans = {"empty": b"", "random": os.urandom(100_000)}
    other = next(iter((options.out / "rtx_cache").rglob("template.plan")), None)
    if other is not None:
        plans["of TensorRT for RTX"] = other.read_bytes()
    for name, data in plans.items():
        try:
            Plan(data, Path(name))
        except EngineError as error:
            report.note(name, str(error))
            report.check(f"a plan that is {name} is refused in one line", "\n" not in str(error))
        else:
            report.check(f"a plan that is {name} is refused in one line", False)
