"""Errors of the commands of this package: one line if the user can fix them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from siampolar_model.errors import CommandError, SiampolarError


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn what the user can fix into a CommandError: a SiampolarError, a missing library, an
    argument that Lightning refuses.

    A plain ValueError is a bug and keeps its traceback: it may end a run of hours.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("siampolar"):
            raise
        message = f"{error.name} is missing: pip install '.[train]' in siampolar_ros's folder"
        raise CommandError(message) from None
    except Exception as error:
        if not isinstance(error, SiampolarError) and type(error).__name__ not in _OF_LIGHTNING:
            raise
        text = str(error)
        if "Original Traceback" in text:  # of a worker process of a loader
            text = text.strip().splitlines()[-1].partition(": ")[2]
        raise CommandError(" ".join(text.split())) from None


#: Lightning's and jsonargparse's errors about arguments, by name: neither need be installed.
_OF_LIGHTNING = ("MisconfigurationException", "ArgumentError")
