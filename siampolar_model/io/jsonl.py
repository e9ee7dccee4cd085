"""Results as lines of JSON, one per frame."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..results import Target


def target_fields(result: Target) -> dict[str, Any]:
    """One target for JSON, its numbers rounded to what means anything.

    Returns:
        ``id``, ``state`` (lower case), ``score``, ``quality``, ``box`` (x, y, width, height) and
        ``polygon`` (points x, y), both in pixels.
    """
    return {
        "id": result.id,
        "state": result.state.name.lower(),
        "score": round(result.score, 4),
        "quality": round(result.quality, 4),
        "box": [round(value, 2) for value in result.box.as_xywh()],
        "polygon": [[round(float(x), 2), round(float(y), 2)] for x, y in result.polygon_xy],
    }


def json_line(frame: int, stamp_ns: int, results: Iterable[Target]) -> str:
    """One frame as a line of JSON, with its line break.

    Args:
        frame: index of the frame in its video.
        stamp_ns: its time in nanoseconds.
        results: what the tracker returned for it.

    Returns:
        ``{"frame", "stamp_ns", "targets"}``, the targets as in :func:`target_fields`.
    """
    targets = [target_fields(result) for result in results]
    return json.dumps({"frame": frame, "stamp_ns": stamp_ns, "targets": targets}) + "\n"
