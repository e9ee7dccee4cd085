"""An object of a photograph, drawn on a frame at a place, in a size, turned."""

from __future__ import annotations

import cv2
import numpy as np

from ..data.instances import Instance


def paste(
    frame: np.ndarray, instance: Instance, place_xy: np.ndarray, side_px: float, angle_rad: float
) -> np.ndarray:
    """Draw an object on a frame, in place.

    Args:
        frame: uint8 (H, W, 3), BGR.
        place_xy: float64 (2,), of the middle of its box, in pixels of the frame.
        side_px: root of its box's area on the frame.
        angle_rad: clockwise.

    Returns:
        Its mask uint8 (H, W), 0 or 1.
    """
    size = frame.shape[1], frame.shape[0]
    box = instance.box
    scale = side_px / np.sqrt(box.width * box.height)
    cos, sin = np.cos(angle_rad) * scale, np.sin(angle_rad) * scale
    turn = np.array([[cos, -sin], [sin, cos]])
    # OpenCV counts pixel centres, boxes count corners.
    shift = place_xy - turn @ np.array(box.center_xy) + turn @ (0.5, 0.5) - 0.5
    matrix = np.column_stack([turn, shift])
    image, mask = instance.source.image, instance.mask
    if scale < 0.5:
        sigma = 0.4 / scale
        image, mask = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (image, mask))
    seen = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, size).astype(np.float32) / 255
    frame[:] = seen * alpha[..., None] + frame * (1 - alpha[..., None]) + 0.5
    return (alpha >= 0.5).astype(np.uint8)
