"""Runs the commands of this package: what the user can mend is one line, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
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


def run_command(command: Callable[[], None]) -> None:
    """Call a command; bad input, also an OSError, ends the process with ``error: ...`` on stderr
    and code 2."""
    try:
        with bad_input():
            command()
    except OSError as error:
        known = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        _end(known or str(error))
    except CommandError as error:
        _end(str(error))


def _end(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
