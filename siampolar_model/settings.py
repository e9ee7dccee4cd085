"""Checks the numbers of a settings dataclass against a table of ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ConfigError


def check_ranges(settings: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse fields outside their range, both ends included.

    A field whose range is given in whole numbers of type int must be one.

    Raises:
        ConfigError: naming the field, its value and what is allowed.
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        whole = isinstance(low, int)
        kinds = (int,) if whole else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool)
        if not (number and low <= value <= high):
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"{name} is {value!r}; it must be {kind} from {low:g} to {high:g}")
