"""Checks the numbers of data settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siampolar_model.errors import DatasetError
from siampolar_model.settings import check_ranges

CHANCE = (0.0, 1.0)


def checked(settings: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse fields outside their range, see :func:`siampolar_model.settings.check_ranges`.

    Raises:
        DatasetError: naming the field, its value and what is allowed.
    """
    try:
        check_ranges(settings, ranges)
    except ValueError as error:
        raise DatasetError(str(error)) from None
