"""The name of the processor and the instructions for neural networks that it has."""

from __future__ import annotations

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
