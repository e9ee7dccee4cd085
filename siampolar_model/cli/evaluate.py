"""``siampolar eval``: score a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box as boxes
from rich.console import Console
from rich.table import Table

from ..errors import CommandError
from .console import check_distinct, check_writable, progress_bar, require_matplotlib, write_json
from .options import (
    DEFAULT_MODEL,
    Engine,
    JsonFile,
    Precision,
    Provider,
    Set,
    Threads,
    tracker_settings,
)

if TYPE_CHECKING:
    from ..evaluation.boxes import BoxDataset
    from ..evaluation.davis import MaskDataset
    from ..evaluation.playing import Follower
    from ..evaluation.scores import (
        BoxDatasetScores,
        BoxFrames,
        BoxScores,
        MaskDatasetScores,
        MaskFrames,
        MaskScores,
    )
    from ..tracking.settings import TrackerSettings

_MAX_FPS = 1000

#: Of the picture of the worst frames.
_SHEET_SUFFIXES = (".jpg", ".png")

#: In the folder of plots, for a data set with boxes.
_CURVES = "curves.png"


def evaluate(
    data: Annotated[
        Path,
        typer.Option(help="Data set: masks in DAVIS layout, or boxes as OTB, LaSOT, GOT-10k, VOT."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Shipped model, or the folder of one; may be repeated. Default: "
            f"{DEFAULT_MODEL}, or none with --peer."
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:FOLDER]",
            help="A tracker of OpenCV in the same table: nano:FOLDER or vit:FOLDER (of its ONNX "
            "files), csrt or mil; may be repeated.",
        ),
    ] = None,
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
    objects: Annotated[
        bool, typer.Option("--objects", help="Score every object of a mask alone, as DAVIS-2017.")
    ] = False,
    from_mask: Annotated[
        bool, typer.Option("--from-mask", help="Start from the first mask instead of its box.")
    ] = False,
    json_file: JsonFile = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Folder for one video per sequence, truth in white.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Folder for one plot per sequence, and curves (needs matplotlib)."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Picture (.jpg or .png) of the frames with the lowest scores."),
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Only this sequence; may be repeated.")
    ] = None,
) -> None:
    """Score models on a data set: masks by DAVIS, boxes as OTB, LaSOT and GOT-10k do.

    A sequence that cannot be scored is named, left out, and makes the exit code 1. With several
    models or peers there is one row for each; their videos, plots and sheets lie in folders of
    their names.
    """
    from ..evaluation import evaluate as evaluation
    from ..evaluation.davis import MaskDataset
    from ..evaluation.peers import open_peer
    from ..evaluation.plot import plot_curves
    from ..evaluation.scores import BoxDatasetScores

    settings = tracker_settings(assignments)
    if fps is not None and not 0 < fps <= _MAX_FPS:
        raise typer.BadParameter(f"--fps {fps:g} must be above 0 and at most {_MAX_FPS}")
    if sheet is not None and sheet.suffix.lower() not in _SHEET_SUFFIXES:
        raise typer.BadParameter(f"--sheet {sheet} must end in {' or '.join(_SHEET_SUFFIXES)}")
    if from_mask and peer:
        raise typer.BadParameter("--from-mask: OpenCV's trackers start from boxes only")
    peers = [open_peer(text) for text in peer or ()]
    models = model or ([] if peers else [DEFAULT_MODEL])
    several = len(models) + len(peers) > 1
    dataset = evaluation.open_dataset(data, sequence or (), objects=objects)
    for bad in dataset.skipped:
        typer.echo(f"{bad.name} is left out: {bad.reason}", err=True)
    if plot is not None:
        require_matplotlib()
    read = [path for one in dataset.sequences for path in one.images]
    if isinstance(dataset, MaskDataset):
        read += [path for one in dataset.sequences for path in one.masks]
    names = [one.name for one in dataset.sequences]
    check_distinct(read, (json_file, sheet, *_drawn(names, overlays, plot)))
    check_writable(json_file)
    check_writable(sheet)
    for folder in (overlays, plot):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    contenders = [
        *(_model(one, engine, precision, threads, provider, settings) for one in models),
        *(Contender(one.name, one, {"engine": "opencv"}) for one in peers),
    ]
    check_names([one.name for one in contenders])
    for one in contenders if from_mask else ():
        check_takes_mask(one)
    scored = {}
    for one in contenders:
        scored[one.name] = _score(
            one, dataset, several=several, fps=fps, objects=objects, from_mask=from_mask,
            overlays=overlays, plot=plot, sheet=sheet,
        )  # fmt: skip
    boxes_scored = {n: s for n, s in scored.items() if isinstance(s, BoxDatasetScores)}
    if plot is not None and boxes_scored:
        plot_curves(boxes_scored, plot / _CURVES)
    results = [_result(data, one, scored[one.name]) for one in contenders]
    write_json(json_file, {"trackers": results} if several else results[0])
    place = data.resolve().name
    if several:
        _print_means(f"on {place}", scored)
    else:
        (only,) = contenders
        _print_scores(f"{only.name} ({only.about['engine']}) on {place}", scored[only.name])
    failed = {bad.name: bad.reason for one in scored.values() for bad in one.skipped}
    for name in failed.keys() - {bad.name for bad in dataset.skipped}:
        typer.echo(f"{name} is left out: {failed[name]}", err=True)
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True, eq=False)
class Contender:
    """One that is scored.

    Attributes:
        about: what the JSON file says of it besides its name and its scores.
    """

    name: str
    follower: Follower
    about: dict[str, Any]


def _model(
    model: str, engine: str, precision: str, threads: int | None, provider: str,
    settings: TrackerSettings,
) -> Contender:  # fmt: skip
    from ..models.folder import ModelFolder
    from ..tracking.tracker import Tracker

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
    about = {
        "search_sha256": opened.search_sha256,
        "engine": tracker.engine.name,
        "precision": tracker.engine.precision,
        "settings": asdict(settings),
    }
    return Contender(tracker.spec.name, tracker, about)


def check_names(names: Sequence[str]) -> None:
    """Raises CommandError if two contenders have one name."""
    for name in names:
        if names.count(name) > 1:
            raise CommandError(f"{name} is given {names.count(name)} times")


def check_takes_mask(contender: Contender) -> None:
    """Raises CommandError for a network that draws the mask of its target itself."""
    spec = getattr(contender.follower, "spec", None)
    if spec is None or not spec.takes_mask:
        raise CommandError(
            f"--from-mask: {contender.name} starts from boxes only; its network must have been "
            "trained with given_mask: true"
        )


def _score(
    contender: Contender,
    dataset: MaskDataset | BoxDataset,
    *,
    several: bool,
    fps: float | None,
    objects: bool,
    from_mask: bool,
    overlays: Path | None,
    plot: Path | None,
    sheet: Path | None,
) -> MaskDatasetScores | BoxDatasetScores:
    """Run one contender and write what is drawn of it."""
    from ..evaluation import evaluate as evaluation
    from ..evaluation.plot import plot_frames
    from ..evaluation.worst_frames import WorstFrames

    def place(folder: Path) -> Path:
        own = folder / contender.name if several else folder
        own.mkdir(exist_ok=True)
        return own

    def on_scores(frames: MaskFrames | BoxFrames) -> None:
        if plot is not None:
            plot_frames(frames, place(plot) / f"{frames.name}.png")

    worst = None if sheet is None else WorstFrames()
    label = f"{contender.name} " if several else ""
    with progress_bar() as progress:
        task = progress.add_task("", total=sum(len(one.images) for one in dataset.sequences))
        scores = evaluation.evaluate(
            contender.follower,
            dataset,
            fps=fps,
            objects=objects,
            from_mask=from_mask,
            overlays=None if overlays is None else place(overlays),
            worst=worst,
            on_sequence=lambda name: progress.update(task, description=label + name),
            on_frame=lambda: progress.advance(task),
            on_scores=on_scores,
        )
    if sheet is not None and worst is not None:
        worst.write(place(sheet.parent) / sheet.name)
    return scores


def _drawn(names: Sequence[str], overlays: Path | None, plot: Path | None) -> list[Path]:
    """What is drawn for each sequence."""
    return [
        folder / f"{name}.{suffix}"
        for folder, suffix in ((overlays, "mp4"), (plot, "png"))
        for name in names
        if folder is not None
    ]


def _result(
    data: Path, contender: Contender, scores: MaskDatasetScores | BoxDatasetScores
) -> dict[str, Any]:
    from ..bench.machine import machine, versions

    return {
        "data": data.resolve().name,
        "model": contender.name,
        **contender.about,
        "versions": versions(),
        "machine": asdict(machine()),
        **scores.to_dict(),
    }


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


def _print_means(title: str, scored: dict[str, MaskDatasetScores | BoxDatasetScores]) -> None:
    """One row for each contender."""
    table = Table(title=title, box=boxes.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("tracker", no_wrap=True)
    rows = {
        name: {**_cells(one), "fps": "-" if one.fps is None else f"{one.fps:.0f}"}
        for name, one in scored.items()
    }
    for column in next(iter(rows.values())):
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells.values())
    Console().print(table)
