"""Errors of this package that the user can fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siampolar_model.errors import SiampolarError


class TrainingError(SiampolarError, ValueError):
    """A run that cannot start or go on; the message names the value and what is allowed."""


def refuse_changed(settings: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse to go on with other settings; what a group lacked before is not compared.

    Args:
        settings: by name, the checkpoint's value and this run's.

    Raises:
        TrainingError: naming the first one that differs.
    """
    for name, (theirs, ours) in settings.items():
        if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            refuse_changed({f"{name}.{k}": (theirs.get(k, v), v) for k, v in ours.items()})
        elif theirs != ours:
            raise TrainingError(f"has {name} {theirs}; this run has {ours}")
