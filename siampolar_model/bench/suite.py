"""Measures everything that docs/benchmarks.md shows of the tracker without the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..engines.cpu import has_int8_dot_product
from ..errors import BenchError
from .case import Case
from .measure import RUNS
from .results import NamedResult, SuiteResult

#: Numbers of targets that are compared.
TARGETS = (1, 2, 4, 8, 16)

#: Each group of cases that are compared with each other is measured this many times, interleaved,
#: and the fastest round of each case is kept, because other work on the machine only slows it down.
ROUNDS = 3

#: Image sizes by the names they go by.
SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


def laptop_isa() -> str:
    """The newest instructions of an ordinary laptop, as oneDNN calls them."""
    return "AVX2_VNNI" if has_int8_dot_product() else "AVX2"


def run_suite(
    base: Case, on_run: Callable[[], None], on_case: Callable[[str, int], None]
) -> SuiteResult:
    """Measure all engines, numbers of targets and image sizes.

    Args:
        base: the case from which all others are made. The comparison of engines sets its own
            ``engine`` and ``precision``.
        on_run: called after every timed run.
        on_case: called before every case with its name and the number of timed runs that are left.

    Raises:
        BenchError: see :class:`Case`.
    """
    on_case("which engines run", 0)
    listed = base.engines()
    laptop = replace(base, max_isa=laptop_isa())
    plan: list[tuple[str, str, Case]] = []
    for one in listed:
        if not one.obstacle:
            case = replace(base, engine=one.engine, precision=one.precision)
            plan.append(("engines", f"{case.engine} {case.precision}", case))
    # Only OpenVINO: it alone takes its kernels from oneDNN, which max_isa limits.
    for one in laptop.engines():
        if one.engine == "openvino" and not one.obstacle:
            case = replace(laptop, engine="openvino", precision=one.precision)
            plan.append(("laptop", f"openvino {case.precision}, {case.max_isa}", case))
    alone = replace(base, peer=None)
    by_number = [(f"{targets} targets", replace(alone, targets=targets)) for targets in TARGETS]
    by_size = [(name, replace(alone, image_size=size)) for name, size in SIZES.items()]
    for group, cases in (("targets_by_number", by_number), ("sizes", by_size)):
        plan += [(group, name, case) for _ in range(ROUNDS) for name, case in cases]
    # By group and name, in the order of the plan.
    found: dict[tuple[str, str], NamedResult] = {}
    for done, (group, name, case) in enumerate(plan):
        on_case(name, (len(plan) - done) * RUNS)
        try:
            result = NamedResult(name, case.run(on_run))
        except BenchError as error:
            if group != "sizes":
                raise
            # The video is larger than this size: that is a result, not a failure.
            result = NamedResult(name, None, str(error))
        before = found.get((group, name))
        if before is None or _median_ms(result) < _median_ms(before):
            found[group, name] = result

    def results(group: str) -> tuple[NamedResult, ...]:
        return tuple(result for (of, _), result in found.items() if of == group)

    return SuiteResult(
        engines=results("engines"),
        laptop=results("laptop"),
        targets_by_number=results("targets_by_number"),
        sizes=results("sizes"),
        not_run=tuple(one for one in listed if one.obstacle),
    )


def _median_ms(one: NamedResult) -> float:
    return one.result.tracker.ms.total.p50 if one.result is not None else 0.0
