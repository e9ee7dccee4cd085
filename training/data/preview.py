"""A contact sheet of training samples: what the network is shown, and what it should answer."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_GAP = 6
_PAPER = (40, 40, 40)
# BGR.
_BOX, _OUTLINE, _POLYGON, _CELL = (60, 220, 255), (80, 255, 80), (80, 80, 255), (255, 160, 60)


def contact_sheet(
    samples: Sequence[dict[str, np.ndarray]], stride: int, columns: int = 4
) -> np.ndarray:
    """Samples side by side, uint8 (H, W, 3) in BGR.

    Each shows the template with its box (yellow) and the search crop with the outline of the
    mask (green), the box (yellow) and polygon (red) of the best positive cell, and all positive
    cells (blue); a negative pair's search crop is framed in red.

    Args:
        samples: as :func:`siampolar_training.data.sample.make_sample` gives them.
        stride: crop pixels from one cell to the next.
    """
    tiles = [_tile(sample, stride) for sample in samples]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.empty((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), np.uint8)
    sheet[:] = _PAPER
    for index, tile in enumerate(tiles):
        y = (index // columns) * (height + _GAP) + _GAP
        x = (index % columns) * (width + _GAP) + _GAP
        sheet[y : y + height, x : x + width] = tile
    return sheet


def draw_template(template: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """The template with its box, a copy."""
    drawn = template.copy()
    _draw_lines(drawn, _corners(box_xyxy), _BOX)
    return drawn


def draw_search(sample: dict[str, np.ndarray], stride: int) -> np.ndarray:
    """The search crop with its targets, a copy."""
    drawn = sample["search"].copy()
    if not sample["mask"].any():
        cv2.rectangle(drawn, (0, 0), (drawn.shape[1] - 1, drawn.shape[0] - 1), (60, 60, 230), 2)
        return drawn
    contours = cv2.findContours(sample["mask"], cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    cv2.drawContours(drawn, contours, -1, _OUTLINE, 1)
    positive = np.flatnonzero(sample["weight"] > 0)
    cells_a_side = -(-drawn.shape[0] // stride)
    cells = sample["cells"][positive]
    centers = (np.stack([cells % cells_a_side, cells // cells_a_side], 1) + 0.5) * stride
    if len(positive):
        best = int(np.argmax(sample["weight"][positive]))
        left, top, right, bottom = sample["ltrb_px"][positive[best]]
        x, y = centers[best]
        _draw_lines(drawn, _corners((x - left, y - top, x + right, y + bottom)), _BOX)
        rays = sample["rays_px"][positive[best]]
        angles = 2 * np.pi * np.arange(len(rays)) / len(rays)
        polygon = centers[best] + np.stack([np.cos(angles), np.sin(angles)], 1) * rays[:, None]
        _draw_lines(drawn, polygon, _POLYGON)
    for x, y in centers:
        cv2.circle(drawn, (int(x), int(y)), 1, _CELL, cv2.FILLED)
    return drawn


def _tile(sample: dict[str, np.ndarray], stride: int) -> np.ndarray:
    template = draw_template(sample["template"], sample["box_xyxy"])
    search = draw_search(sample, stride)
    tile = np.empty(
        (max(len(template), len(search)), template.shape[1] + _GAP + search.shape[1], 3), np.uint8
    )
    tile[:] = _PAPER
    tile[: len(template), : template.shape[1]] = template
    tile[: len(search), template.shape[1] + _GAP :] = search
    return tile


def _corners(box_xyxy: Sequence[float] | np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = box_xyxy
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


def _draw_lines(image: np.ndarray, points_xy: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A closed line through continuous pixels (OpenCV counts from pixel centres)."""
    fixed = np.round((points_xy - 0.5) * 16).astype(np.int32)
    cv2.polylines(image, [fixed], True, colour, 1, cv2.LINE_AA, shift=4)
