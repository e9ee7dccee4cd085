"""Data sets that other packages bring (entry points ``siampolar.datasets``).

The name of the entry point is the ``kind`` in a training's configuration, its value a subclass of
:class:`~siampolar_training.data.readers.base.Reader` that is made from the set's folder alone. See
docs/extending.md.
"""

from __future__ import annotations

from siampolar_model.errors import DatasetError
from siampolar_model.plugins import entry_points

from .base import Reader

ENTRY_POINT_GROUP = "siampolar.datasets"


def installed_kinds() -> tuple[str, ...]:
    """The kinds of data sets that installed packages name, in alphabetical order."""
    return tuple(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))


def installed_reader(kind: str) -> type[Reader]:
    """The reader class of one kind.

    Raises:
        DatasetError: no package names this kind, it cannot be imported, or it is not a reader.
    """
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if kind not in found:
        raise DatasetError(f"kind {kind!r} is not one of the installed ones, {tuple(found)}")
    entry = found[kind]
    try:
        reader = entry.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise DatasetError(
            f"kind {kind!r} ({entry.value}) cannot be imported: {error!r}"
        ) from error
    if not (isinstance(reader, type) and issubclass(reader, Reader)):
        raise DatasetError(f"kind {kind!r} ({entry.value}) is not a subclass of Reader")
    return reader
