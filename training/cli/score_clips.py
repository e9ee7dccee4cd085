"""Score a model on clips: ``python -m siampolar_training.cli.score_clips MODEL``.

With ``--videos DAVIS`` also on the sequences of a set in the layout of DAVIS that a training with
the same ``hold_out`` leaves out.
"""

from __future__ import annotations

import argparse

from siampolar_model.tracking.settings import SETTING_RANGES, TrackerSettings
from siampolar_model.tracking.tracker import Tracker

from ..clips.moving import clip_photographs, film_clip, render_clip, score_clips
from ..data.config import SourceConfig, open_reader
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
    parser.add_argument("--videos", help="a folder in the layout of DAVIS-2016")
    parser.add_argument("--hold-out", type=int, default=5, help="of the videos, as in data.sources")
    parser.add_argument("--frames", type=int, default=60, help="of each video")
    parser.add_argument("--engine", default="auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=V1,V2,...",
        help="tracker setting to compare; names: " + ", ".join(SETTING_RANGES),
    )
    arguments = parser.parse_args()
    least = {"--clips": (arguments.clips, 1), "--frames": (arguments.frames, 2)}
    for option, (value, low) in least.items():
        if value < low:
            raise TrainingError(f"{option} {value}: at least {low} is needed")
    trials = [TrackerSettings(), *(one for text in arguments.set for one in settings_of(text))]
    videos = None
    if arguments.videos is not None:
        source = SourceConfig("davis", arguments.videos, year=2016, hold_out=arguments.hold_out)
        videos = open_reader(source, validation=True)
    tracker = Tracker.from_pretrained(arguments.model, engine=arguments.engine)
    photos = clip_photographs(Photos(arguments.photos, validation=True))
    kinds = {"clips": [render_clip(photos, seed) for seed in range(arguments.clips)]}
    if videos is not None:
        kinds["videos"] = [film_clip(videos, i, arguments.frames) for i in range(len(videos))]
    for settings in trials:
        tracker.settings = settings
        for kind, clips in kinds.items():
            print(f"{kind}: {score_clips(tracker, clips)} {settings}", flush=True)


if __name__ == "__main__":
    run_command(main)
