"""The error of this package that a user can mend."""

from __future__ import annotations


class TrainingError(ValueError):
    """A run that cannot start or go on; the message names the value and what is allowed."""
