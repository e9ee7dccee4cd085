"""Follows a drawn object in every precision and writes its targets; compares them with others.

    python arm64_tracks.py OUT.json [--compare OTHER.json]

For scripts/test_arm64: the same file runs on two kinds of processor.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from siampolar_model.errors import EngineError
from siampolar_model.geometry.box import Box
from siampolar_model.tracking.tracker import Tracker

#: How far score, and by how many pixels box and outline, may be off on another processor: of
#: targets that were started one image before, and of one that was followed through all images.
#: There rounding adds up: on one x86 processor alone, a start box moved by a millionth of a pixel
#: changes outlines by up to 0.3 px in fp32 and 1.3 px in int8; pixels of crops are whole numbers.
ALLOWED = {
    "fp32": {"started": (1e-3, 0.05), "followed": (5e-3, 1.0)},
    "int8": {"started": (0.02, 2.0), "followed": (0.02, 2.0)},
}

_FRAMES = 12


def images() -> list[np.ndarray]:
    """An ellipse with a pattern that moves and turns over noise, uint8 (240, 320, 3) BGR."""
    rng = np.random.default_rng(5)
    ground = cv2.resize(rng.integers(60, 200, (24, 32, 3), dtype=np.uint8), (320, 240))
    pattern = cv2.resize(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), (80, 80))
    found = []
    for index in range(_FRAMES):
        image = ground.copy()
        mask = np.zeros((80, 80), np.uint8)
        cv2.ellipse(mask, (40, 40), (36, 22), 5 * index, 0, 360, 255, cv2.FILLED)
        x, y = 90 + 6 * index, 80 + 2 * index
        image[y : y + 80, x : x + 80][mask > 0] = pattern[mask > 0]
        found.append(image)
    return found


def tracks(precision: str) -> dict[str, list[dict[str, Any]]]:
    """The target on every image but the first, by the keys of ``ALLOWED``."""
    tracker = Tracker.from_pretrained(engine="onnxruntime", precision=precision, num_threads=1)
    first, *rest = every = images()
    tracker.start(first, _box(0))
    found = {"started": [], "followed": [tracker.update(image)[0].to_dict() for image in rest]}
    for index, image in enumerate(rest):
        tracker.reset()
        tracker.start(every[index], _box(index))
        found["started"].append(tracker.update(image)[0].to_dict())
    return found


def _box(index: int) -> Box:
    """Around the object on one of :func:`images`; the object turns in it."""
    return Box.from_xywh(94 + 6 * index, 96 + 2 * index, 72, 48)


def main() -> int:
    out, *compare = sys.argv[1:]
    found: dict[str, Any] = {}
    for precision in ALLOWED:
        try:
            found[precision] = tracks(precision)
        except EngineError as error:
            print(f"{precision}: {error}")
    Path(out).write_text(json.dumps({"machine": platform.machine(), "targets": found}))
    if not compare:
        return 0
    other = json.loads(Path(compare[1]).read_text())
    bad = 0
    for precision, kinds in found.items():
        for kind, targets in kinds.items():
            theirs = other["targets"].get(precision)
            if theirs is None:
                continue
            score, pixels, states = differences(targets, theirs[kind])
            most_score, most_pixels = ALLOWED[precision][kind]
            print(
                f"{precision}, {kind}: {len(targets)} images on {platform.machine()} and "
                f"{other['machine']}: scores differ by at most {score:.4f} (allowed {most_score}), "
                f"boxes and outlines by {pixels:.2f} px (allowed {most_pixels}), {states} states"
            )
            bad += states or score > most_score or pixels > most_pixels
    return int(bad > 0 or not found)


def differences(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[float, float, int]:
    """Largest differences of scores, of boxes and outlines, and the number of other states."""
    score, pixels, states = 0.0, 0.0, 0
    for a, b in zip(ours, theirs, strict=True):
        states += a["state"] != b["state"]
        score = max(score, abs(a["score"] - b["score"]))
        for key in ("box", "polygon"):
            pixels = max(pixels, float(np.abs(np.array(a[key]) - np.array(b[key])).max()))
    return score, pixels, states


if __name__ == "__main__":
    sys.exit(main())
