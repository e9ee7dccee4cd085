"""One CUDA stream, the memory it works on, and captured graphs: all of CUDA that is needed here.

On device 0; CUDA_VISIBLE_DEVICES picks another.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ...errors import EngineError, ProcessUnusable

_UNUSABLE = "engine tensorrt cannot be used:"

#: "To continue using CUDA, the process must be terminated and relaunched" (CUDA Runtime API,
#: cudaError_t); every further call fails as well.
_FATAL = (
    "cudaErrorIllegalAddress",
    "cudaErrorLaunchTimeout",
    "cudaErrorAssert",
    "cudaErrorHardwareStackError",
    "cudaErrorIllegalInstruction",
    "cudaErrorMisalignedAddress",
    "cudaErrorInvalidAddressSpace",
    "cudaErrorInvalidPc",
    "cudaErrorLaunchFailure",
)


class CudaError(RuntimeError):
    """A CUDA call that failed; the message names it and the error."""


class FatalCudaError(CudaError, ProcessUnusable):
    """After this one all others fail."""


@dataclass(frozen=True)
class Gpu:
    """The device that engines are built for. ``str`` is what an engine's key holds of it."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int

    def __str__(self) -> str:
        # Jetsons of different size call themselves alike, "Orin"; the multiprocessors tell.
        major, minor = self.capability
        return f"{self.name} (sm_{major}{minor}, {self.multiprocessors} multiprocessors)"


class Cuda:
    """A non-default stream with its memory and graphs, all freed together.

    Not thread-safe, but any one thread may use it at a time.

    Raises:
        EngineError: no driver, one too old for the installed cuda-python, or no device.
        ProcessUnusable: a call of before has failed for good.
        ImportError: cuda-python is not installed.
    """

    def __init__(self) -> None:
        self._runtime = import_module("cuda.bindings.runtime")
        self.gpu = self._find_gpu()
        held = ExitStack()
        # Collected or at exit, whichever comes first; the last allocated is freed first.
        self.close = weakref.finalize(self, held.close)
        self._held = held
        self._stream = self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        self._hold("cudaStreamDestroy", self._stream)
        #: The stream's handle, as TensorRT wants it.
        self.stream = int(self._stream)

    def _find_gpu(self) -> Gpu:
        try:
            count = self._call("cudaGetDeviceCount")
        except ProcessUnusable:
            raise
        except RuntimeError as error:  # cuda-python 12 raises one without libcuda.so.1
            raise EngineError(f"{_UNUSABLE} {error}{self._driver_hint()}") from None
        if count < 1:
            raise EngineError(f"{_UNUSABLE} there is no CUDA device")
        found = self._call("cudaGetDeviceProperties", 0)
        name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
        return Gpu(name.strip("\0 "), (found.major, found.minor), found.multiProcessorCount)

    def _driver_hint(self) -> str:
        """What the driver is too old for, where that can be told."""
        try:
            driver = self._call("cudaDriverGetVersion")
            needed = self._call("cudaRuntimeGetVersion")
        except RuntimeError:
            return ""
        if driver == 0:
            return " (no NVIDIA driver is loaded)"
        if driver // 1000 >= needed // 1000:
            return ""
        return (
            f" (the driver knows CUDA {driver // 1000}, cuda-python is for {needed // 1000}: "
            f"pip install 'cuda-python<{driver // 1000 + 1}')"
        )

    def device_memory(self, nbytes: int) -> int:
        """Address of device memory that is zero at first, aligned for every use."""
        address: int = self._call("cudaMalloc", max(nbytes, 1))
        self._hold("cudaFree", address)
        self._call("cudaMemsetAsync", address, 0, max(nbytes, 1), self._stream)
        return address

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Page-locked host memory: the device copies from and to it by itself.

        The array must not be used after :meth:`close`.
        """
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address: int = self._call("cudaHostAlloc", nbytes, self._runtime.cudaHostAllocDefault)
        self._hold("cudaFreeHost", address)
        memory = (ctypes.c_uint8 * nbytes).from_address(address)
        return np.frombuffer(memory, dtype).reshape(shape)

    def copy_in(self, device: int, host: np.ndarray) -> None:
        """Enqueue a copy of pinned memory to the device."""
        self._copy(device, host.ctypes.data, host.nbytes, "cudaMemcpyHostToDevice")

    def copy_out(self, host: np.ndarray, device: int) -> None:
        """Enqueue a copy from the device to pinned memory."""
        self._copy(host.ctypes.data, device, host.nbytes, "cudaMemcpyDeviceToHost")

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Enqueue a copy within the device."""
        self._copy(target, source, nbytes, "cudaMemcpyDeviceToDevice")

    def synchronize(self) -> None:
        """Wait for everything enqueued so far."""
        self._call("cudaStreamSynchronize", self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what ``work`` enqueues, without doing it; what is returned enqueues all of it."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            work()
        finally:
            # Also after a failure: a stream that goes on capturing can do nothing else.
            graph = self._call("cudaStreamEndCapture", self._stream)
        executable = self._call("cudaGraphInstantiate", graph, 0)
        self._hold("cudaGraphExecDestroy", executable)
        self._call("cudaGraphDestroy", graph)
        return partial(self._call, "cudaGraphLaunch", executable, self._stream)

    def keep(self, thing: object) -> None:
        """Hold what graphs captured from now on need; it is let go after them."""
        self._held.enter_context(nullcontext(thing))

    def _copy(self, target: int, source: int, nbytes: int, kind: str) -> None:
        direction = getattr(self._runtime.cudaMemcpyKind, kind)
        self._call("cudaMemcpyAsync", target, source, nbytes, direction, self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        return _call(self._runtime, name, *arguments)

    def _hold(self, destroy: str, handle: Any) -> None:
        self._held.callback(_destroy, self._runtime, destroy, handle)


def _call(runtime: Any, name: str, *arguments: Any) -> Any:
    """Call a function of cuda.bindings.runtime; all of them return the error first."""
    error, *results = getattr(runtime, name)(*arguments)
    if error != runtime.cudaError_t.cudaSuccess:
        text = runtime.cudaGetErrorString(error)[1]
        text = text.decode() if isinstance(text, bytes) else text
        kind = FatalCudaError if error.name in _FATAL else CudaError
        raise kind(f"{name}: {error.name}, {text}")
    return results[0] if results else None


def _destroy(runtime: Any, name: str, handle: Any) -> None:
    """Free something; at the end of a process or after a fatal error there is nothing to mend."""
    getattr(runtime, name)(handle)
