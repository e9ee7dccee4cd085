"""Region similarity J and boundary accuracy F of masks, as in the DAVIS-2016 protocol.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016. In every sequence the first frame, whose mask is given, and the last one are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..geometry.box import Box

#: Two boundaries match within this fraction of the image's diagonal.
BOUNDARY_TOLERANCE = 0.008

#: A frame counts for the recall when its value is above this.
RECALL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Statistics:
    """The three numbers that DAVIS reports of one measure (J or F) over one sequence.

    Attributes:
        mean: over frames.
        recall: share of frames above :data:`RECALL_THRESHOLD`.
        decay: mean over the first quarter of the frames minus mean over the last.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(mask_true: np.ndarray, mask_pred: np.ndarray) -> float:
    """J: intersection over union in [0, 1] of two masks (H, W), non-zero inside; 1 if both empty.

    Raises:
        ValueError: the shapes differ, or are not two-dimensional.
    """
    true, pred = _binary_pair(mask_true, mask_pred)
    union = cv2.countNonZero(true | pred)
    return cv2.countNonZero(true & pred) / union if union else 1.0


def boundary_accuracy(
    mask_true: np.ndarray, mask_pred: np.ndarray, tolerance: float = BOUNDARY_TOLERANCE
) -> float:
    """F: harmonic mean in [0, 1] of the precision and recall of the boundary of two masks (H, W).

    A boundary pixel matches when the other boundary passes within ``tolerance`` times the image
    diagonal, rounded up to whole pixels.

    Raises:
        ValueError: the shapes differ, or are not two-dimensional.
    """
    true, pred = _binary_pair(mask_true, mask_pred)
    radius = math.ceil(tolerance * math.hypot(*true.shape))
    # Pixels farther than the radius from both masks cannot match, so they are cut off.
    x, y, width, height = cv2.boundingRect(true | pred)
    top, left = max(0, y - radius - 1), max(0, x - radius - 1)
    window = np.s_[top : y + height + radius + 1, left : x + width + radius + 1]
    edge_true, edge_pred = _boundary(true[window]), _boundary(pred[window])
    n_true, n_pred = cv2.countNonZero(edge_true), cv2.countNonZero(edge_pred)
    if n_true == 0 or n_pred == 0:
        return float(n_true == n_pred)
    near_true, near_pred = (cv2.dilate(edge, _disk(radius)) for edge in (edge_true, edge_pred))
    precision = cv2.countNonZero(edge_pred & near_true) / n_pred
    recall = cv2.countNonZero(edge_true & near_pred) / n_true
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def sequence_statistics(values: Sequence[float]) -> Statistics:
    """Statistics of one measure, given for every frame of a sequence, first and last included.

    Raises:
        ValueError: fewer than three frames: without the first and the last, none would be left.
    """
    if len(values) < 3:
        raise ValueError(f"{len(values)} frames; a sequence needs at least 3 to be evaluated")
    inner = np.asarray(values, np.float64)[1:-1]
    # Quarters share their end frames; 1e-10 rounds halves up, as the protocol's Matlab code does.
    ends = (np.round(np.linspace(1, len(inner), 5) + 1e-10) - 1).astype(int)
    first, last = inner[ends[0] : ends[1] + 1], inner[ends[3] : ends[4] + 1]
    return Statistics(
        mean=float(inner.mean()),
        recall=float((inner > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def mask_box(mask: np.ndarray) -> Box | None:
    """Tight half-open box around the non-zero pixels of a mask (H, W); None if there are none."""
    x, y, width, height = cv2.boundingRect((np.asarray(mask) != 0).astype(np.uint8))
    return Box.from_xywh(x, y, width, height) if width and height else None


def _binary_pair(mask_true: np.ndarray, mask_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if mask_true.shape != mask_pred.shape or mask_true.ndim != 2:
        raise ValueError(
            f"masks of shapes {mask_true.shape} and {mask_pred.shape}; "
            "both must be the same (height, width)"
        )
    return (mask_true != 0).astype(np.uint8), (mask_pred != 0).astype(np.uint8)


def _boundary(mask: np.ndarray) -> np.ndarray:
    """One-pixel boundary of a 0/1 uint8 mask, half a pixel towards the origin."""
    # The image is continued with its edge pixels, as in the protocol. So pixels of the last row or
    # column are compared along it only, and the bottom right pixel is never boundary.
    padded = cv2.copyMakeBorder(mask, 0, 1, 0, 1, cv2.BORDER_REPLICATE)
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


@lru_cache(maxsize=8)
def _disk(radius: int) -> np.ndarray:
    """Structuring element uint8: the pixels within ``radius`` of the middle one."""
    offset = np.arange(-radius, radius + 1)
    return (offset[:, None] ** 2 + offset**2 <= radius**2).astype(np.uint8)
