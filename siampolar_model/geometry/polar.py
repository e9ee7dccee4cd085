"""Rays, polygons and masks.

Ray k of N points at ``2*pi*k/N`` from +x, clockwise on the image because y points down.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

#: The shortest ray the network may draw.
MIN_RAY_PX = 1.0


@lru_cache(maxsize=16)
def directions(n_rays: int) -> np.ndarray:
    """Unit vectors (N, 2) float32 of the rays, as (cos, sin); read-only."""
    angles_rad = 2 * np.pi * np.arange(n_rays) / n_rays
    out = np.stack([np.cos(angles_rad), np.sin(angles_rad)], axis=1).astype(np.float32)
    out.setflags(write=False)
    return out


def polygon(center_xy: tuple[float, float], rays_px: np.ndarray) -> np.ndarray:
    """Outline (N, 2) float32 of rays (N,) about a centre, in the centre's pixels."""
    rays = np.asarray(rays_px, np.float32)
    return np.asarray(center_xy, np.float32) + directions(len(rays)) * rays[:, None]


def fill(polygon_xy: np.ndarray, height: int, width: int, value: int = 1) -> np.ndarray:
    """Mask uint8 (height, width) of a polygon (M, 2) given in continuous pixels.

    A pixel belongs to the polygon if its centre lies inside (even-odd rule), so areas have no
    bias. ``cv2.fillPoly`` paints every pixel that the outline touches, so shapes grow by up to
    0.7 px, more so with dense vertices.
    """
    mask = np.zeros((height, width), np.uint8)
    fill_into(mask, polygon_xy, value)
    return mask


def fill_into(mask: np.ndarray, polygon_xy: np.ndarray, value: int) -> None:
    """Paint a polygon (M, 2) into an existing mask of integers, as :func:`fill` does."""
    points = np.asarray(polygon_xy, np.float64)
    if len(points) < 3 or not np.isfinite(points).all():
        return
    height, width = mask.shape
    # In units where pixel centres are integers: row i is crossed by an edge from y0 to y1 if
    # y0 <= i < y1, and from the crossing x on, pixels ceil(x), ... lie to its right.
    x0, y0 = points.T - 0.5
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    first = np.clip(np.ceil(np.minimum(y0, y1)), 0, height).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y0, y1)), 0, height).astype(np.int64)
    counts = last - first
    total = int(counts.sum())
    if total == 0:
        return
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    crossing = x0[edge] + (row - y0[edge]) * slope
    column = np.clip(np.ceil(crossing), 0, width).astype(np.int64)
    top, left = int(row.min()), int(column.min())
    shape = (int(row.max()) - top + 1, int(column.max()) - left + 1)
    flat = (row - top) * shape[1] + column - left
    toggles = np.bincount(flat, minlength=shape[0] * shape[1]).astype(np.uint8).reshape(shape)
    inside = np.add.accumulate(toggles, axis=1, dtype=np.uint8)[:, :-1] & 1
    mask[top : top + shape[0], left : left + shape[1] - 1][inside.view(bool)] = value


def box_of(polygon_xy: np.ndarray) -> tuple[float, float, float, float]:
    """Bounding box (x1, y1, x2, y2) of a polygon (M, 2) with M at least 1."""
    low, high = polygon_xy.min(0), polygon_xy.max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def clip_polygon(polygon_xy: np.ndarray, width: float, height: float) -> np.ndarray:
    """The polygon clipped to [0, width] x [0, height] (Sutherland-Hodgman), float32 (M, 2).

    M is 0 when nothing is left. A clipped outline may have edges along the border that
    enclose no area.
    """
    points = np.asarray(polygon_xy, np.float32)
    if len(points) == 0:
        return points.reshape(0, 2)
    low, high = points.min(0), points.max(0)
    if low[0] >= 0 and low[1] >= 0 and high[0] <= width and high[1] <= height:
        return points
    for axis, sign, bound in ((0, 1, 0.0), (0, -1, -width), (1, 1, 0.0), (1, -1, -height)):
        to_b = sign * points[:, axis] - bound  # >= 0 inside this half-plane
        if (to_b >= 0).all():
            continue
        a, to_a = np.roll(points, 1, 0), np.roll(to_b, 1)  # edges run from a to b
        crosses = (to_a >= 0) != (to_b >= 0)
        share = to_a / np.where(crosses, to_a - to_b, 1)
        # Of every edge its crossing, then its end.
        ends = np.stack([a + (points - a) * share[:, None], points], 1).reshape(-1, 2)
        points = ends[np.stack([crosses, to_b >= 0], 1).reshape(-1)].astype(np.float32)
    return points


