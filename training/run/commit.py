"""Which state of this code made something."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str:
    """Commit of this code, with "+" if files have changed since; "unknown" outside a clone."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
