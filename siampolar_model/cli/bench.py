"""``siampolar bench``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box as boxes
from rich.console import Console
from rich.table import Table as RichTable

from ..bench.page import benchmark_page
from ..bench.plot import plot_benchmark
from ..bench.results import NodeResult, Report
from ..bench.tables import tables_of
from ..errors import CommandError
from ..geometry.box import parse_box
from ..plugins import entry_points
from ..tracking.settings import TrackerSettings
from .console import check_distinct, check_writable, progress_bar, require_matplotlib, write_json
from .options import (
    DEFAULT_MODEL,
    Engine,
    First,
    JsonFile,
    Last,
    Model,
    Precision,
    Provider,
    Set,
    Video,
    set_values,
    settings_with,
)

#: Where a package that has a node registers how to measure it; this one knows no ROS.
NODE_GROUP = "siampolar.bench"


def bench(
    video: Video,
    box: Annotated[str, typer.Option(help="x,y,w,h in pixels of the first frame.")],
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    assignments: Set = None,
    provider: Provider = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of engine, OpenCV and peer; default: the engine's own choice, and one "
            "per core.",
        ),
    ] = None,
    targets: Annotated[
        int,
        typer.Option(
            min=1,
            max=256,
            help="Number of targets, each in its own copy of the video, next to the others.",
        ),
    ] = 1,
    peer: Annotated[
        str | None,
        typer.Option(
            metavar="nano:FOLDER",
            help="Run OpenCV's TrackerNano alongside; the folder holds its two ONNX files. Spelled "
            "as for `siampolar eval`, which takes other trackers as well.",
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Measure also all engines, numbers of targets and image sizes."
        ),
    ] = False,
    loaded: Annotated[
        bool,
        typer.Option(
            "--loaded",
            help="Measure also with 1, 2 and the engine's own number of threads, idle and while "
            "another process keeps one core busy; with --node, the node as well.",
        ),
    ] = False,
    node: Annotated[
        bool, typer.Option("--node", help="Measure also the ROS 2 node, from image to targets.")
    ] = False,
    json_file: JsonFile = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw (needs matplotlib).")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Markdown page to write, such as docs/benchmarks.md.")
    ] = None,
    first: First = 0,
    last: Last = None,
) -> None:
    """Time the tracker by stage, next to OpenCV's TrackerNano, and as a node."""
    from ..bench.case import Case
    from ..bench.machine import machine, versions
    from ..bench.measure import RUNS
    from ..bench.peer import PEER_FILES
    from ..bench.suite import run_loads, run_suite
    from ..io.image_folder import image_files

    target = parse_box(box)
    settings = set_values(assignments, TrackerSettings)
    settings_with(TrackerSettings, settings)  # refused here, not in the process that measures
    inputs = [video, *(image_files(video) if video.is_dir() else ())]
    peer_folder = None if peer is None else _nano_folder(peer)
    inputs += [] if peer_folder is None else [peer_folder / name for name in PEER_FILES]
    outputs = (json_file, plot, write)
    check_distinct(inputs, outputs)
    for path in outputs:
        check_writable(path)
    if plot is not None:
        require_matplotlib()
    measure_node = _node_benchmark() if node else None
    case = Case(
        video=str(video),
        box_xywh=target.as_xywh(),
        first=first,
        last=last,
        model=model,
        engine=engine,
        precision=precision,
        num_threads=threads,
        provider=provider,
        targets=targets,
        peer=None if peer_folder is None else str(peer_folder),
        settings=settings,
    )
    with progress_bar() as progress:
        task = progress.add_task("one target" if targets == 1 else f"{targets} targets", total=RUNS)

        def on_run() -> None:
            progress.advance(task)

        def on_case(name: str, runs: int) -> None:
            done = next(one.completed for one in progress.tasks if one.id == task)
            progress.update(task, description=name, total=done + runs)

        result = case.run(on_run)
        suite = run_suite(case, on_run, on_case) if full else None
        loads = run_loads(case, on_run, on_case) if loaded else ()
        nodes: tuple[NodeResult, ...] = ()
        for busy in (0, 1) if loaded else (0,):
            if measure_node is not None:
                nodes += measure_node(replace(case, busy_cores=busy), on_run, on_case)
    typer.echo(result.choice, err=True)
    command = _command(
        video.name, box=box, model=None if model == DEFAULT_MODEL else Path(model).name,
        engine=None if engine == "auto" else engine,
        precision=None if precision == "auto" else precision,
        provider=None if provider == "cpu" else provider, threads=threads,
        set=assignments, targets=None if targets == 1 else targets,
        peer=peer_folder and f"nano:{peer_folder.name}",
        full=full, loaded=loaded, node=node, write=write and write.name,
        first=first or None, last=last,
    )  # fmt: skip
    report = Report(result, command, versions(), machine(), suite, nodes, loads)
    write_json(json_file, report.to_dict())
    if plot is not None:
        plot_benchmark(report, plot)
    if write is not None:
        picture = None if plot is None else os.path.relpath(plot, write.parent)
        write.write_text(benchmark_page(report, picture), encoding="utf-8")
    _print(report)


def _nano_folder(text: str) -> Path:
    """The folder of ``nano:FOLDER``.

    Raises:
        CommandError: another tracker, or no folder.
    """
    name, _, folder = text.partition(":")
    if name != "nano" or not folder:
        raise CommandError(
            f"--peer {text}: must be nano:FOLDER, with the ONNX files of TrackerNano"
        )
    return Path(folder)


def _node_benchmark() -> Callable[..., tuple[NodeResult, ...]]:
    """The function that measures the node, from the package that has one."""
    found = [one for one in entry_points(group=NODE_GROUP) if one.name == "node"]
    if not found:
        raise CommandError("--node needs the package siampolar_ros installed, with ROS 2")
    try:
        return found[0].load()
    except ImportError as error:
        raise CommandError(f"--node cannot be loaded: {error}; source ROS 2 first") from None


def _command(video: str, **options: Any) -> str:
    """What was typed, without anybody's folders."""
    words = ["siampolar", "bench", video]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(one)]
    return shlex.join(words)


def _print(report: Report) -> None:
    console = Console()
    for table in tables_of(report):
        shown = RichTable(title=table.title, caption=_plain(table.text), box=boxes.SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def _plain(markdown: str) -> str:
    return markdown.replace("**", "").replace("`", "").replace("*", "")
