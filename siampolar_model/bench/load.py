"""Processes that keep cores busy, for figures on a machine that does other work as well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Ends by itself when the process that started it is gone.
_SPINNER = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep the last ``count`` cores of this process busy, each with one process of its own."""
    cores = sorted(os.sched_getaffinity(0))[-count:] if count else []
    spinners = [
        subprocess.Popen([sys.executable, "-c", _SPINNER, str(core)], stdin=subprocess.DEVNULL)
        for core in cores
    ]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
