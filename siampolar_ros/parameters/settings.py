"""Parts of the tracker node's settings: images in, detections in, results out; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass

from siampolar_model.images.compressed import MAX_PIXELS
from siampolar_model.settings import check_settings, setting


@dataclass(frozen=True)
class ImageSettings:
    """How images come in."""

    image_transport: str = setting(
        "raw",
        choices=("raw", "compressed"),
        help="Raw: sensor_msgs/Image on `image`; compressed: sensor_msgs/CompressedImage (JPEG, "
        "PNG) on `image/compressed`, or on `image` itself if it is remapped to a name that ends "
        "in `/compressed`.",
    )
    image_reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        help="QoS of the image subscription; auto is reliable if every publisher offers it, "
        "else best effort.",
    )
    max_image_pixels: int = setting(
        MAX_PIXELS, 1, 1_000_000_000,
        help="Larger images are refused before any memory is allocated for them.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)


def names_of(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated text that are not empty."""
    return tuple(name for name in map(str.strip, text.split(",")) if name)


@dataclass(frozen=True)
class DetectionSettings:
    """Which detections start targets, and when."""

    auto_init: bool = setting(
        False,
        help="Start the best of `~/detections_in` while no target is followed; a lost one counts "
        "as followed.",
    )
    detection_score: float = setting(
        0.5, 0.0, 1.0, help="Detections with a lower score are ignored."
    )
    detection_iou: float = setting(
        0.3, 0.0, 1.0,
        help="A detection starts a lost target of its class again if their boxes overlap by at "
        "least this (IoU).",
    )  # fmt: skip
    detection_classes: tuple[str, ...] = setting(
        "",
        convert=names_of,
        help="The only class ids that start anything, separated by commas; empty: all.",
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class OutputSettings:
    """How results go out."""

    overlay: bool = setting(
        True,
        help="Draw the overlay while somebody subscribes to it; false: not even then (a recorder "
        "of all topics subscribes).",
    )
    marker_depth: float = setting(
        1.0, 0.01, 1000.0,
        help="Metres from the camera to the plane of `~/polygon` and `~/markers`.",
    )  # fmt: skip
    image_is_rectified: bool = setting(
        False,
        help="The images have no distortion and follow P of the camera info, not K.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
