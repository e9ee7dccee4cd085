"""Outputs that appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType


class Staging:
    """Gives each output a place to be written to, and moves all of them in the end.

    Use it in ``with``. Leaving it without an exception moves every output into place; with one,
    everything is deleted and what lay there before stays as it was.
    """

    def __init__(self) -> None:
        self._folders = ExitStack()
        self._places: dict[Path, Path] = {}

    def place(self, path: Path) -> Path:
        """Temporary path for ``path`` (file or folder), in a hidden folder next to it.

        Raises:
            OSError: the folder of ``path`` does not exist or cannot be written to.
        """
        try:
            hidden = TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        staged = Path(self._folders.enter_context(hidden)) / path.name
        self._places[staged] = path
        return staged

    def final_names(self, text: str) -> str:
        """A message with the names that the user knows."""
        for staged, path in self._places.items():
            text = text.replace(str(staged), str(path))
        return text

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._folders:
            if error is None:
                for staged, path in self._places.items():
                    os.replace(staged, path)
