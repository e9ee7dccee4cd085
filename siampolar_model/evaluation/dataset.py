"""Opening the sequences of a data set, for every layout: a damaged one is skipped and named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import DatasetError

Opened = TypeVar("Opened")


@dataclass(frozen=True)
class Skipped:
    """A sequence that cannot be scored.

    Attributes:
        reason: one line that names the file and what is wrong with it.
    """

    name: str
    reason: str


def open_each(
    names: Iterable[str], open_one: Callable[[str], Opened]
) -> tuple[tuple[Opened, ...], tuple[Skipped, ...]]:
    """Open every sequence; one that is damaged is skipped, and the others are still opened.

    Raises:
        DatasetError: none can be opened. The message is the reason for the first one.
    """
    opened, skipped = [], []
    for name in names:
        try:
            opened.append(open_one(name))
        except DatasetError as error:
            skipped.append(Skipped(name, str(error)))
    if not opened:
        raise DatasetError(skipped[0].reason)
    return tuple(opened), tuple(skipped)
