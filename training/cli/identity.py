"""``siampolar train identity``: whether targets stay on their own object, and how honest the
tracker is about it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siampolar_model.cli.console import check_writable, progress_bar, require_matplotlib
from siampolar_model.cli.options import (
    DEFAULT_MODEL,
    Engine,
    Model,
    ModelArgument,
    Set,
    tracker_settings,
)

from .errors_to_cli import bad_input
from .options import Clips, Photos

if TYPE_CHECKING:
    from siampolar_model.tracking.tracker import Tracker

    from ..data.readers.base import Reader

Videos = Annotated[
    Path, typer.Option(help="Folder in the layout of DAVIS-2016, such as its train.")
]
HoldOut = Annotated[
    int,
    typer.Option(min=0, help="Of this many sequences, by name, only the held-out one; 0: all."),
]

app = typer.Typer(
    help="Measure whether targets stay on their own object, and whether the tracker says so.",
    no_args_is_help=True,
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def twins(
    photos: Photos,
    model: ModelArgument = DEFAULT_MODEL,
    clips: Clips = 40,
    first_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first clip; results are reported from 0.")
    ] = 0,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Follow three to six identical objects that cross and are hidden, on generated clips."""
    with bad_input():
        from ..clips.twins import measure
        from ..data.readers.photos import Photos as PhotosReader

        reader = PhotosReader(photos, validation=True)
        tracker = _tracker(model, engine, assignments)
        with progress_bar() as progress:
            task = progress.add_task("clips", total=clips)
            figures = measure(
                tracker,
                reader,
                clips,
                first_seed=first_seed,
                on_clip=lambda: progress.advance(task),
            )
        typer.echo(
            f"{figures.targets} targets among twins: at the end {figures.own:.1%} on their own "
            f"copy, {figures.another:.1%} on another copy, {figures.lost:.1%} lost, "
            f"{figures.elsewhere:.1%} elsewhere; of those on another copy {figures.called:.0%} "
            "were called uncertain or lost after they left their own; "
            f"{figures.tracking:.1%} of the frames that show the own copy are called tracking"
        )


