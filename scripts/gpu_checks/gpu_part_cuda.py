"""The CUDA layer (engines/tensorrt/cuda.py) on a real device."""

from __future__ import annotations

import threading
import time
from argparse import Namespace
from ctypes import c_int, c_longlong, c_void_p
from typing import Any

import numpy as np
from gpu_report import Report
from gpu_setup import kernels, open_cuda

_ONE = (1, 1, 1)


def run(report: Report, options: Namespace) -> None:
    cuda = open_cuda()
    report.note("gpu", str(cuda.gpu))
    launch = kernels(cuda.gpu)
    _check_memory(report, cuda)
    replay = _check_capture(report, cuda, launch)
    _check_waiting(report, cuda, launch)
    _check_threads(report, cuda, replay)
    _check_freeing(report)
    _check_fatal_error(report, cuda, launch)  # last: nothing works after it


def _check_memory(report: Report, cuda: Any) -> None:
    address = cuda.device_memory(1000)
    report.check("device memory is aligned to 256 bytes", address % 256 == 0)
    host = cuda.pinned((250,), np.float32)
    host.fill(7)
    cuda.copy_out(host, address)
    cuda.synchronize()
    report.check("fresh device memory is zero", bool((host == 0).all()))


def _check_capture(report: Report, cuda: Any, launch: Any) -> Any:
    """Copy in, kernel, copy out: what a plan does."""
    image, out = cuda.pinned((4, 300), np.uint8), cuda.pinned((4, 80), np.float32)
    on_image, on_out = cuda.device_memory(image.nbytes), cuda.device_memory(out.nbytes)

    def work() -> None:
        cuda.copy_in(on_image, image)
        launch(
            "fill", (1, 4, 1), (128, 1, 1), cuda.stream,
            (on_out, c_void_p), (on_image, c_void_p), (0, c_void_p),
            (80, c_int), (300, c_int), (0, c_int),
        )  # fmt: skip
        cuda.copy_out(out, on_out)

    work()
    cuda.synchronize()
    replay = cuda.capture(work)
    report.check("work is captured as a graph", replay is not work)
    image[:] = np.random.default_rng(0).integers(0, 256, image.shape)
    out.fill(-1)
    cuda.synchronize()
    report.check("a capture runs nothing", bool((out == -1).all()))
    replay()
    cuda.synchronize()
    expected = image[:, :80] + np.arange(80, dtype=np.float32)
    report.check("a graph sees new input", np.array_equal(out, expected))
    report.note("graph launch and wait, us", _us(lambda: (replay(), cuda.synchronize())))
    report.note("the same calls one by one, us", _us(lambda: (work(), cuda.synchronize())))

    def forbidden() -> None:
        cuda.copy_in(on_image, image)
        cuda.synchronize()

    def refused() -> None:
        raise RuntimeError("not stream capturable")

    for name, fails in (("forbidden call", forbidden), ("refused enqueue", refused)):
        report.check(f"after a {name} the work itself is returned", cuda.capture(fails) is fails)
        out.fill(-1)
        replay()
        cuda.synchronize()
        report.check(f"the stream works after a {name}", np.array_equal(out, expected))
    return replay


def _us(call: Any, times: int = 2000) -> float:
    call()
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times * 1e6


def _check_waiting(report: Report, cuda: Any, launch: Any) -> None:
    """What the blocking event costs and saves, compared with waiting for the stream."""
    from cuda.bindings import runtime

    def spin(cycles: int) -> None:
        launch("spin", _ONE, _ONE, cuda.stream, (cycles, c_longlong))

    waits = {
        "blocking event": cuda.synchronize,
        "stream": lambda: runtime.cudaStreamSynchronize(cuda.stream),
    }
    for name, wait in waits.items():
        report.note(
            f"kernel of 1,000 cycles and wait by {name}, us", _us(lambda w=wait: (spin(1000), w()))
        )
        spin(1_000_000_000)
        start, cpu = time.perf_counter(), time.process_time()
        wait()
        share = (time.process_time() - cpu) / (time.perf_counter() - start)
        report.note(f"share of a core while waiting by {name}", share)
    count, stop = [0], threading.Event()

    def other() -> None:
        while not stop.is_set():
            count[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=other)
    thread.start()
    spin(1_000_000_000)
    before = count[0]
    cuda.synchronize()
    meanwhile = count[0] - before
    stop.set()
    thread.join()
    report.check("another Python thread runs while one waits", meanwhile > 100)


def _check_threads(report: Report, cuda: Any, replay: Any) -> None:
    errors: list[Exception] = []

    def use() -> None:
        try:
            replay()
            cuda.synchronize()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    report.check("another thread can use it", not errors)


def _check_freeing(report: Report) -> None:
    from cuda.bindings import runtime

    from siampolar_model.engines.tensorrt.cuda import Cuda

    _, before, _ = runtime.cudaMemGetInfo()
    for _ in range(20):
        one = Cuda()
        one.device_memory(1 << 24)
        one.pinned((1 << 20,), np.uint8)
        one.close()
    _, after, _ = runtime.cudaMemGetInfo()
    report.note("bytes lost by opening and closing 20 times", int(before) - int(after))
    report.check("closing frees device memory", int(before) - int(after) < 1 << 24)


def _check_fatal_error(report: Report, cuda: Any, launch: Any) -> None:
    from siampolar_model.engines.tensorrt.cuda import FatalCudaError

    launch("wild", _ONE, _ONE, cuda.stream, (0xDEAD00000000, c_void_p))
    try:
        cuda.synchronize()
        raised = "nothing"
    except FatalCudaError as error:
        raised = f"FatalCudaError: {error}"
    report.note("an illegal address raises", raised)
    report.check("an illegal address is fatal", raised.startswith("FatalCudaError"))
