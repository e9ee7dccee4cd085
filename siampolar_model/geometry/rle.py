"""Run lengths of masks in COCO's text form, which pycocotools reads."""

from __future__ import annotations

import numpy as np


def encode_rle(mask: np.ndarray) -> dict[str, object]:
    """Run lengths of a mask, column by column, beginning with background.

    Args:
        mask: (H, W), non-zero inside.

    Returns:
        ``{"size": [H, W], "counts": text}`` as in COCO's JSON; ``pycocotools.mask.decode`` gives
        the mask back.

    >>> encode_rle(np.array([[0, 1], [0, 1]]))
    {'size': [2, 2], 'counts': '22'}
    """
    height, width = mask.shape
    inside = (np.asarray(mask) != 0).ravel(order="F")
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    counts = np.diff(np.concatenate([[0], edges, [inside.size]])).tolist()
    return {"size": [height, width], "counts": _compressed(counts)}


def _compressed(counts: list[int]) -> str:
    """Five bits per character, the sixth says that more follow (``rleToString`` of COCO's API)."""
    text = []
    for place, count in enumerate(counts):
        # From the fourth run on, the difference to the run before the last.
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits | 32 if more else bits)))
    return "".join(text)
