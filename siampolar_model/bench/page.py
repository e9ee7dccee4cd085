"""docs/benchmarks.md: every table of a benchmark, with the machine and the command."""

from __future__ import annotations

from .results import Report
from .tables import tables_of


def benchmark_page(report: Report, picture: str | None = None) -> str:
    """A page in Markdown, without host name and paths.

    Args:
        picture: a plot of the report, relative to the page.
    """
    machine, case = report.machine, report.case
    flags = ", ".join(machine.cpu_flags) or "none that matter"
    runtimes = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    threads = "the engine's own choice of threads"
    if case.threads is not None:
        threads = f"{case.threads} threads for the engine and for OpenCV"
    head = f"""# Benchmarks
Written by

```sh
{report.command}
```

on {machine.cpu} ({flags}), {machine.cores} cores; {threads}.
{case.frames} frames, decoded beforehand; warm; five runs.
Versions: {runtimes}.
"""
    shown = [] if picture is None else [f"![Stages and targets]({picture})\n"]
    return "\n".join([head, *shown, *(table.markdown() for table in tables_of(report))])