def sample_profiles(
    mask: np.ndarray, centers_xy: np.ndarray, n_rays: int, n_samples: int, step_px: float
) -> np.ndarray:
    """Mask values along rays: float32 (C, N, S) in [0, 1].

    Sample s of a ray lies ``(s + 0.5) * step_px`` from its centre; outside the mask is 0.

    Args:
        mask: uint8 or float32 (H, W), 0 or 1.
        centers_xy: (C, 2) continuous pixels; C * N at most 32,766, as ``cv2.remap`` allows.
    """
    distance = (np.arange(n_samples, dtype=np.float32) + 0.5) * step_px
    offsets = directions(n_rays)[:, None, :] * distance[None, :, None]  # N, S, 2
    at = np.asarray(centers_xy, np.float32)[:, None, None, :] + offsets - 0.5
    count = len(at)
    values = cv2.remap(
        mask.astype(np.float32),
        np.ascontiguousarray(at[..., 0].reshape(count * n_rays, -1)),
        np.ascontiguousarray(at[..., 1].reshape(count * n_rays, -1)),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return values.reshape(count, n_rays, n_samples)


def best_overlap_rays(
    profiles: np.ndarray, step_px: float, mask_area_px: float, iterations: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Ray lengths whose filled polygon overlaps the mask best, and the IoU it reaches.

    For a ray with mask profile m(r) the best length is
    ``argmax_d integral_0^d ((1 + q) m(r) - q) r dr``, q being the IoU that results; q starts
    at 1 (pixels inside minus pixels outside) and is iterated.

    Args:
        profiles: float32 (C, N, S) from :func:`sample_profiles`.
        mask_area_px: area of the whole mask in the same pixels.

    Returns:
        rays_px float32 (C, N), at least :data:`MIN_RAY_PX`, and quality float32 (C,) in [0, 1].
    """
    count, n_rays, n_samples = profiles.shape
    radius = (np.arange(n_samples, dtype=np.float32) + 0.5) * step_px
    weight = radius * step_px * (2 * np.pi / n_rays)  # area of one sector cell
    inside = np.cumsum(profiles * weight, axis=2)
    swept = np.cumsum(weight)
    q = np.ones((count, 1, 1), np.float32)
    best = np.zeros((count, n_rays), np.int64)
    for _ in range(iterations):
        gain = (1 + q) * inside - q * swept
        best = gain.argmax(2)
        taken = np.take_along_axis(inside, best[..., None], 2)[..., 0]
        # A ray that gains nothing anywhere has length zero, not its first sample.
        none = np.take_along_axis(gain, best[..., None], 2)[..., 0] <= 0
        overlap = np.where(none, 0, taken).sum(1)
        area = np.where(none, 0, swept[best]).sum(1)
        iou = overlap / np.maximum(area + mask_area_px - overlap, 1e-6)
        q = np.clip(iou, 0, 1).astype(np.float32)[:, None, None]
    rays = np.where(none, 0, (best + 1) * step_px)
    return np.maximum(rays, MIN_RAY_PX).astype(np.float32), q[:, 0, 0]


def farthest_rays(profiles: np.ndarray, step_px: float) -> np.ndarray:
    """Ray lengths to the mask's farthest point, as SiamPolar draws them: float32 (C, N).

    Args:
        profiles: float32 (C, N, S) from :func:`sample_profiles`.
    """
    inside = profiles >= 0.5
    samples = inside.shape[2]
    last = np.where(inside.any(2), samples - inside[:, :, ::-1].argmax(2), 0)
    return np.maximum(last * step_px, MIN_RAY_PX).astype(np.float32)


def centerness(rays_px: np.ndarray) -> np.ndarray:
    """Polar centerness ``sqrt(min(d) / max(d))`` (Xie et al. 2020) of rays (C, N): float32 (C,)."""
    return np.sqrt(rays_px.min(1) / rays_px.max(1)).astype(np.float32)
