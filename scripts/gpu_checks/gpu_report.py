"""What a part found: numbers and checks, written to a file as they come."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class NotHere(RuntimeError):
    """A part cannot run on this machine; the message is the reason."""


class Report:
    """One part's notes and checks; a process that crashes leaves what it had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.notes: dict[str, Any] = {}
        self.checks: dict[str, bool] = {}
        #: Without a GPU, on the stand-ins of the tests: a pass shows only that the part runs.
        self.on_stand_in = False
        self.status, self.reason = "failed", "it stopped before its end"
        self._write()

    def note(self, name: str, value: Any) -> None:
        """Something measured."""
        self.notes[name] = round(value, 4) if isinstance(value, float) else value
        print(f"{name}: {self.notes[name]}", flush=True)
        self._write()

    def check(self, name: str, passed: bool) -> None:
        """Something that must be so."""
        self.checks[name] = bool(passed)
        print(f"{'ok    ' if passed else 'FAILED'} {name}", flush=True)
        self._write()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Around the part; what it raises becomes its status."""
        try:
            yield
        except NotHere as reason:
            self.status, self.reason = "not run", str(reason)
            print(f"not run: {reason}", flush=True)
        except Exception as error:
            self.status, self.reason = "failed", f"{type(error).__name__}: {error}"
            traceback.print_exc()
        else:
            failed = [name for name, passed in self.checks.items() if not passed]
            self.status = "failed" if failed else "stand-in" if self.on_stand_in else "passed"
            self.reason = "; ".join(failed)
        self._write()

    def _write(self) -> None:
        about = {"status": self.status, "reason": self.reason}
        about |= {"notes": self.notes, "checks": self.checks}
        self._path.write_text(json.dumps(about, indent=1, default=str))
