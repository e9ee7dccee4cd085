"""Score weights on held-out synthetic clips: ``python -m siampolar_training.validate MODEL``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from siampolar_model.tracker import SETTING_RANGES, Tracker, TrackerSettings

from .clips import render_clip, score_clips
from .photos import load_photos


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
    photos = load_photos(arguments.photos, validation=True)
    clips = [render_clip(photos, seed) for seed in range(arguments.clips)]
    kinds = {f.name: int if "frames" in f.name else float for f in fields(TrackerSettings)}
    trials = [TrackerSettings()]
    for text in arguments.set:
        name, _, values = text.partition("=")
        if name not in kinds:
            parser.error(f"--set {text!r}: {name!r} is not a setting; allowed: {sorted(kinds)}")
        for value in values.split(","):
            changed: dict[str, Any] = {name: kinds[name](value)}
            trials.append(TrackerSettings(**changed))
    tracker = Tracker.from_pretrained(arguments.model, engine=arguments.engine)
    for settings in trials:
        tracker.settings = settings
        print(score_clips(tracker, clips), settings, flush=True)


if __name__ == "__main__":
    main()
