"""``siampolar eval``: score a model on a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box as boxes
from rich.console import Console
from rich.table import Table

from .console import check_distinct, check_writable, progress_bar, require_matplotlib, write_json
from .options import (
    DEFAULT_MODEL,
    Engine,
    JsonFile,
    Model,
    Precision,
    Set,
    Threads,
    tracker_settings,
)


def evaluate(
    data: Annotated[Path, typer.Option(help="Data set in DAVIS layout.")],
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    assignments: Set = None,
    json_file: JsonFile = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Folder for one video per sequence, truth in white.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for one plot per sequence (needs matplotlib).")
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Only this sequence; may be repeated.")
    ] = None,
) -> None:
    """Score a model on a data set by the DAVIS-2016 protocol."""
    from ..bench.machine import machine, versions
    from ..evaluation.davis import find_sequences
    from ..evaluation.evaluate import evaluate_sequence, summarize, warm_up
    from ..evaluation.plot import plot_sequence
    from ..models.folder import ModelFolder
    from ..tracking.tracker import Tracker

    settings = tracker_settings(assignments)
    sequences = find_sequences(data, sequence or ())
    if plot is not None:
        require_matplotlib()
    drawn = [
        folder / f"{one.name}.{suffix}"
        for folder, suffix in ((overlays, "mp4"), (plot, "png"))
        for one in sequences
        if folder is not None
    ]
    check_distinct((p for one in sequences for p in one.images + one.masks), (json_file, *drawn))
    check_writable(json_file)
    for folder in (overlays, plot):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    opened = ModelFolder.open(model)
    tracker = Tracker.from_pretrained(
        opened, engine=engine, settings=settings, precision=precision, num_threads=threads
    )
    typer.echo(tracker.engine.choice, err=True)
    warm_up(tracker, sequences[0])
    scores = []
    with progress_bar() as progress:
        task = progress.add_task("", total=sum(len(one.images) for one in sequences))
        for one in sequences:
            progress.update(task, description=one.name)
            overlay = None if overlays is None else overlays / f"{one.name}.mp4"
            scores.append(
                evaluate_sequence(
                    tracker, one, overlay=overlay, on_frame=lambda: progress.advance(task)
                )
            )
            if plot is not None:
                plot_sequence(scores[-1], plot / f"{one.name}.png")
    result = {
        "data": data.resolve().name,
        "model": tracker.spec.name,
        "search_sha256": opened.search_sha256,
        "engine": tracker.engine.name,
        "precision": tracker.engine.precision,
        "settings": asdict(settings),
        "versions": versions(),
        "machine": machine(),
        **summarize(scores),
    }
    write_json(json_file, result)
    _print_scores(result)


def _print_scores(result: dict[str, Any]) -> None:
    columns = (
        ("J", "J_mean"), ("J rec", "J_recall"), ("J dec", "J_decay"),
        ("F", "F_mean"), ("F rec", "F_recall"), ("F dec", "F_decay"),
        ("box", "box_iou_mean"), ("lost", "lost_frames"), ("of", "frames"),
    )  # fmt: skip
    title = f"{result['model']} ({result['engine']}) on {result['data']}"
    # As many columns as fit 80 characters: mean, recall and decay of J and F, box IoU, and
    # frames reported lost of all frames.
    table = Table(title=title, box=boxes.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sequence", no_wrap=True)
    for title, _ in columns:
        table.add_column(title, justify="right")

    def cells(figures: dict[str, Any]) -> list[str]:
        values = [figures[key] for _, key in columns]
        return [
            "-" if value is None else str(value) if isinstance(value, int) else f"{value:.1%}"[:-1]
            for value in values
        ]

    for name, figures in result["sequences"].items():
        table.add_row(name, *cells(figures))
    table.add_section()
    table.add_row("mean", *cells(result), style="bold")
    console = Console()
    console.print(table)
    console.print(f"{result['fps']:.1f} frames/s in the tracker (median, warm)", highlight=False)
