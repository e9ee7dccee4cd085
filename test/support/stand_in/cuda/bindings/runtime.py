"""Stand-in for cuda.bindings.runtime on machines without a GPU; see README.md beside it."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from typing import Any

cudaHostAllocDefault = 0
cudaStreamNonBlocking = 1
cudaEventBlockingSync = 1
cudaEventDisableTiming = 2


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class cudaDeviceProp:
    name = b"Stand-in\0\0"
    major, minor = 8, 7
    multiProcessorCount = 16


class Handle:
    """A stream, a graph, an executable graph or an event."""

    def __init__(self, address: int) -> None:
        self._address = address
        self.work: list[Callable[[], None]] = []
        self.capturing: Handle | None = None
        #: Of a stream: a forbidden call was made while it was capturing.
        self.invalid = False
        #: Of an event: where it was recorded, and how much work was enqueued there before it.
        self.recorded: tuple[Handle, int] | None = None

    def __int__(self) -> int:
        return self._address


OK = cudaError_t.cudaSuccess
BAD = cudaError_t.cudaErrorInvalidValue

#: Names of all calls in their order, those of TensorRT included.
log: list[str] = []
device: dict[int, Any] = {}
pinned: dict[int, Any] = {}
handles: dict[int, Handle] = {}
#: What cudaGetDeviceCount returns.
devices: tuple[cudaError_t, int | None] = (OK, 1)
#: Versions of driver and cuda-python, 1000 * major + 10 * minor.
versions = (12060, 12060)


def live() -> int:
    """How many things were made and not freed yet."""
    return len(device) + len(pinned) + len(handles)


def stream_of(handle: int) -> Handle:
    return handles[handle]


def enqueue(stream: Handle, work: Callable[[], None]) -> None:
    (stream.capturing or stream).work.append(work)


def inside(memory: dict[int, Any], address: int, nbytes: int) -> bool:
    return any(
        start <= address and address + nbytes <= start + ctypes.sizeof(block)
        for start, block in memory.items()
    )


def forbidden_in_capture() -> bool:
    """Whether a stream is capturing; its capture is invalid from now on then."""
    capturing = [handle for handle in handles.values() if handle.capturing]
    for handle in capturing:
        handle.invalid = True
    return bool(capturing)


def _allocate(memory: dict[int, Any], nbytes: int) -> tuple[cudaError_t, int | None]:
    if forbidden_in_capture():
        return cudaError_t.cudaErrorStreamCaptureUnsupported, None
    block = (ctypes.c_uint8 * nbytes)()
    ctypes.memset(block, 0xFF, nbytes)  # NaN, so that nothing is used before it is written
    address = ctypes.addressof(block)
    memory[address] = block
    return OK, address


def _free(memory: dict[int, Any], address: int) -> tuple[cudaError_t]:
    return (OK if memory.pop(int(address), None) is not None else BAD,)


def _handle() -> Handle:
    made = Handle(max(handles, default=0x1000) + 8)
    handles[int(made)] = made
    return made


def cudaGetDeviceCount() -> tuple[cudaError_t, int | None]:
    log.append("cudaGetDeviceCount")
    return devices


def cudaGetDeviceProperties(device: int) -> tuple[cudaError_t, cudaDeviceProp]:
    log.append("cudaGetDeviceProperties")
    return OK, cudaDeviceProp()


def cudaDriverGetVersion() -> tuple[cudaError_t, int]:
    return OK, versions[0]


def cudaRuntimeGetVersion() -> tuple[cudaError_t, int]:
    return OK, versions[1]


def cudaGetErrorString(error: cudaError_t) -> tuple[cudaError_t, bytes]:
    return OK, error.name.encode()


def cudaMalloc(size: int) -> tuple[cudaError_t, int | None]:
    log.append("cudaMalloc")
    return _allocate(device, size)


def cudaFree(devPtr: int) -> tuple[cudaError_t]:
    return _free(device, devPtr)


def cudaHostAlloc(size: int, flags: int) -> tuple[cudaError_t, int | None]:
    log.append("cudaHostAlloc")
    return _allocate(pinned, size)


def cudaFreeHost(ptr: int) -> tuple[cudaError_t]:
    return _free(pinned, ptr)


def cudaMemsetAsync(devPtr: int, value: int, count: int, stream: Handle) -> tuple[cudaError_t]:
    log.append("cudaMemsetAsync")
    if not inside(device, devPtr, count):
        return (BAD,)
    enqueue(stream, lambda: ctypes.memset(devPtr, value, count))
    return (OK,)


def cudaMemcpyAsync(
    dst: int, src: int, count: int, kind: cudaMemcpyKind, stream: Handle
) -> tuple[cudaError_t]:
    log.append("cudaMemcpyAsync")
    to_host = kind == cudaMemcpyKind.cudaMemcpyDeviceToHost
    from_host = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
    # Copies from or to memory that is not pinned are not asynchronous.
    if not inside(pinned if to_host else device, dst, count):
        return (BAD,)
    if not inside(pinned if from_host else device, src, count):
        return (BAD,)
    enqueue(stream, lambda: ctypes.memmove(dst, src, count) and None)
    return (OK,)


def cudaStreamCreateWithFlags(flags: int) -> tuple[cudaError_t, Handle | None]:
    log.append("cudaStreamCreateWithFlags")
    return (OK, _handle()) if flags == cudaStreamNonBlocking else (BAD, None)


def cudaStreamDestroy(stream: Handle) -> tuple[cudaError_t]:
    return (OK if handles.pop(int(stream), None) else BAD,)


def cudaEventCreateWithFlags(flags: int) -> tuple[cudaError_t, Handle | None]:
    known = flags & ~(cudaEventBlockingSync | cudaEventDisableTiming) == 0
    return (OK, _handle()) if known else (BAD, None)


def cudaEventRecord(event: Handle, stream: Handle) -> tuple[cudaError_t]:
    event.recorded = (stream, len(stream.work))
    return (OK,)


def cudaEventSynchronize(event: Handle) -> tuple[cudaError_t]:
    log.append("cudaEventSynchronize")
    if forbidden_in_capture():
        return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
    assert event.recorded is not None, "waits for nothing"
    stream, count = event.recorded
    for work in stream.work[:count]:
        work()
    del stream.work[:count]
    event.recorded = (stream, 0)
    return (OK,)


def cudaEventDestroy(event: Handle) -> tuple[cudaError_t]:
    return (OK if handles.pop(int(event), None) else BAD,)


def cudaGetLastError() -> tuple[cudaError_t]:
    log.append("cudaGetLastError")
    return (OK,)


def cudaStreamBeginCapture(stream: Handle, mode: cudaStreamCaptureMode) -> tuple[cudaError_t]:
    log.append("cudaStreamBeginCapture")
    if stream.capturing:
        return (BAD,)
    stream.capturing = _handle()
    return (OK,)


def cudaStreamEndCapture(stream: Handle) -> tuple[cudaError_t, Handle | None]:
    log.append("cudaStreamEndCapture")
    graph, invalid = stream.capturing, stream.invalid
    stream.capturing, stream.invalid = None, False
    if graph and invalid:
        handles.pop(int(graph))
        return cudaError_t.cudaErrorStreamCaptureInvalidated, None
    return (OK, graph) if graph else (BAD, None)


def cudaGraphInstantiate(graph: Handle, flags: int) -> tuple[cudaError_t, Handle]:
    log.append("cudaGraphInstantiate")
    made = _handle()
    made.work = list(graph.work)
    return OK, made


def cudaGraphLaunch(graphExec: Handle, stream: Handle) -> tuple[cudaError_t]:
    log.append("cudaGraphLaunch")
    if int(graphExec) not in handles or stream.capturing:
        return (BAD,)
    for work in graphExec.work:
        enqueue(stream, work)
    return (OK,)


def cudaGraphExecDestroy(graphExec: Handle) -> tuple[cudaError_t]:
    log.append("cudaGraphExecDestroy")
    return (OK if handles.pop(int(graphExec), None) else BAD,)


def cudaGraphDestroy(graph: Handle) -> tuple[cudaError_t]:
    return (OK if handles.pop(int(graph), None) else BAD,)
