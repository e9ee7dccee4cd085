"""Paths, and what the parts need to begin: packages from a folder, a device, kernels."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path
from typing import Any

from gpu_report import NotHere

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "test" / "support" / "stand_in"

KERNELS = r"""
// One row per target: out[n][i] = image[n][i % row_in] + extra[n][i % row_extra] + i
extern "C" __global__ void fill(float* out, const unsigned char* image, const float* extra,
                                int row_out, int row_in, int row_extra) {
  int n = blockIdx.y, i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < row_out)
    out[n * row_out + i] = image[n * row_in + i % row_in]
        + (extra ? extra[n * row_extra + i % row_extra] : 0.f) + i;
}
extern "C" __global__ void spin(long long cycles) {
  long long start = clock64();
  while (clock64() - start < cycles);
}
extern "C" __global__ void wild(int* address) { *address = 1; }
"""


def prepare(packages: Path | None) -> None:
    """Find the repository's packages, and those of ``--packages``; large files come packed."""
    sys.path[:0] = [str(ROOT), str(ROOT / "test")]
    if packages is None:
        return
    for packed in packages.rglob("*.xz"):
        unpacked = packed.with_suffix("")
        if not unpacked.exists():
            unpacked.write_bytes(lzma.decompress(packed.read_bytes()))
    sys.path.append(str(packages.resolve()))


def open_cuda() -> Any:
    """The project's Cuda on a real device.

    Raises:
        NotHere: there is none, or cuda-python is not installed.
    """
    from siampolar_model.engines.tensorrt.cuda import Cuda
    from siampolar_model.errors import EngineError

    try:
        return Cuda()
    except (EngineError, ImportError) as error:
        raise NotHere(f"no CUDA device: {error}") from None


def kernels(gpu: Any) -> Any:
    """A function ``launch(name, grid, block, stream, *(value, ctypes type))`` of our kernels."""
    import numpy as np
    from cuda.bindings import driver, nvrtc

    def ok(result: tuple[Any, ...]) -> Any:
        if int(result[0]):
            raise RuntimeError(f"CUDA error {result[0]}")
        return result[1] if len(result) > 1 else None

    program = ok(nvrtc.nvrtcCreateProgram(KERNELS.encode(), b"kernels.cu", 0, [], []))
    major, minor = gpu.capability
    options = [f"--gpu-architecture=sm_{major}{minor}".encode()]
    ok(nvrtc.nvrtcCompileProgram(program, len(options), options))
    code = b" " * ok(nvrtc.nvrtcGetCUBINSize(program))
    ok(nvrtc.nvrtcGetCUBIN(program, code))
    module = ok(driver.cuModuleLoadData(np.char.array(code)))
    functions = {
        name: ok(driver.cuModuleGetFunction(module, name.encode()))
        for name in ("fill", "spin", "wild")
    }

    def launch(
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        stream: int,
        *arguments: tuple[Any, Any],
    ) -> None:
        values = tuple(value for value, _ in arguments)
        kinds = tuple(kind for _, kind in arguments)
        ok(driver.cuLaunchKernel(functions[name], *grid, *block, 0, stream, (values, kinds), 0))

    return launch
