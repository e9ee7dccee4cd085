"""A benchmark as a picture: stages of every engine, and what more targets cost."""

from __future__ import annotations

import importlib
from pathlib import Path

from .results import Report


def plot_benchmark(report: Report, path: Path) -> None:
    """Write a PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figures = importlib.import_module("matplotlib.figure")  # needs no display
    suite = report.suite
    targets = [one.result for one in suite.targets_by_number if one.result] if suite else []
    cases = [one.result for one in suite.engines if one.result] if suite else [report.case]
    figure = figures.Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, 2 if targets else 1, squeeze=False)[0]
    names = [f"{one.engine} {one.precision}" for one in cases]
    times = [one.tracker.ms.stages() for one in cases]
    left = [0.0] * len(cases)
    for stage in times[0]:
        widths = [one[stage].p50 for one in times]
        axes[0].barh(names, widths, left=left, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for name, peer in report.case.peers.items():
        axes[0].axvline(peer.ms.total.p50, color="0.3", linestyle="--", label=name)
    axes[0].invert_yaxis()
    axes[0].set(xlabel="ms per frame, medians", title=f"{report.case.model}, one target")
    axes[0].legend(fontsize="small")
    if targets:
        counts = [one.targets for one in targets]
        each = [one.tracker.ms.total.p50 / one.targets for one in targets]
        axes[1].plot(counts, each, marker="o")
        axes[1].set(
            xlabel="targets", ylabel="ms per target, median", xticks=counts, ylim=(0, None),
            title=f"{report.case.engine} {report.case.precision}",
        )  # fmt: skip
    figure.savefig(path, dpi=120)
