"""The processor: its name, its instructions for neural networks, how much of it may be used."""

from __future__ import annotations

import math
import os
import platform
from functools import lru_cache
from pathlib import Path

#: Flags of /proc/cpuinfo that decide how fast a network runs, on x86 and on ARM.
_NOTED = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8",
    "asimd", "asimddp", "i8mm", "bf16",
)  # fmt: skip

#: Each of these multiplies 8-bit numbers without saturating intermediate sums.
_INT8_DOT_PRODUCTS = {"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}


def cpu_name() -> str:
    """Model name as the system reports it."""
    name = _first_value("model name")
    return name or platform.processor() or platform.machine()


def cpu_flags() -> tuple[str, ...]:
    """The instruction sets listed in this file that this processor has."""
    flags = set((_first_value("flags") or _first_value("Features") or "").split())
    return tuple(flag for flag in _NOTED if flag in flags)


def has_int8_dot_product() -> bool:
    """Whether 8-bit networks run fast and without saturating (VNNI, AMX, ARM's dot product)."""
    return bool(_INT8_DOT_PRODUCTS.intersection(cpu_flags()))


def quota_threads(root: Path = Path("/")) -> int | None:
    """How many threads a container's CPU quota keeps busy; None if it does not limit them.

    Runtimes start one thread per core that they see. With a lower quota (``docker run --cpus``)
    all of them are stopped for the rest of a period as soon as it is used up, in the middle of an
    image. Read from cgroup v2: ``cpu.max`` of this process's group and of all groups above it.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    group = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = root / "sys/fs/cgroup" / group.strip().lstrip("/")
    cores = math.inf
    for one in (folder, *folder.parents):
        cores = min(cores, _quota(one / "cpu.max"))
        if one == root / "sys/fs/cgroup":
            break
    threads = max(1, math.floor(cores)) if math.isfinite(cores) else None
    return threads if threads is not None and threads < len(os.sched_getaffinity(0)) else None


def _quota(path: Path) -> float:
    """Cores of a file that holds ``200000 100000`` or ``max 100000`` (microseconds)."""
    try:
        quota, period = path.read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


@lru_cache(maxsize=4)
def _first_value(key: str) -> str | None:
    """The first value of a key in /proc/cpuinfo; None if the key or the file does not exist."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