@app.command()
def clips(
    annotations: Annotated[
        list[Path], typer.Argument(help="JSON files of boxes drawn by hand, one for each video.")
    ],
    videos: Annotated[Path, typer.Option(help="Folder of the videos.")],
    model: Model = DEFAULT_MODEL,
    sheets: Annotated[
        Path | None, typer.Option(help="Folder for one contact sheet of each video.")
    ] = None,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Follow objects of real videos whose places were annotated by hand, such as
    test/data/identity/cups.json."""
    with bad_input():
        from siampolar_model.evaluation.identity import IdentityClip, follow

        read = [IdentityClip.read(path) for path in annotations]
        tracker = _tracker(model, engine, assignments)
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
        for path, clip in zip(annotations, read, strict=True):
            sheet = None if sheets is None else sheets / f"{path.stem}.jpg"
            scores = follow(tracker, clip, videos / clip.video, sheet=sheet)
            ends = ", ".join(f"{name} {end}" for name, end in scores.ends.items())
            typer.echo(
                f"{clip.video}: {scores.own_or_lost} of {len(scores.ends)} targets end on their "
                f"own object or lost ({ends}); on {scores.on_own:.0%} of the annotated frames all "
                f"targets called tracking are on their own; {scores.tracking:.0%} of the targets "
                f"in sight are called tracking; two of them share an object for at most "
                f"{scores.shared_frames} frames in a row"
            )


@app.command()
def boxes(
    data: Annotated[Path, typer.Argument(help="Videos with boxes, as OTB, LaSOT or GOT-10k.")],
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Measure how often a target is called tracking although it is somewhere else."""
    with bad_input():
        from siampolar_model.evaluation.boxes import open_boxes
        from siampolar_model.evaluation.identity import off_target

        dataset = open_boxes(data)
        tracker = _tracker(model, engine, assignments)
        found = []
        for sequence in dataset.sequences:
            found.append(off_target(tracker, sequence))
            typer.echo(
                f"{sequence.name}: {found[-1].off} of {found[-1].frames} frames off target, "
                f"{found[-1].tracking} called tracking"
            )
        share = sum(one.off for one in found) / sum(one.frames for one in found)
        typer.echo(f"{share:.2%} of all frames are called tracking with an IoU below 0.1")


@app.command()
def nothing(
    videos: Videos,
    model: Model = DEFAULT_MODEL,
    boxes: Annotated[int, typer.Option(min=1, help="How many boxes on nothing.")] = 100,
    hold_out: HoldOut = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed chooses other boxes.")] = 0,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Start boxes that show no object: how many are warned of, or soon uncertain or lost."""
    with bad_input():
        from ..identity.nothing import measure

        reader = _reader(videos, hold_out)
        tracker = _tracker(model, engine, assignments)
        with progress_bar() as progress:
            task = progress.add_task("boxes", total=boxes)
            figures = measure(
                tracker, reader, boxes, seed=seed, on_box=lambda: progress.advance(task)
            )
        typer.echo(
            f"{figures.boxes} boxes on nothing: {figures.honest:.0%} warned of at the start or "
            f"uncertain or lost within two seconds ({figures.warned:.0%} warned of); "
            f"{len(figures.false_warnings)} of {figures.objects} true objects are warned of"
        )
        for line in figures.false_warnings:
            typer.echo(f"  {line}")


@app.command()
def inexact(
    videos: Videos,
    model: Model = DEFAULT_MODEL,
    frames: Annotated[int, typer.Option(min=2, help="Of each video.")] = 100,
    hold_out: HoldOut = 0,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Start from boxes 25 % too small or too large, or shifted by 15 %: how far J falls."""
    with bad_input():
        from ..identity.inexact import measure

        reader = _reader(videos, hold_out)
        tracker = _tracker(model, engine, assignments)
        with progress_bar() as progress:
            task = progress.add_task("videos", total=len(reader))
            falls = measure(tracker, reader, frames, on_video=lambda: progress.advance(task))
        for fall in falls:
            typer.echo(
                f"{fall.way.name}: J {fall.inexact:.3f}, from the exact box {fall.exact:.3f}"
            )
        mean = sum(fall.exact - fall.inexact for fall in falls) / len(falls)
        typer.echo(f"on average J falls by {100 * mean:.1f} points")


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a shipped one.")],
    photos: Photos,
    videos: Videos,
    hold_out: Annotated[
        int, typer.Option(min=2, help="Of this many sequences, by name, one is not fitted to.")
    ] = 5,
    frames: Annotated[int, typer.Option(min=2, help="Of each video.")] = 60,
    clips: Annotated[int, typer.Option(min=1, help="Of each kind and side.")] = 8,
    engine: Engine = "auto",
    plot: Annotated[
        Path | None, typer.Option(help="Reliability diagram to write (needs matplotlib).")
    ] = None,
    write: Annotated[
        bool, typer.Option(help="Write the coefficients into the model's model.json.")
    ] = True,
) -> None:
    """Fit a model's confidence to videos and clips, and measure it on held-out ones."""
    with bad_input():
        from siampolar_model.models.folder import ModelFolder
        from siampolar_model.tracking.tracker import Tracker

        from ..data.config import SourceConfig, open_reader
        from ..data.readers.photos import Photos as PhotosReader
        from ..identity import calibration
        from ..identity.samples import Samples, gather

        if plot is not None:
            require_matplotlib()
            check_writable(plot)
        folder = ModelFolder.open(model)
        source = SourceConfig("davis", str(videos), year=2016, hold_out=hold_out)
        tracker = Tracker.from_pretrained(folder, engine=engine)
        sides: list[dict[str, Samples]] = []
        with progress_bar() as progress:
            for validation in (False, True):
                reader = open_reader(source, validation=validation)
                stills = PhotosReader(photos, validation=validation)
                side = "held out" if validation else "to fit"
                task = progress.add_task(side, total=len(reader) + 2 * clips)
                sides.append(
                    gather(
                        tracker,
                        reader,
                        stills,
                        frames=frames,
                        clips=clips,
                        on_part=partial(progress.advance, task),
                    )
                )
        fitted, held_out = sides
        coefficients = calibration.fit(fitted)
        typer.echo(" ".join(f"{name}={value:g}" for name, value in coefficients.items()))
        held_out["all"] = Samples.joined(list(held_out.values()))
        for kind, samples in held_out.items():
            measured = calibration.reliability(
                calibration.confidences(coefficients, samples), samples.iou
            )
            typer.echo(
                f"{kind}: {measured.samples} outlines, {measured.on_object:.1%} of them on their "
                f"object, expected calibration error {measured.ece:.3f}, AUROC {measured.auroc:.3f}"
            )
        if plot is not None:
            calibration.draw_diagram(measured, plot, folder.spec.name)
        if write:
            calibration.write(folder, coefficients)
            typer.echo(f"written to {folder.path / 'model.json'}")


def _tracker(model: str, engine: str, assignments: list[str] | None) -> Tracker:
    from siampolar_model.tracking.tracker import Tracker

    return Tracker.from_pretrained(model, engine=engine, settings=tracker_settings(assignments))


def _reader(videos: Path, hold_out: int) -> Reader:
    """All videos of a folder in the layout of DAVIS-2016, or those that are held out."""
    from ..data.config import SourceConfig, open_reader

    source = SourceConfig("davis", str(videos), year=2016, hold_out=hold_out)
    return open_reader(source, validation=bool(hold_out))
