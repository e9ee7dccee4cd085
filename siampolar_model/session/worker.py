"""The thread of a session."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Calls ``step`` in a thread of its own for as long as there is something to do.

    Args:
        step: does one piece of work; returns False if there was nothing to do.
        seconds_to_wait: how long to wait for :meth:`wake` before ``step`` is called again; None
            waits without a limit.
    """

    def __init__(
        self, step: Callable[[], bool], seconds_to_wait: Callable[[], float | None]
    ) -> None:
        self._step = step
        self._seconds_to_wait = seconds_to_wait
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._thread is not None

    def start(self) -> None:
        """Begin; it must not be running."""
        assert self._thread is None
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping,), name="siampolar-session", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Call ``step`` again, because there may be something to do."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread after its present step, and wait for that unless it is the caller's."""
        self._stopping.set()
        self._woken.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            if self._step():
                continue
            self._woken.wait(self._seconds_to_wait())
            # Cleared before the next step, which therefore sees whatever there was to wake up for.
            self._woken.clear()
