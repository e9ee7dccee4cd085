"""Measures of boxes: success and precision of OTB and LaSOT, average overlap of GOT-10k.

Wu et al., "Online Object Tracking: A Benchmark", CVPR 2013; Fan et al., "LaSOT", CVPR 2019; Huang
et al., "GOT-10k", TPAMI 2021. As in their toolkits:

- Frames whose truth is not known (no box, or the target reported out of sight) are left out.
- Success and precision count the first frame, on which the tracker's box is the given one, and
  boxes as they are. Success at a threshold is the share of frames whose IoU is *above* it;
  precision the share whose centres are *at most* that far apart.
- Average overlap and success rates leave out the first frame and clip both boxes to the image, the
  way that GOT-10k's toolkit does.
- Rounding is theirs, too: where an error lies exactly on a threshold, it decides.

Boxes are float64 (N, 4): x, y, width and height in pixels.
"""

from __future__ import annotations

import numpy as np

#: IoU of the success curve, whose mean is the AUC: 0 to 1 in steps of 0.05.
SUCCESS_THRESHOLDS = np.linspace(0, 1, 21)

#: Distances of centres: of the precision curve in pixels, and as a share of the true box's width
#: and height. Precision is read off at 20 px; normalised precision is the mean of its curve.
PRECISION_THRESHOLDS = np.arange(51.0)
NORMALISED_THRESHOLDS = np.arange(51) / 100
PRECISION_AT_PX = 20


def box_ious(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union in [0, 1] of N pairs of boxes, float64 (N,); 0 for empty ones."""
    near = np.maximum(predicted[:, :2], true[:, :2])
    far = np.minimum(predicted[:, :2] + predicted[:, 2:], true[:, :2] + true[:, 2:])
    shared = np.prod(np.clip(far - near, 0, None), axis=1)
    union = np.prod(predicted[:, 2:], axis=1) + np.prod(true[:, 2:], axis=1) - shared
    # Rounding may give a box with itself a little more than 1, which no IoU is.
    return np.divide(shared, union, out=np.zeros(len(true)), where=union > 0).clip(0, 1)


def clip_boxes(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes clipped to an image as GOT-10k's toolkit does, float64 (N, 4); their sizes may be 0.

    A corner left of the image or above it is moved to its edge without making the box smaller.
    """
    size = np.array([width, height])
    near = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([near, np.clip(boxes[:, 2:], 0, size - near)], axis=1)


def center_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distances of N pairs of centres in pixels, float64 (N,)."""
    return np.linalg.norm(_centers(predicted) - _centers(true), axis=1)


def normalised_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distances of N pairs of centres in true widths and heights, float64 (N,)."""
    offsets = _centers(predicted) / true[:, 2:] - _centers(true) / true[:, 2:]
    return np.linalg.norm(offsets, axis=1)


def success_curve(ious: np.ndarray) -> np.ndarray:
    """Share of frames with an IoU above each of :data:`SUCCESS_THRESHOLDS`, float64 (21,)."""
    return (ious[:, None] > SUCCESS_THRESHOLDS).mean(axis=0)


def precision_curve(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of frames whose error is at most each threshold, float64 (len(thresholds),)."""
    return (errors[:, None] <= thresholds).mean(axis=0)


def _centers(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, :2] + (boxes[:, 2:] - 1) / 2
