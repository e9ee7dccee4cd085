"""``siampolar train identity``: whether targets stay on their own object, and how honest the
tracker is about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siampolar_model.cli.console import progress_bar
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
        from siampolar_model.tracking.tracker import Tracker

        from ..clips.twins import measure
        from ..data.readers.photos import Photos as PhotosReader

        reader = PhotosReader(photos, validation=True)
        settings = tracker_settings(assignments)
        tracker = Tracker.from_pretrained(model, engine=engine, settings=settings)
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
        from siampolar_model.tracking.tracker import Tracker

        read = [IdentityClip.read(path) for path in annotations]
        settings = tracker_settings(assignments)
        tracker = Tracker.from_pretrained(model, engine=engine, settings=settings)
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
