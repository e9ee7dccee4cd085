"""Tracker settings as command lines name them: ``--set NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping

from siampolar_model.tracking.settings import SETTING_RANGES, TrackerSettings

from ..errors import TrainingError


def parse_setting(text: str) -> tuple[str, list[float]]:
    """The name and the values, one or several, of ``NAME=V1,V2,...``.

    Raises:
        TrainingError: an unknown name, or no number.
    """
    name, _, values = text.partition("=")
    if name not in SETTING_RANGES:
        allowed = ", ".join(SETTING_RANGES)
        raise TrainingError(f"--set {text}: {name!r} is not a setting; allowed: {allowed}")
    kind = type(SETTING_RANGES[name][0])
    numbers: list[float] = []
    for value in values.split(","):
        try:
            numbers.append(kind(value))
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise TrainingError(f"--set {text}: {value!r} is not {wanted}") from None
    return name, numbers


def settings_with(values: Mapping[str, float]) -> TrackerSettings:
    """The default settings, some of them changed.

    Raises:
        TrainingError: a number out of range.
    """
    try:
        return TrackerSettings(**values)  # type: ignore[arg-type]
    except ValueError as error:
        raise TrainingError(f"--set: {error}") from None
