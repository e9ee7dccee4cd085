"""What the head should say about one search crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siampolar_model.geometry import polar
from siampolar_model.network.config import HeadConfig

#: Cells this near to the mask's centroid (crop pixels) are positive, and of a coarse stride the
#: nearest one at least, ...
POSITIVE_RADIUS_PX = 12.0
#: ... if the best polygon from them reaches this IoU.
MIN_QUALITY = 0.25
#: Positive cells kept per sample: so that batches have one shape.
MAX_POSITIVES = 12
#: Spacing of samples along a ray, crop pixels.
STEP_PX = 1.5


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of one sample; positives are padded to MAX_POSITIVES with weight 0.

    Attributes:
        cells: int64 (P,), flat index of each positive cell.
        weight: float32 (P,), attainable IoU of the polygon from the cell, in [0, 1]; 0 is padding.
        quality: float32 (P,), what the head should say of the cell, in [0, 1].
        rays_px: float32 (P, R).
        ltrb_px: float32 (P, 4), distances to the box's left, top, right and bottom side.
    """

    cells: np.ndarray
    weight: np.ndarray
    quality: np.ndarray
    rays_px: np.ndarray
    ltrb_px: np.ndarray


def no_target(n_rays: int) -> Labels:
    """Labels of a negative pair: no cell is positive."""
    return Labels(
        np.zeros(MAX_POSITIVES, np.int64),
        np.zeros(MAX_POSITIVES, np.float32),
        np.zeros(MAX_POSITIVES, np.float32),
        np.ones((MAX_POSITIVES, n_rays), np.float32),
        np.ones((MAX_POSITIVES, 4), np.float32),
    )


def make_labels(mask: np.ndarray, head: HeadConfig, stride: int) -> Labels:
    """Labels of a positive pair.

    Args:
        mask: uint8 (S, S), 1 where the target is visible in the search crop.
        head: how many rays, and what they and the quality mean.
    """
    n_rays = head.rays
    out = no_target(n_rays)
    ys, xs = np.nonzero(mask)
    size = mask.shape[0]
    cells_a_side = -(-size // stride)
    centroid = np.array([xs.mean() + 0.5, ys.mean() + 0.5])
    radius_px = max(POSITIVE_RADIUS_PX, 0.71 * stride)  # half a diagonal of a cell
    axis = (np.arange(cells_a_side) + 0.5) * stride
    near_x = np.flatnonzero(np.abs(axis - centroid[0]) <= radius_px)
    near_y = np.flatnonzero(np.abs(axis - centroid[1]) <= radius_px)
    if not len(near_x) or not len(near_y):
        return out
    grid = np.array([(x, y) for y in near_y for x in near_x])
    centers = axis[grid]
    close = np.linalg.norm(centers - centroid, axis=1) <= radius_px
    grid, centers = grid[close], centers[close]
    if not len(grid):
        return out
    box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
    reach = np.hypot(box[2] - box[0], box[3] - box[1]) + radius_px
    profiles = polar.sample_profiles(mask, centers, n_rays, int(reach / STEP_PX) + 1, STEP_PX)
    rays, overlap = polar.best_overlap_rays(profiles, STEP_PX, float(len(xs)))
    if head.ray_rule == "farthest_point":
        rays = polar.farthest_rays(profiles, STEP_PX)
    quality = overlap if head.quality == "overlap" else polar.centerness(rays)
    ltrb = np.stack(
        [
            centers[:, 0] - box[0],
            centers[:, 1] - box[1],
            box[2] - centers[:, 0],
            box[3] - centers[:, 1],
        ],
        1,
    )
    good = np.flatnonzero((overlap >= MIN_QUALITY) & (ltrb.min(1) > 0))
    good = good[np.argsort(-overlap[good], kind="stable")][:MAX_POSITIVES]
    n = len(good)
    out.cells[:n] = grid[good, 1] * cells_a_side + grid[good, 0]
    out.weight[:n] = overlap[good]
    out.quality[:n] = quality[good]
    out.rays_px[:n] = rays[good]
    out.ltrb_px[:n] = ltrb[good]
    return out
