"""Checks an outline of a COCO annotation before pycocotools sees it.

pycocotools passes numbers to C unchecked: a corner far outside the image ends the process or takes
all memory (cocoapi issue 380), run lengths that end early leave random memory in the mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from siampolar_model.errors import SiampolarError

#: Corners may lie outside the image by this many of its longer sides; annotation tools write some.
_MARGIN = 2.0


class OutlineError(SiampolarError, ValueError):
    """An outline that cannot be read; the message names the value and what is allowed."""


def checked_outline(outline: Any, height: int, width: int) -> Any:
    """The outline as it is safe to hand to pycocotools; None if there is none.

    Args:
        outline: a list of polygons ``[x0, y0, x1, y1, ...]``, or run lengths
            ``{"counts": list or text, "size": [height, width]}``; None if there is none.
        height, width: of the image, pixels.

    Raises:
        OutlineError: numbers that are missing, not finite or far outside the image, polygons that
            enclose nothing of it, or run lengths that do not add up to it.
    """
    if not outline:
        return None
    if isinstance(outline, dict):
        _check_runs(outline, height, width)
        return outline
    if not isinstance(outline, list):
        raise OutlineError(f"segmentation is {type(outline).__name__}; it must be a list or runs")
    if not isinstance(outline[0], list):
        raise OutlineError("segmentation is one list of numbers; it must be a list of polygons")
    # Fewer than three points enclose nothing, and pycocotools takes two of them for a box.
    polygons = [polygon for polygon in outline if len(polygon) >= 6]
    for polygon in polygons:
        _check_polygon(polygon, height, width)
    if not polygons:
        raise OutlineError("no polygon has three points")
    if all(_is_outside(polygon, height, width) for polygon in polygons):
        raise OutlineError("all polygons lie outside the image")
    return polygons


def _check_polygon(polygon: Sequence[Any], height: int, width: int) -> None:
    if len(polygon) % 2:
        raise OutlineError(f"a polygon has {len(polygon)} numbers; it must have pairs of x, y")
    margin = _MARGIN * max(height, width)
    for place, value in enumerate(polygon):
        side = height if place % 2 else width
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise OutlineError(f"a corner has {value!r}; it must be a number")
        if not (math.isfinite(value) and -margin <= value <= side + margin):
            raise OutlineError(
                f"a corner lies at {value:g}; it must be from {-margin:g} to {side + margin:g}"
            )


def _is_outside(polygon: Sequence[float], height: int, width: int) -> bool:
    x, y = polygon[::2], polygon[1::2]
    return max(x) <= 0 or max(y) <= 0 or min(x) >= width or min(y) >= height


def _check_runs(runs: dict[str, Any], height: int, width: int) -> None:
    size, counts = runs.get("size"), runs.get("counts")
    if size != [height, width]:
        raise OutlineError(f"run lengths are of size {size}; the image is [{height}, {width}]")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts
    ):
        raise OutlineError("run lengths must be text or whole numbers of at least 0")
    if sum(counts) != height * width:
        raise OutlineError(
            f"run lengths add up to {sum(counts)} pixels; the image has {height * width}"
        )


def _decompressed(text: str) -> list[int]:
    """Run lengths of COCO's text form.

    Five bits per character, offset by 48, the sixth says that more follow; from the third run on,
    the difference to the run before the last (``rleFrString`` of the COCO API).
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            if place == len(text) or not 48 <= ord(text[place]) < 48 + 64 or shift > 60:
                raise OutlineError("compressed run lengths are cut off or damaged")
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            place, shift = place + 1, shift + 5
            if not more and bits & 16:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts
