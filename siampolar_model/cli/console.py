"""What commands print, and the checks of the files they write."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..errors import CommandError, SiampolarError


def progress_bar(quiet: bool = False) -> Progress:
    """A progress bar on stderr, silent where that is not a terminal."""
    terminal = sys.stderr.isatty() and not quiet
    console = Console(stderr=True, quiet=not terminal)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not terminal,
    )


class Problems:
    """Errors of a command line, kept so that the user hears of all of them at once."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the error that ends this block."""
        try:
            yield
        except (SiampolarError, OSError) as error:
            self._found.append(one_line(error))

    def refuse(self) -> None:
        """Raises CommandError with all errors kept so far, if there are any."""
        if self._found:
            raise CommandError("; ".join(self._found))


def one_line(error: Exception) -> str:
    """The message of an error that the user can fix; an error of the system names its file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


def check_distinct(inputs: Iterable[Path], outputs: Iterable[Path | None]) -> None:
    """Refuse an output that would replace an input or another output."""
    read = {path.resolve() for path in inputs}
    written = set()
    for path in outputs:
        if path is None:
            continue
        place = path.resolve()
        if place in read:
            raise CommandError(f"{path}: the output would replace the input")
        if place in written:
            raise CommandError(f"{path}: two outputs in one file")
        written.add(place)


def check_writable(path: Path | None) -> None:
    """Refuse a file that cannot be written, before the work instead of after it."""
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise CommandError(f"{path}: cannot be written; its folder must exist")


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise CommandError("--plot needs matplotlib: pip install matplotlib")
