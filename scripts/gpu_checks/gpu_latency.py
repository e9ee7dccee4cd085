"""Inputs for an engine, its latency, and how far its results are from another engine's."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

BATCHES = (1, 2, 4, 8, 16)
_SLOTS = 4


def latencies_ms(engine: Any, rounds: int = 200) -> dict[str, str]:
    """Median and 95th percentile of a search, by number of targets."""
    prepare(engine)
    found = {}
    for n in BATCHES:
        arguments = inputs(engine, n)
        for _ in range(10):
            engine.search(*arguments)
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            engine.search(*arguments)
            seconds.append(time.perf_counter() - start)
        p50, p95 = (float(np.percentile(seconds, q)) * 1e3 for q in (50, 95))
        found[str(n)] = f"{p50:.3f}, {p95:.3f}"
    return found


def prepare(*engines: Any) -> None:
    """Encode the same drawn targets into slots 0 to 3 of every engine."""
    size = engines[0].spec.template_size
    box_xyxy = np.array([0.3, 0.3, 0.7, 0.7], np.float32) * size
    for slot in range(_SLOTS):
        crop = _picture(size, slot, radius=0.18)
        for engine in engines:
            engine.encode(slot, crop, box_xyxy)


def inputs(engine: Any, n: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Slots, crops and priors of a search for ``n`` targets."""
    size = engine.spec.search_size
    slots = [i % _SLOTS for i in range(n)]
    crops = [_picture(size, slot, radius=0.09, shift=0.01 * i) for i, slot in enumerate(slots)]
    middle = [0.3, 0.15, size / 4, size / 4, size / 2, size / 2]
    return slots, np.stack(crops), np.array([middle] * n, np.float32)


def compare(engine: Any, exact: Any) -> dict[str, Any]:
    """Both engines on the same batches of 1 to 16.

    Returns:
        Largest difference by output where both choose the same cell, the number of targets for
        which they do not, and of those whose second result differs from the first.
    """
    prepare(engine, exact)
    worst: dict[str, float] = {}
    moved = changed = total = 0
    for n in range(1, engine.spec.max_targets + 1):
        arguments = inputs(engine, n)
        found, expected, again = (one.search(*arguments) for one in (engine, exact, engine))
        for i in range(n):
            total += 1
            names = ("score", "box_xyxy", "rays_px")
            same = [np.array_equal(getattr(found, f)[i], getattr(again, f)[i]) for f in names]
            changed += not all(same)
            if np.abs(found.center_xy[i, 0] - expected.center_xy[i, 0]).sum() > 0.01:
                moved += 1
                continue
            for name in ("score", "quality", "box_xyxy", "rays_px"):
                a, b = getattr(found, name)[i, 0], getattr(expected, name)[i, 0]
                worst[name] = max(worst.get(name, 0.0), float(np.abs(a - b).max()))
    rounded = {name: float(f"{value:.3g}") for name, value in worst.items()}
    return rounded | {"other cell": moved, "not repeatable": changed, "targets": total}


def _picture(size: int, seed: int, radius: float, shift: float = 0.0) -> np.ndarray:
    """uint8 (size, size, 3): smooth colours with a striped disc near the middle, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    waves = [np.sin(2 * np.pi * ((seed + c) % 3 + 1) * (x + 0.3 * y) + seed + c) for c in range(3)]
    picture = np.stack(waves, -1) * 60 + 110
    disc = (x - 0.5 - shift) ** 2 + (y - 0.5) ** 2 < radius**2
    color = np.array([40 + 30 * seed % 200, 220 - 20 * seed % 200, 90], np.float32)
    picture[disc] = color + 25 * np.sin(40 * x[disc])[:, None]
    noise = rng.normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
