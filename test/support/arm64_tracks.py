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

#: How far score, and by how many pixels box and outline, may be off on another processor.
ALLOWED = {"fp32": (1e-3, 0.05), "int8": (0.02, 2.0)}

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


def tracks(precision: str) -> list[dict[str, Any]]:
    """The target on every image but the first."""
    tracker = Tracker.from_pretrained(engine="onnxruntime", precision=precision, num_threads=1)
    first, *rest = images()
    tracker.start(first, Box.from_xywh(94, 96, 72, 48))
    return [tracker.update(image)[0].to_dict() for image in rest]


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
    for precision, targets in found.items():
        if precision not in other["targets"]:
            continue
        score, pixels = 0.0, 0.0
        for ours, theirs in zip(targets, other["targets"][precision], strict=True):
            bad += ours["state"] != theirs["state"]
            score = max(score, abs(ours["score"] - theirs["score"]))
            for key in ("box", "polygon"):
                off = np.abs(np.array(ours[key]) - np.array(theirs[key])).max()
                pixels = max(pixels, float(off))
        allowed = ALLOWED[precision]
        print(
            f"{precision}: {len(targets)} images on {platform.machine()} and {other['machine']}: "
            f"scores differ by at most {score:.4f} (allowed {allowed[0]}), boxes and outlines by "
            f"{pixels:.2f} px (allowed {allowed[1]})"
        )
        bad += score > allowed[0] or pixels > allowed[1]
    return int(bad > 0 or not found)


if __name__ == "__main__":
    sys.exit(main())
