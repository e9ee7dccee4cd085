"""``siampolar train redetection``: whether a lost target is found again."""

from __future__ import annotations

import typer

from siampolar_model.cli.options import (
    DEFAULT_MODEL,
    Engine,
    ModelArgument,
    Set,
    tracker_settings,
)

from .errors_to_cli import bad_input
from .options import Clips, Photos


def redetection(
    photos: Photos,
    model: ModelArgument = DEFAULT_MODEL,
    clips: Clips = 20,
    engine: Engine = "auto",
    assignments: Set = None,
) -> None:
    """Measure on clips how often a lost target is found again, without and with a distractor."""
    with bad_input():
        from siampolar_model.tracking.tracker import Tracker

        from ..clips.redetection import FOUND_FRAMES, RATE_HZ, measure
        from ..data.readers.photos import Photos as PhotosReader

        settings = tracker_settings(assignments)
        reader = PhotosReader(photos, validation=True)
        tracker = Tracker.from_pretrained(model, engine=engine, settings=settings)
        for distractor in (False, True):
            figures = measure(tracker, reader, clips, distractor=distractor)
            typer.echo(
                f"{'with' if distractor else 'without'} another object of similar colours in view: "
                f"found again within {FOUND_FRAMES / RATE_HZ:g} s {figures.found:.0%} "
                f"(median {figures.median_s:.2f} s), called tracking while absent "
                f"{figures.false:.1%}, tracked before {figures.tracked_before:.1%}"
            )
