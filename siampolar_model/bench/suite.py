"""Everything that docs/benchmarks.md shows of the tracker alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..engines.cpu import has_int8_dot_product
from ..errors import BenchError
from .case import Case
from .measure import RUNS

#: Targets in one batch.
TARGETS = (1, 2, 4, 8, 16)

#: Numbers of targets and image sizes are compared with each other, so each group is measured so
#: often in turn, and of each case the quietest round counts: other work on the machine only adds.
ROUNDS = 3

#: Image sizes by the names they go by.
SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


def laptop_isa() -> str:
    """The newest instructions of an ordinary laptop, as oneDNN calls them."""
    return "AVX2_VNNI" if has_int8_dot_product() else "AVX2"


def run_suite(
    base: Case, on_run: Callable[[], None], on_case: Callable[[str, int], None]
) -> dict[str, Any]:
    """Measure all engines, numbers of targets and image sizes.

    Args:
        base: what ``engine`` and ``precision`` to use for all but the comparison of engines.
        on_run: called after every timed run.
        on_case: called before every case, with its name and the number of runs still to come.

    Returns:
        ``engines``: all that run here, with the peer; ``not_run``: what does not, and why;
        ``laptop``: OpenVINO with :func:`laptop_isa`; ``targets_by_number``; ``sizes``.

    Raises:
        BenchError: see :class:`Case`.
    """
    on_case("which engines run", 0)
    listed = base.engines()
    laptop = replace(base, max_isa=laptop_isa())
    plan: list[tuple[str, str, Case]] = []
    for one in listed:
        if not one["obstacle"]:
            case = replace(base, engine=one["engine"], precision=one["precision"])
            plan.append(("engines", f"{case.engine} {case.precision}", case))
    # Of these runtimes only OpenVINO takes its kernels from oneDNN.
    for one in laptop.engines():
        if one["engine"] == "openvino" and not one["obstacle"]:
            case = replace(laptop, engine="openvino", precision=one["precision"])
            plan.append(("laptop", f"openvino {case.precision}, {case.max_isa}", case))
    alone = replace(base, peer=None)
    by_number = [(f"{targets} targets", replace(alone, targets=targets)) for targets in TARGETS]
    by_size = [(name, replace(alone, image_size=size)) for name, size in SIZES.items()]
    for group, cases in (("targets_by_number", by_number), ("sizes", by_size)):
        plan += [(group, name, case) for _ in range(ROUNDS) for name, case in cases]
    # By group and name, in the order of the plan.
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for done, (group, name, case) in enumerate(plan):
        on_case(name, (len(plan) - done) * RUNS)
        try:
            one = {"name": name, **case.run(on_run)}
        except BenchError as error:
            if group != "sizes":
                raise
            # A video larger than this size.
            one = {"name": name, "obstacle": str(error)}
        before = found.get((group, name))
        if before is None or _median_ms(one) < _median_ms(before):
            found[group, name] = one
    result: dict[str, Any] = {"engines": [], "laptop": [], "targets_by_number": [], "sizes": []}
    for (group, _), one in found.items():
        result[group].append(one)
    return result | {"not_run": [one for one in listed if one["obstacle"]]}


def _median_ms(one: dict[str, Any]) -> float:
    return float(one["tracker"]["ms"]["total"]["p50"]) if "tracker" in one else 0.0
