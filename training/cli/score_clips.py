"""Score a model on clips: ``python -m siampolar_training.cli.score_clips MODEL``."""

from __future__ import annotations

import argparse

from siampolar_model.tracking.settings import SETTING_RANGES, TrackerSettings
from siampolar_model.tracking.tracker import Tracker

from ..clips.moving import clip_photographs, render_clip, score_clips
from ..data.readers.photos import Photos
from ..errors import TrainingError
from .errors_to_cli import run_command
from .settings_argument import parse_setting, settings_with


def settings_of(text: str) -> list[TrackerSettings]:
    """The settings that ``NAME=V1,V2,...`` asks for, one for each value.

    Raises:
        TrainingError: an unknown name, no number, or a number out of range.
    """
    name, values = parse_setting(text)
    return [settings_with({name: value}) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a shipped model, or a model folder")
    parser.add_argument("--photos", default="../shared/data/photos")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--engine", default="auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=V1,V2,...",
        help="tracker setting to compare; names: " + ", ".join(SETTING_RANGES),
    )
    arguments = parser.parse_args()
    if arguments.clips < 1:
        raise TrainingError(f"--clips {arguments.clips}: at least 1 is needed")
    trials = [TrackerSettings(), *(one for text in arguments.set for one in settings_of(text))]
    tracker = Tracker.from_pretrained(arguments.model, engine=arguments.engine)
    photos = clip_photographs(Photos(arguments.photos, validation=True))
    clips = [render_clip(photos, seed) for seed in range(arguments.clips)]
    for settings in trials:
        tracker.settings = settings
        print(score_clips(tracker, clips), settings, flush=True)


if __name__ == "__main__":
    run_command(main)
