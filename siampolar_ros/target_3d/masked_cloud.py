"""The points of the targets' surfaces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from siampolar_model.geometry.depth import DepthImage
from siampolar_model.geometry.position import Camera, fill_part
from siampolar_model.rendering.draw import color_of

from .cloud import POINT
from .estimator import Estimate, Source


def target_points(estimates: Iterable[Estimate], depth: DepthImage, camera: Camera) -> np.ndarray:
    """The pixels inside each outline whose depth is that of the target's surface.

    What shows through holes of the target and past its edge is left out.

    Returns:
        (N,) of dtype :data:`siampolar_ros.target_3d.cloud.POINT`.
    """
    parts = []
    for one in estimates:
        if one.position is None or one.source != Source.DEPTH:
            continue
        left, top, inside = fill_part(one.target.polygon_xy, *depth.size)
        rows, columns = np.nonzero(inside)
        rows, columns = rows + top, columns + left
        z = depth.at(rows, columns)
        near, far = one.position.surface_m
        kept = (z >= near) & (z <= far)
        rays = camera.rays(np.column_stack([columns[kept], rows[kept]]) + 0.5)
        points = np.empty(int(kept.sum()), POINT)
        points["x"], points["y"], points["z"] = rays[:, 0] * z[kept], rays[:, 1] * z[kept], z[kept]
        blue, green, red = color_of(one.target.id)
        points["rgb"] = red << 16 | green << 8 | blue
        points["id"] = one.target.id
        parts.append(points)
    return np.concatenate(parts) if parts else np.empty(0, POINT)
