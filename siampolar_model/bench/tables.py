"""What a benchmark found, as tables: for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..evaluation.timing import Percentiles
from .results import CaseResult, NamedResult, NodeResult, Report, SuiteResult


@dataclass(frozen=True)
class Table:
    """A title, what it means, names of columns, and rows of text.

    The first column is text, all others are numbers.
    """

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [f"## {self.title}", *([self.text] if self.text else []), ""]
        lines.append(f"| {' | '.join(self.columns)} |")
        lines.append("|" + "|".join(["---", *["---:"] * (len(self.columns) - 1)]) + "|")
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join(lines) + "\n"


def tables_of(report: Report) -> list[Table]:
    """All tables that a benchmark gives."""
    tables = [_stages(report.case)]
    suite = report.suite
    if suite is not None:
        tables += [
            _engines("Engines", _engines_text(suite), suite.engines),
            _engines(
                "Without AMX and AVX-512",
                f"`{_isa(suite.laptop)}`, set for the measuring process: OpenVINO as on an "
                "ordinary laptop, next to the same TrackerNano.",
                suite.laptop,
            ),
            _targets(_measured(suite.targets_by_number), _measured(suite.full_rate)),
            _sizes(suite.sizes),
        ]
    if report.loads:
        tables.append(_loads(report.loads))
    if report.node:
        tables.append(_node(report.node))
        traced = [one for one in report.node if one.stages_ms]
        if traced:
            tables.append(_node_stages(traced))
    return tables


def _stages(case: CaseResult) -> Table:
    ours = case.tracker
    rows = {"total": ours.ms.total, **ours.ms.stages()}
    rows |= {name: peer.ms.total for name, peer in case.peers.items()}
    width, height = case.image_size
    text = (
        f"{_count(case.targets)}, {width}x{height}: {ours.fps:.0f} frames per second (one over the "
        f"median), {ours.cpu_ms:.1f} ms of processor time each."
    )
    for name, peer in case.peers.items():
        text += (
            f" {name} (boxes only) in the same process on the same frames: {peer.fps:.0f} and "
            f"{peer.cpu_ms:.1f} ms; ours over its, median of {len(peer.runs)} alternating "
            f"runs: **{peer.fps_ratio:.2f}**."
        )
    return Table(
        f"{case.model}, {case.engine} {case.precision}, by stage",
        text,
        ("ms per frame", "p50", "p95", "p99"),
        tuple((name, *_percentiles(row)) for name, row in rows.items()),
    )


def _engines(title: str, text: str, results: Iterable[NamedResult]) -> Table:
    rows = []
    for case in _measured(results):
        ours = case.tracker
        ratios = [f"{peer.fps_ratio:.2f}" for peer in case.peers.values()]
        rows.append(
            (
                f"{case.engine} {case.precision}",
                f"{ours.fps:.0f}",
                *_percentiles(ours.ms.total),
                f"{ours.ms.infer.p50:.2f}",
                f"{ours.cpu_ms:.1f}",
                f"{ours.memory_mb:.0f}",
                *(ratios or ["-"]),
            )
        )
    columns = (
        "engine", "frames/s", "p50 ms", "p95 ms", "p99 ms", "network p50", "CPU ms", "memory MB",
        "over TrackerNano",
    )  # fmt: skip
    return Table(title, text, columns, tuple(rows))


def _targets(cases: Sequence[CaseResult], full_rate: Iterable[CaseResult]) -> Table:
    rows = []
    every = {case.targets: f"{case.tracker.ms.total.p50:.2f}" for case in full_rate}
    single = cases[0].tracker.ms.total.p50
    for case in cases:
        total, count = case.tracker.ms.total, case.targets
        rows.append(
            (
                str(count),
                *_percentiles(total),
                f"{total.p50 / single:.1f}",
                every.get(count, "-"),
            )
        )
    return Table(
        "Targets",
        "Each target in its own copy of the video, next to the others. Of more than "
        "`full_rate_targets`, steady ones are searched for on every other image; last column: all "
        "on every image. The fastest of three rounds.",
        ("targets", "p50 ms", "p95 ms", "p99 ms", "over one", "all, p50 ms"),
        tuple(rows),
    )


def _sizes(results: Iterable[NamedResult]) -> Table:
    measured = [(one.name, one.result) for one in results if one.result is not None]
    rows = []
    for name, case in measured:
        ms, smallest = case.tracker.ms, measured[0][1].tracker.ms
        width, height = case.image_size
        rows.append(
            (
                f"{name} ({width}x{height})",
                *_percentiles(ms.total),
                f"{ms.crop.p50:.2f}",
                f"{100 * (ms.total.p50 / smallest.total.p50 - 1):+.0f} %",
            )
        )
    return Table(
        "Image sizes",
        "The same target, of the same size in pixels, in larger images. The fastest of three "
        "rounds.",
        ("image", "p50 ms", "p95 ms", "p99 ms", "crop p50", "against the first"),
        tuple(rows),
    )


def _loads(results: Iterable[NamedResult]) -> Table:
    rows = []
    for one in results:
        assert one.result is not None
        case = one.result
        for name, peer in case.peers.items():
            shown = f"{one.name}: {name}", *_percentiles(peer.ms.total), f"{peer.cpu_ms:.1f}", "-"
            rows.append(shown)
        ratios = [f"**{peer.fps_ratio:.2f}**" for peer in case.peers.values()]
        ours = case.tracker
        rows.append(
            (one.name, *_percentiles(ours.ms.total), f"{ours.cpu_ms:.1f}", *(ratios or ["-"]))
        )
    return Table(
        "A busy core",
        "One target, while nothing else runs, and while another process keeps one core busy. "
        "*auto*: the engine's own choice of threads. The median of three rounds.",
        ("machine, threads", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "over TrackerNano"),
        tuple(rows),
    )


def _node(results: Iterable[NodeResult]) -> Table:
    rows = []
    for one in results:
        latency = one.latency_ms
        rows.append(
            (
                _stream(one),
                str(one.sent),
                str(one.lost),
                *(f"{value:.1f}" for value in (latency.p50, latency.p95, latency.p99)),
                f"{100 * one.node_cpu:.0f} %",
                f"{one.node_memory_mb:.0f}",
            )
        )
    return Table(
        "The node, end to end",
        "A process publishes images (bgr8) and receives `~/targets`, the node is a second one. "
        "Latency: from an image's stamp, taken as it is published, until that process has the "
        "targets. *Lost*: images without targets. CPU: of one core.",
        ("images", "sent", "lost", "p50 ms", "p95 ms", "p99 ms", "node CPU", "memory MB"),
        tuple(rows),
    )


def _node_stages(results: Sequence[NodeResult]) -> Table:
    names = tuple(results[0].stages_ms)
    return Table(
        "Where the node's time goes",
        "Milliseconds per image. *There and back*: DDS and the executors of both processes, p50. "
        "*Waiting*: in the node, for an earlier image or the worker. The others are means from its "
        "diagnostics: *the engine* is all of `Tracker.update`, *publishing* ends when DDS has the "
        "targets.",
        ("images", *names),
        tuple(
            (_stream(one), *(f"{one.stages_ms.get(name, 0.0):.2f}" for name in names))
            for one in results
        ),
    )


def _stream(one: NodeResult) -> str:
    width, height = one.image_size
    busy = ", one core busy" if one.busy_cores else ""
    return f"{width}x{height} at {one.rate_hz:g} Hz{busy}"


def _engines_text(suite: SuiteResult) -> str:
    text = "One target; CPU time of all threads per frame; memory that engine and tracker add."
    missing = {one.engine for one in suite.not_run}
    missing -= {case.engine for case in _measured(suite.engines)}
    return text + (f" Not on this machine: {', '.join(sorted(missing))}." if missing else "")


def _isa(results: Iterable[NamedResult]) -> str:
    return "=".join(["ONEDNN_MAX_CPU_ISA", *[c.max_isa or "" for c in _measured(results)][:1]])


def _measured(results: Iterable[NamedResult]) -> list[CaseResult]:
    return [one.result for one in results if one.result is not None]


def _percentiles(row: Percentiles) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in (row.p50, row.p95, row.p99))


def _count(targets: int) -> str:
    return "One target" if targets == 1 else f"{targets} targets"
