"""What a benchmark found, as tables: for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


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


def tables_of(result: dict[str, Any]) -> list[Table]:
    """All tables that a result of ``siampolar bench`` holds."""
    tables = [_stages(result)]
    if "engines" in result:
        tables += [
            _engines("Engines", _engines_text(result), result["engines"]),
            _engines(
                "Without AMX and AVX-512",
                f"`{_isa(result['laptop'])}`, set for the measuring process: OpenVINO as on an "
                "ordinary laptop, beside the same TrackerNano.",
                result["laptop"],
            ),
            _targets(result["targets_by_number"]),
            _sizes(result["sizes"]),
        ]
    if "node" in result:
        tables.append(_node(result["node"]))
    return tables


def _stages(result: dict[str, Any]) -> Table:
    rows = dict(result["tracker"]["ms"])
    peers = result.get("peers", {})
    rows |= {name: peer["ms"]["total"] for name, peer in peers.items()}
    width, height = result["image_size"]
    ours = result["tracker"]
    text = (
        f"{_count(result['targets'])}, {width}x{height}: {ours['fps']:.0f} frames a second (one "
        f"over the median), {ours['cpu_ms']:.1f} ms of processor time each."
    )
    for name, peer in peers.items():
        text += (
            f" {name} (boxes only) in the same process on the same frames: {peer['fps']:.0f} and "
            f"{peer['cpu_ms']:.1f} ms; ours over its, median of {len(peer['runs'])} alternating "
            f"runs: **{peer['fps_ratio']:.2f}**."
        )
    return Table(
        f"{result['model']}, {result['engine']} {result['precision']}, by stage",
        text,
        ("ms per frame", "p50", "p95", "p99"),
        tuple((name, *_percentiles(row)) for name, row in rows.items()),
    )


def _engines(title: str, text: str, results: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for one in results:
        ours = one["tracker"]
        ratios = [f"{peer['fps_ratio']:.2f}" for peer in one.get("peers", {}).values()]
        rows.append(
            (
                f"{one['engine']} {one['precision']}",
                f"{ours['fps']:.0f}",
                *_percentiles(ours["ms"]["total"]),
                f"{ours['ms']['infer']['p50']:.2f}",
                f"{ours['cpu_ms']:.1f}",
                f"{ours['memory_mb']:.0f}",
                *(ratios or ["-"]),
            )
        )
    columns = (
        "engine", "frames/s", "p50 ms", "p95 ms", "p99 ms", "network p50", "CPU ms", "memory MB",
        "over TrackerNano",
    )  # fmt: skip
    return Table(title, text, columns, tuple(rows))


def _targets(results: Sequence[dict[str, Any]]) -> Table:
    rows = []
    single = results[0]["tracker"]["ms"]["total"]["p50"]
    for one in results:
        p50 = one["tracker"]["ms"]["total"]["p50"]
        count = one["targets"]
        rows.append(
            (
                str(count),
                *_percentiles(one["tracker"]["ms"]["total"]),
                f"{p50 / count:.2f}",
                f"{single * count / p50:.2f}",
            )
        )
    return Table(
        "Targets",
        "All targets of an image are one batch. *Gain*: against as many calls with one target. The "
        "quietest of three rounds.",
        ("targets", "p50 ms", "p95 ms", "p99 ms", "p50 ms per target", "gain"),
        tuple(rows),
    )


def _sizes(results: Sequence[dict[str, Any]]) -> Table:
    measured = [one for one in results if "obstacle" not in one]
    rows = []
    for one in measured:
        ms, smallest = one["tracker"]["ms"], measured[0]["tracker"]["ms"]
        width, height = one["image_size"]
        rows.append(
            (
                f"{one['name']} ({width}x{height})",
                *_percentiles(ms["total"]),
                f"{ms['crop']['p50']:.2f}",
                f"{100 * (ms['total']['p50'] / smallest['total']['p50'] - 1):+.0f} %",
            )
        )
    return Table(
        "Image sizes",
        "The same target, of the same size in pixels, in larger images. The quietest of three "
        "rounds.",
        ("image", "p50 ms", "p95 ms", "p99 ms", "crop p50", "against the first"),
        tuple(rows),
    )


def _node(results: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for one in results:
        width, height = one["image_size"]
        rows.append(
            (
                f"{width}x{height} at {one['rate_hz']:g} Hz",
                str(one["sent"]),
                str(one["lost"]),
                *(f"{one['latency_ms'][key]:.1f}" for key in ("p50", "p95", "p99")),
                f"{100 * one['node_cpu']:.0f} %",
                f"{one['node_memory_mb']:.0f}",
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


def _engines_text(result: dict[str, Any]) -> str:
    text = "One target; CPU time of all threads per frame; memory that engine and tracker add."
    missing = {one["engine"] for one in result["not_run"]}
    missing -= {one["engine"] for one in result["engines"]}
    return text + (f" Not on this machine: {', '.join(sorted(missing))}." if missing else "")


def _isa(results: Sequence[dict[str, Any]]) -> str:
    return f"ONEDNN_MAX_CPU_ISA={results[0]['max_isa']}" if results else "ONEDNN_MAX_CPU_ISA"


def _percentiles(row: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{row[key]:.2f}" for key in ("p50", "p95", "p99"))


def _count(targets: int) -> str:
    return "One target" if targets == 1 else f"{targets} targets"
