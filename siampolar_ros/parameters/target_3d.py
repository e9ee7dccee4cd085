"""The parameters of the node ``target_3d``; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass

from siampolar_model.settings import setting

from .table import Changes, ParameterError


@dataclass(frozen=True)
class Target3dSettings:
    """The 3D node's parameters, valid as a whole."""

    source: str = setting(
        "depth",
        choices=("depth", "cloud", "height"),
        changes=Changes.START,
        help="Where distances come from: the aligned depth image on `depth`, the point cloud on "
        "`points`, or `known_height` alone.",
    )
    depth_reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        help="QoS of the subscription to `depth` or `points`; auto is reliable if every publisher "
        "offers it, else best effort.",
    )
    depth_tolerance_s: float = setting(
        0.02, 0.0, 1.0,
        help="How many seconds the stamps of image and depth may differ. While the target moves, "
        "its distance is wrong by its speed times this.",
    )  # fmt: skip
    depth_wait_s: float = setting(
        0.1, 0.0, 5.0, help="Seconds that targets wait for the depth of their image to arrive."
    )
    depth_is_aligned: bool = setting(
        False,
        help="Take depth images whose `frame_id` is not that of the outlines: the driver aligns "
        "them but names the other frame. Depth that is not aligned gives wrong positions.",
    )
    min_depth: float = setting(
        0.1, 0.0, 1000.0, help="Depths below this are holes, metres along the optical axis."
    )
    max_depth: float = setting(
        50.0, 0.01, 1000.0, help="Depths above this are holes, metres along the optical axis."
    )
    known_height: float = setting(
        0.0, 0.0, 100.0,
        help="Height of an upright target in metres; its distance follows from its height in the "
        "image wherever depth gives none. 0: unknown.",
    )  # fmt: skip
    image_is_rectified: bool = setting(
        False, help="The images have no distortion and follow P of the camera info, not K."
    )
    acceleration: float = setting(
        2.0, 0.01, 100.0,
        help="Acceleration that targets are expected to have relative to the camera, m/s^2. Larger "
        "values follow faster and smooth less.",
    )  # fmt: skip
    target_id: int = setting(
        0, 0, 2**32 - 1,
        help="Target whose place is published on `~/pose`; 0: the one with the lowest id.",
    )  # fmt: skip
    pose_frame: str = setting(
        "",
        help="Frame of `~/pose`, such as odom; empty: the camera's. Needs the package tf2_ros.",
    )
    frame_prefix: str = setting(
        "target_",
        help="Name of the tf frames without the id, to tell the targets of several cameras apart; "
        "empty: no tf frames. Needs the package tf2_msgs.",
    )

    def __post_init__(self) -> None:
        if self.min_depth >= self.max_depth:
            raise ParameterError(
                f"parameter min_depth is {self.min_depth:g}; it must be below max_depth, "
                f"{self.max_depth:g}"
            )
        if self.source == "height" and not self.known_height:
            raise ParameterError(
                "parameter known_height is 0; with source:=height it must be above 0"
            )
