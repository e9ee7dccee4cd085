"""docs/benchmarks.md: every table of a benchmark, with the machine and the command."""

from __future__ import annotations

from typing import Any

from .tables import tables_of


def benchmark_page(result: dict[str, Any], picture: str | None = None) -> str:
    """Markdown; no host name and no paths.

    Args:
        result: what ``siampolar bench`` writes as JSON.
        picture: a plot of it, relative to the page.
    """
    machine, versions = result["machine"], result["versions"]
    flags = ", ".join(machine["cpu_flags"]) or "none that matter"
    runtimes = ", ".join(f"{name} {version}" for name, version in versions.items())
    head = f"""# Benchmarks
Written by

```sh
{result["command"]}
```

on {machine["cpu"]} ({flags}), {machine["cores"]} cores; {result["threads"]} threads for the engine
and for OpenCV. {result["frames"]} frames, decoded beforehand; warm; five runs.
Versions: {runtimes}.
"""
    shown = [] if picture is None else [f"![Stages and targets]({picture})\n"]
    return "\n".join([head, *shown, *(table.markdown() for table in tables_of(result))])
