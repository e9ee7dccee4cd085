"""Parts of the tracker node's settings that belong to no other module; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass

from siampolar_model.images.compressed import MAX_PIXELS
from siampolar_model.settings import check_ranges

#: Allowed range of every number below, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "max_image_pixels": (1, 1_000_000_000),
    "marker_depth": (0.01, 1000.0),
}


@dataclass(frozen=True)
class ImageSettings:
    """How images come in.

    Attributes:
        image_transport: ``raw``: sensor_msgs/Image on ``image``; ``compressed``:
            sensor_msgs/CompressedImage on ``image/compressed``.
        image_reliability: ``reliable``, ``best_effort`` or ``auto``.
        max_image_pixels: larger images are refused before anything is allocated for them.
    """

    image_transport: str = "raw"
    image_reliability: str = "auto"
    max_image_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        check_ranges(self, {"max_image_pixels": SETTING_RANGES["max_image_pixels"]})


@dataclass(frozen=True)
class OutputSettings:
    """How results go out.

    Attributes:
        overlay: draw the overlay while somebody listens.
        marker_depth: metres along the optical axis to the plane of polygon and markers.
        image_is_rectified: images follow P of the camera info and have no distortion.
    """

    overlay: bool = True
    marker_depth: float = 1.0
    image_is_rectified: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, {"marker_depth": SETTING_RANGES["marker_depth"]})
