"""``siampolar train score``: a model on clips of moving photographs and on held-out videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siampolar_model.cli.options import (
    DEFAULT_MODEL,
    Engine,
    ModelArgument,
    set_help,
    tracker_settings,
)
from siampolar_model.tracking.settings import TrackerSettings

from .errors_to_cli import bad_input
from .options import Clips, Photos

Videos = Annotated[
    Path | None,
    typer.Option(help="Folder in the layout of DAVIS-2016: score its held-out sequences as well."),
]

Trials = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=V1,V2,...",
        help="Score each of these values as well; may be repeated. " + set_help(TrackerSettings),
    ),
]


def settings_of(text: str) -> list[TrackerSettings]:
    """The settings that ``NAME=V1,V2,...`` asks for, one for each value.

    Raises:
        CommandError: see :func:`siampolar_model.cli.options.tracker_settings`.
    """
    name, separator, values = text.partition("=")
    return [tracker_settings([f"{name}{separator}{value}"]) for value in values.split(",")]


def score(
    photos: Photos,
    model: ModelArgument = DEFAULT_MODEL,
    clips: Clips = 40,
    videos: Videos = None,
    hold_out: Annotated[int, typer.Option(min=2, help="Of --videos, as in data.sources.")] = 5,
    frames: Annotated[int, typer.Option(min=2, help="Of each video.")] = 60,
    engine: Engine = "auto",
    trials: Trials = None,
) -> None:
    """Score a model on clips of moving photographs and on held-out videos, with the default
    settings and with others."""
    with bad_input():
        from siampolar_model.tracking.tracker import Tracker

        from ..clips.moving import clip_photographs, film_clip, render_clip, score_clips
        from ..data.config import SourceConfig, open_reader
        from ..data.readers.photos import Photos as PhotosReader

        compared = [TrackerSettings(), *(one for text in trials or () for one in settings_of(text))]
        held_out = None
        if videos is not None:
            source = SourceConfig("davis", str(videos), year=2016, hold_out=hold_out)
            held_out = open_reader(source, validation=True)
        tracker = Tracker.from_pretrained(model, engine=engine)
        photographs = clip_photographs(PhotosReader(photos, validation=True))
        kinds = {"clips": [render_clip(photographs, seed) for seed in range(clips)]}
        if held_out is not None:
            kinds["videos"] = [film_clip(held_out, i, frames) for i in range(len(held_out))]
        for settings in compared:
            tracker.settings = settings
            for kind, one in kinds.items():
                typer.echo(f"{kind}: {score_clips(tracker, one)} {settings}")
