"""Measures everything that docs/benchmarks.md shows of the tracker without the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..engines.cpu import has_int8_dot_product
from ..errors import BenchError
from ..tracking.settings import TrackerSettings
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
            case = replace(base, engine=one.engine, precision=one.precision, provider="cpu")
            plan.append(("engines", f"{case.engine} {case.precision}", case))
    # Only OpenVINO: it alone takes its kernels from oneDNN, which max_isa limits.
    for one in laptop.engines():
        if one.engine == "openvino" and not one.obstacle:
            case = replace(laptop, engine="openvino", precision=one.precision)
            plan.append(("laptop", f"openvino {case.precision}, {case.max_isa}", case))
    alone = replace(base, peer=None)
    by_number = [(f"{targets} targets", replace(alone, targets=targets)) for targets in TARGETS]
    every = {**alone.settings, "full_rate_targets": 256}
    full_rate = [
        (f"{targets} targets, all on every image", replace(alone, targets=targets, settings=every))
        for targets in TARGETS
        if targets > TrackerSettings.full_rate_targets
    ]
    by_size = [(name, replace(alone, image_size=size)) for name, size in SIZES.items()]
    groups = {"targets_by_number": by_number, "full_rate": full_rate, "sizes": by_size}
    for group, cases in groups.items():
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
        full_rate=results("full_rate"),
        sizes=results("sizes"),
        not_run=tuple(one for one in listed if one.obstacle),
    )


def run_loads(
    base: Case, on_run: Callable[[], None], on_case: Callable[[str, int], None]
) -> tuple[NamedResult, ...]:
    """One target with 1, 2 and the engine's own number of threads, idle and with a busy core.

    The rounds alternate, and the median round of each is kept.

    Args:
        base, on_run, on_case: see :func:`run_suite`.

    Raises:
        BenchError: see :class:`Case`.
    """
    cases = {
        f"{'one core busy' if busy else 'idle'}, {threads or 'auto'}": replace(
            base, targets=1, num_threads=threads, busy_cores=busy
        )
        for busy in (0, 1)
        for threads in (None, 1, 2)
    }
    plan = [name for _ in range(ROUNDS) for name in cases]
    found: dict[str, list[NamedResult]] = {name: [] for name in cases}
    for done, name in enumerate(plan):
        on_case(name, (len(plan) - done) * RUNS)
        found[name].append(NamedResult(name, cases[name].run(on_run)))
    return tuple(sorted(rounds, key=_median_ms)[ROUNDS // 2] for rounds in found.values())


def _median_ms(one: NamedResult) -> float:
    return one.result.tracker.ms.total.p50 if one.result is not None else 0.0
