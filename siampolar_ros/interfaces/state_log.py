"""Logs every change of a target's state once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from siampolar_model.results import StateChange, TargetState


def log_changes(log: Any, changes: Iterable[StateChange]) -> None:
    """One line per change; requests (start, remove) are logged where they are handled."""
    for change in changes:
        target = f"target {change.id}"
        if change.after is None:
            if change.reason:
                log.warning(f"{target} dropped: {change.reason}")
        elif change.after == TargetState.LOST:
            log.warning(f"{target} is lost")
        elif change.before == TargetState.LOST:
            log.info(f"{target} was found again")
        elif change.before is not None:
            log.debug(f"{target} is {change.after.name.lower()}")
