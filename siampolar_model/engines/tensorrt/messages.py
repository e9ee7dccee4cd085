"""What TensorRT logged during a call, and which of it is the cause of a failure.

A call that fails returns None or False, and only the log contains the reason: first the cause, then
its consequences. The last line is often only "Engine deserialization failed."
"""

from __future__ import annotations

#: How the child that builds marks TensorRT's errors in what it writes to standard error.
ERROR_PREFIX = "TensorRT error: "

#: Only the first errors and warnings of a call are kept, this many of each.
_MOST = 50

#: TensorRT reports this when the CUDA library that it contains cannot use the driver: 8 to 10 as a
#: warning, 11 as an error.
_NO_CUDA = "CUDA initialization failure"

#: The builder reports this when every kernel for a layer failed, which too little memory can cause.
_NO_KERNEL = "Could not find any implementation for node"


class Messages:
    """Errors and warnings since the last :meth:`clear`."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._warnings: list[str] = []

    def add(self, is_error: bool, text: str) -> None:
        kept = self._errors if is_error else self._warnings
        if len(kept) < _MOST:
            kept.append(" ".join(text.split()))

    def clear(self) -> None:
        """Before a call: what was logged earlier does not explain it."""
        self._errors.clear()
        self._warnings.clear()

    @property
    def has_error(self) -> bool:
        """Whether something failed, even if the call returned an object."""
        return bool(self._errors) or self.has_no_cuda

    @property
    def has_no_cuda(self) -> bool:
        """Whether TensorRT cannot use the driver or found none."""
        return any(_NO_CUDA in text for text in (*self._errors, *self._warnings))

    def cause(self, otherwise: str = "TensorRT gave no reason") -> str:
        """Why the call failed, in one line.

        Args:
            otherwise: what to return if nothing was logged.
        """
        first = next(
            (text for text in (*self._errors, *self._warnings) if _NO_CUDA in text),
            next(iter((*self._errors, *self._warnings)), otherwise),
        )
        if any(_NO_KERNEL in text for text in self._errors):
            return f"{first} (possibly too little memory)"
        return first
