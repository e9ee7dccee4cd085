"""Runs the commands of this package: what the user can mend is one line, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from siampolar_model.engines.base import EngineError


def run_command(command: Callable[[], None]) -> None:
    """Call a command; bad input ends the process with ``error: ...`` on stderr and code 2.

    Bad input is a ValueError (settings, networks, data and boxes have their own kinds of it), an
    EngineError or an OSError.
    """
    try:
        command()
    except OSError as error:
        known = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        _end(known or str(error))
    except (EngineError, ValueError) as error:
        _end(str(error))


def _end(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
