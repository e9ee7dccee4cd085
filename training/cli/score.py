"""``siampolar train score``: a model on clips of moving photographs."""

from __future__ import annotations

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
    engine: Engine = "auto",
    trials: Trials = None,
) -> None:
    """Score a model on clips of moving photographs, with the default settings and with others."""
    with bad_input():
        from siampolar_model.tracking.tracker import Tracker

        from ..clips.moving import clip_photographs, render_clip, score_clips
        from ..data.readers.photos import Photos as PhotosReader

        compared = [TrackerSettings(), *(one for text in trials or () for one in settings_of(text))]
        tracker = Tracker.from_pretrained(model, engine=engine)
        photographs = clip_photographs(PhotosReader(photos, validation=True))
        rendered = [render_clip(photographs, seed) for seed in range(clips)]
        for settings in compared:
            tracker.settings = settings
            typer.echo(f"{score_clips(tracker, rendered)} {settings}")
