"""One CUDA stream, the memory it works on, and captured graphs: all of CUDA that is needed here.

On device 0; the environment variable CUDA_VISIBLE_DEVICES selects another one.
"""

from __future__ import annotations

import ctypes
import logging
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
FATAL = (
    "cudaErrorContained",
    "cudaErrorExternalDevice",
    "cudaErrorIllegalAddress",
    "cudaErrorLaunchTimeout",
    "cudaErrorAssert",
    "cudaErrorHardwareStackError",
    "cudaErrorIllegalInstruction",
    "cudaErrorMisalignedAddress",
    "cudaErrorInvalidAddressSpace",
    "cudaErrorInvalidPc",
    "cudaErrorLaunchFailure",
    "cudaErrorMpsClientTerminated",
    "cudaErrorTensorMemoryLeak",
)


class CudaError(RuntimeError):
    """A CUDA call that failed; the message names it and the error."""


class FatalCudaError(CudaError, ProcessUnusable):
    """A failed CUDA call after which every other call fails as well."""


@dataclass(frozen=True)
class Gpu:
    """The device that engines are built for. An engine's key holds its ``str``.

    Attributes:
        name: as CUDA reports it.
        capability: compute capability, major and minor.
        multiprocessors: how many it has.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int

    def __str__(self) -> str:
        # Jetsons of different size have the same name, "Orin": the multiprocessors differ.
        major, minor = self.capability
        return f"{self.name} (sm_{major}{minor}, {self.multiprocessors} multiprocessors)"


class Cuda:
    """A non-default stream with its memory and graphs, all freed together.

    Any thread may use it, but only one at a time. Device addresses are plain integers. Copies are
    enqueued on the stream and return at once; an error of enqueued work is raised by a later call,
    mostly :meth:`synchronize`. Methods that call CUDA may raise :class:`CudaError`.

    Attributes:
        gpu: the device.
        stream: the stream's handle, as TensorRT takes it.
        close: frees everything; called at exit, or when this object is collected, if not before.

    Raises:
        EngineError: no driver, one too old for the installed cuda-python, or no device.
        ProcessUnusable: an earlier call in this process failed with one of :data:`FATAL`.
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
        self.stream = int(self._stream)
        flags = self._runtime.cudaEventBlockingSync | self._runtime.cudaEventDisableTiming
        self._done = self._call("cudaEventCreateWithFlags", flags)
        self._hold("cudaEventDestroy", self._done)
        self._capture_failed = False

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
        """What to install if the driver is too old for the installed cuda-python."""
        try:
            driver = self._call("cudaDriverGetVersion") // 1000
            needed = self._call("cudaRuntimeGetVersion") // 1000
        except RuntimeError:
            return ""
        if driver == 0:
            return " (no NVIDIA driver is loaded)"
        if driver >= needed:
            return ""
        return (
            f" (the driver supports CUDA {driver}, cuda-python is for CUDA {needed}: pip install "
            f"'cuda-python<{driver + 1}', and TensorRT for CUDA {driver} too: tensorrt-cu{driver} "
            f"or tensorrt-lean-cu{driver})"
        )

    def device_memory(self, nbytes: int) -> int:
        """Address of ``nbytes`` of device memory, filled with zeros and aligned for every use."""
        address: int = self._call("cudaMalloc", max(nbytes, 1))
        self._hold("cudaFree", address)
        self._call("cudaMemsetAsync", address, 0, max(nbytes, 1), self._stream)
        return address

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array in page-locked host memory, which the device can copy from and to on its own.

        Its content is undefined. The array must not be used after :meth:`close`.
        """
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address: int = self._call("cudaHostAlloc", nbytes, self._runtime.cudaHostAllocDefault)
        self._hold("cudaFreeHost", address)
        memory = (ctypes.c_uint8 * nbytes).from_address(address)
        return np.frombuffer(memory, dtype).reshape(shape)

    def copy_in(self, device: int, host: np.ndarray) -> None:
        """Enqueue a copy of all of ``host``, pinned memory, to the address ``device``."""
        self._copy(device, host.ctypes.data, host.nbytes, "cudaMemcpyHostToDevice")

    def copy_out(self, host: np.ndarray, device: int) -> None:
        """Enqueue a copy from the address ``device`` that fills ``host``, pinned memory."""
        self._copy(host.ctypes.data, device, host.nbytes, "cudaMemcpyDeviceToHost")

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Enqueue a copy within the device, from the address ``source`` to ``target``."""
        self._copy(target, source, nbytes, "cudaMemcpyDeviceToDevice")

    def synchronize(self) -> None:
        """Wait for everything enqueued so far.

        The thread sleeps: waiting for the stream itself would keep one core busy on most machines
        while the network runs.
        """
        self._call("cudaEventRecord", self._done, self._stream)
        self._call("cudaEventSynchronize", self._done)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what ``work`` enqueues, without doing it, as one CUDA graph.

        Returns:
            A function that enqueues all of it at once. Some networks of TensorRT cannot be
            captured: then ``work`` itself is returned, and the reason is logged once.

        Raises:
            ProcessUnusable: a call failed with one of :data:`FATAL`.
        """
        try:
            executable = self._record(work)
        except ProcessUnusable:
            raise
        except RuntimeError as error:
            if not self._capture_failed:
                logging.getLogger(__name__).warning(
                    "no CUDA graph could be captured (%s): every frame enqueues its calls one by "
                    "one, which is slower",
                    str(error),  # without the frames that the exception holds
                )
            self._capture_failed = True
            return work
        return partial(self._call, "cudaGraphLaunch", executable, self._stream)

    def _record(self, work: Callable[[], None]) -> Any:
        """An executable graph of ``work``; nothing of a failed one is left behind."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            work()
        except BaseException:
            # A stream that is still capturing can do nothing else. The error of ending an invalid
            # capture would hide the one that made it invalid.
            _, *graphs = self._runtime.cudaStreamEndCapture(self._stream)
            self._forget(graphs[0] if graphs else None)
            raise
        try:
            graph = self._call("cudaStreamEndCapture", self._stream)
        except CudaError:
            self._forget(None)
            raise
        try:
            executable = self._call("cudaGraphInstantiate", graph, 0)
        except CudaError:
            self._forget(graph)
            raise
        self._hold("cudaGraphExecDestroy", executable)
        self._call("cudaGraphDestroy", graph)
        return executable

    def _forget(self, graph: Any) -> None:
        """After a failed capture: free the graph, if there is one, and clear CUDA's last error."""
        if graph is not None and int(graph):
            self._runtime.cudaGraphDestroy(graph)
        self._runtime.cudaGetLastError()

    def keep(self, thing: object) -> None:
        """Hold an object that graphs captured from now on need; it is released after them."""
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
        kind = FatalCudaError if error.name in FATAL else CudaError
        raise kind(f"{name}: {error.name}, {text}")
    return results[0] if results else None


def _destroy(runtime: Any, name: str, handle: Any) -> None:
    """Free something. Errors are ignored: nothing can be done at the end of a process."""
    getattr(runtime, name)(handle)


def driver_cuda_major() -> int | None:
    """The newest CUDA that the driver supports, such as 12; None if no driver is loaded."""
    try:
        version = _call(import_module("cuda.bindings.runtime"), "cudaDriverGetVersion")
    except (ImportError, RuntimeError):
        return None
    return int(version) // 1000 or None
