"""A camera image as a JPEG no larger than a browser needs."""

from __future__ import annotations

import cv2

from siampolar_model.images.frame import Frame


def encode(frame: Frame, max_width: int, quality: int) -> bytes:
    """The image, scaled down if it is wider than ``max_width`` pixels.

    Raises:
        FrameError: a compressed image that is damaged.
    """
    image = frame.to_bgr()
    height, width = image.shape[:2]
    if width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        # Averaging is needed only where pixels would be left out; it costs several times as much.
        smooth = cv2.INTER_AREA if width >= 2 * max_width else cv2.INTER_LINEAR
        image = cv2.resize(image, size, interpolation=smooth)
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return data.tobytes()
