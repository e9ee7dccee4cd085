"""``siampolar bench --node``: from an image's stamp to its targets, between two processes.

Registered as entry point ``node`` of the group ``siampolar.bench``, because siampolar_model does
not know ROS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from siampolar_model.bench.case import Case
from siampolar_model.bench.load import busy_cores
from siampolar_model.bench.results import NodeResult
from siampolar_model.errors import BenchError

from ..demo.children import Children
from ..runtime.environment import dds_environment, local_environment
from .camera import Request

#: Image sizes and rates, and seconds of each.
SIZES = ((1280, 720), (1920, 1080))
RATES_HZ = (30.0, 60.0)
SECONDS = 20.0


def measure_node(
    case: Case, on_run: Callable[[], None], on_case: Callable[[str, int], None]
) -> tuple[NodeResult, ...]:
    """Measure every size at every rate.

    Args:
        case: video, box, model, engine, precision, threads and settings are taken from it.
        on_run, on_case: as for :func:`siampolar_model.bench.suite.run_suite`.

    Raises:
        BenchError: a process ended, refused the target, or nothing came through.
    """
    # Before DDS starts in the children.
    os.environ.update({**dds_environment(), **local_environment()})
    plan = [(size, rate) for size in SIZES for rate in RATES_HZ]
    rows = []
    for number, (size, rate) in enumerate(plan):
        on_case(f"node, {size[0]}x{size[1]} at {rate:g} Hz", len(plan) - number)
        rows.append(measure_one(case, size, rate, SECONDS))
        on_run()
    return tuple(rows)


def measure_one(case: Case, size: tuple[int, int], rate: float, seconds: float) -> NodeResult:
    """One size at one rate; errors as of :func:`measure_node`."""
    namespace = f"/siampolar_bench_{os.getpid()}"
    settings = {
        "model": str(Path(case.model).resolve()) if Path(case.model).is_dir() else case.model,
        "engine": case.engine,
        "precision": case.precision,
        "num_threads": case.num_threads or 0,
        "provider": case.provider,
        **case.settings,
    }
    with TemporaryDirectory() as folder, Children(Path(folder)) as children:
        pid = children.start("tracker_node", namespace, settings)
        request = Request(
            namespace=namespace,
            node_pid=pid,
            video=case.video,
            first=case.first,
            last=case.last,
            box_xywh=case.box_xywh,
            image_size=size,
            rate_hz=rate,
            seconds=seconds,
        )
        command = [sys.executable, "-m", "siampolar_ros.bench.camera", json.dumps(asdict(request))]
        with busy_cores(case.busy_cores):
            camera = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        log = children.last_line("tracker_node")
        ended = children.ended("tracker_node")
    if ended:
        raise BenchError(f"the tracker ended: {log}")
    lines = camera.stdout.splitlines()
    answer: dict[str, Any] = {"error": f"exit code {camera.returncode}"}
    if lines:
        answer = json.loads(lines[-1])
    if "error" in answer:
        raise BenchError(f"{answer['error']} (last line of the node's log: {log})")
    return replace(NodeResult.from_dict(answer["result"]), busy_cores=case.busy_cores)
