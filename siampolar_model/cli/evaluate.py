"""``siampolar eval``: score a model on a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Provider,
    Set,
    Threads,
    tracker_settings,
)

if TYPE_CHECKING:
    from ..evaluation.scores import (
        BoxDatasetScores,
        BoxFrames,
        BoxScores,
        MaskDatasetScores,
        MaskFrames,
        MaskScores,
    )


_MAX_FPS = 1000

#: In the folder of plots, for a data set with boxes.
_CURVES = "curves.png"


def evaluate(
    data: Annotated[
        Path,
        typer.Option(help="Data set: masks in DAVIS layout, or boxes as OTB, LaSOT, GOT-10k, VOT."),
    ],
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    provider: Provider = "cpu",
    threads: Threads = None,
    assignments: Set = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Play at this many images per second, so that a slow model misses some; without "
            "it the model sees every image."
        ),
    ] = None,
    json_file: JsonFile = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Folder for one video per sequence, truth in white.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Folder for one plot per sequence, and curves (needs matplotlib)."),
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Only this sequence; may be repeated.")
    ] = None,
) -> None:
    """Score a model on a data set: masks by DAVIS-2016, boxes as OTB, LaSOT and GOT-10k do.

    A sequence that cannot be scored is named, left out, and makes the exit code 1.
    """
    from ..bench.machine import machine, versions
    from ..evaluation import evaluate as evaluation
    from ..evaluation.davis import MaskDataset
    from ..evaluation.plot import plot_curves, plot_frames
    from ..evaluation.scores import BoxDatasetScores
    from ..models.folder import ModelFolder
    from ..tracking.tracker import Tracker

    settings = tracker_settings(assignments)
    if fps is not None and not 0 < fps <= _MAX_FPS:
        raise typer.BadParameter(f"--fps {fps:g} must be above 0 and at most {_MAX_FPS}")
    dataset = evaluation.open_dataset(data, sequence or ())
    for bad in dataset.skipped:
        typer.echo(f"{bad.name} is left out: {bad.reason}", err=True)
    if plot is not None:
        require_matplotlib()
    drawn = [
        folder / f"{one.name}.{suffix}"
        for folder, suffix in ((overlays, "mp4"), (plot, "png"))
        for one in dataset.sequences
        if folder is not None
    ]
    read = [path for one in dataset.sequences for path in one.images]
    if isinstance(dataset, MaskDataset):
        read += [path for one in dataset.sequences for path in one.masks]
    check_distinct(read, (json_file, *drawn))
    check_writable(json_file)
    for folder in (overlays, plot):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    opened = ModelFolder.open(model)
    tracker = Tracker.from_pretrained(
        opened,
        engine=engine,
        settings=settings,
        precision=precision,
        num_threads=threads,
        provider=provider,
    )
    typer.echo(tracker.engine.choice, err=True)
    with progress_bar() as progress:
        task = progress.add_task("", total=sum(len(one.images) for one in dataset.sequences))

        def on_scores(frames: MaskFrames | BoxFrames) -> None:
            if plot is not None:
                plot_frames(frames, plot / f"{frames.name}.png")

        scores = evaluation.evaluate(
            tracker,
            dataset,
            fps=fps,
            overlays=overlays,
            on_sequence=lambda name: progress.update(task, description=name),
            on_frame=lambda: progress.advance(task),
            on_scores=on_scores,
        )
    if plot is not None and isinstance(scores, BoxDatasetScores):
        plot_curves(scores, plot / _CURVES)
    result = {
        "data": data.resolve().name,
        "model": tracker.spec.name,
        "search_sha256": opened.search_sha256,
        "engine": tracker.engine.name,
        "precision": tracker.engine.precision,
        "settings": asdict(settings),
        "versions": versions(),
        "machine": asdict(machine()),
        **scores.to_dict(),
    }
    write_json(json_file, result)
    _print_scores(f"{result['model']} ({result['engine']}) on {result['data']}", scores)
    for bad in scores.skipped[len(dataset.skipped) :]:
        typer.echo(f"{bad.name} is left out: {bad.reason}", err=True)
    if scores.skipped:
        raise typer.Exit(1)


def _mask_cells(one: MaskScores) -> dict[str, float | None]:
    return {
        "J": one.J_mean, "J rec": one.J_recall, "J dec": one.J_decay,
        "F": one.F_mean, "F rec": one.F_recall, "F dec": one.F_decay, "box": one.box_iou_mean,
    }  # fmt: skip


def _box_cells(one: BoxScores) -> dict[str, float | None]:
    return {
        "AUC": one.AUC, "P 20": one.precision_20px, "P norm": one.normalised_precision,
        "AO": one.AO, "SR 50": one.SR_50, "SR 75": one.SR_75,
    }  # fmt: skip


def _cells(one: MaskScores | BoxScores) -> dict[str, str]:
    """Names and texts of the columns, as many as fit 80 characters: percentages, then counts."""
    from ..evaluation.scores import BoxScores

    shares = _box_cells(one) if isinstance(one, BoxScores) else _mask_cells(one)
    cells = {name: "-" if value is None else f"{value:.1%}"[:-1] for name, value in shares.items()}
    if one.late_frames is not None:
        cells["late"] = str(one.late_frames)
    return cells | {"lost": str(one.lost_frames), "of": str(one.frames)}


def _print_scores(title: str, scores: MaskDatasetScores | BoxDatasetScores) -> None:
    table = Table(title=title, box=boxes.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sequence", no_wrap=True)
    mean = _cells(scores)
    for column in mean:
        table.add_column(column, justify="right")
    for name, one in scores.sequences.items():
        table.add_row(name, *_cells(one).values())
    table.add_section()
    table.add_row("mean", *mean.values(), style="bold")
    console = Console()
    console.print(table)
    if scores.fps is not None:
        console.print(f"{scores.fps:.1f} frames/s in the tracker (median, warm)", highlight=False)
