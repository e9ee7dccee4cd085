"""`python -m siampolar_training.cli.redetection`: is a lost target found again?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from siampolar_model.tracking.settings import SETTING_RANGES, TrackerSettings
from siampolar_model.tracking.tracker import Tracker

from ..clips.redetection import FOUND_FRAMES, RATE_HZ, measure
from ..data.readers.photos import Photos
from ..errors import TrainingError
from .errors_to_cli import run_command
from .settings_argument import parse_setting, settings_with


def settings_of(texts: Sequence[str]) -> TrackerSettings:
    """Settings from ``NAME=VALUE`` texts, the rest at their defaults.

    Raises:
        TrainingError: an unknown name, no number, or a number out of range.
    """
    changed: dict[str, float] = {}
    for text in texts:
        name, values = parse_setting(text)
        if len(values) > 1:
            raise TrainingError(f"--set {text}: one value is wanted")
        changed[name] = values[0]
    return settings_with(changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="siampolar_lite0", help="name of a shipped model, or a model folder"
    )
    parser.add_argument("--photos", default="../shared/data/photos")
    parser.add_argument("--clips", type=int, default=20, help="of either kind")
    parser.add_argument("--engine", default="auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="tracker setting; names: " + ", ".join(SETTING_RANGES),
    )
    arguments = parser.parse_args()
    if arguments.clips < 1:
        raise TrainingError(f"--clips {arguments.clips}: at least 1 is needed")
    settings = settings_of(arguments.set)
    reader = Photos(arguments.photos, validation=True)
    tracker = Tracker.from_pretrained(arguments.model, engine=arguments.engine, settings=settings)
    for distractor in (False, True):
        figures = measure(tracker, reader, arguments.clips, distractor=distractor)
        print(
            f"{'with' if distractor else 'without'} another of like colours in sight: "
            f"found again within {FOUND_FRAMES / RATE_HZ:g} s {figures.found:.0%} "
            f"(median {figures.median_s:.2f} s), called tracking while absent "
            f"{figures.false:.1%}, tracked before {figures.tracked_before:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    run_command(main)
