"""Ctrl-C and SIGTERM: both end a command, and neither in the middle of a write."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Exit codes, as shells give them: 128 plus the number of the signal.
SIGINT_CODE, SIGTERM_CODE = 130, 143


@contextmanager
def sigterm_as_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl-C does; then restore the previous handler.

    Outside the main thread, which alone may set handlers, it does nothing.

    Yields:
        The numbers of the signals received so far: a list that fills while the block runs. Only the
        first SIGTERM raises, so that a second one does not disturb the clean-up after the first.
    """
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block has ended; the first of them then takes effect.

    Outside the main thread, which alone may set handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in came[:1]:
            signal.raise_signal(first)
