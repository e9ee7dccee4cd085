"""Topics and services of all nodes as one table: the reference page comes from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interface:
    """One topic or service; ``kind`` is ``in``, ``out``, ``service`` or ``calls``.

    ``~`` stands for the node's name. Optional ones need a package that may not be installed.
    ``when``: the only time when it exists; empty: while the node is active.
    """

    kind: str
    name: str
    type: str
    description: str
    optional: bool = False
    when: str = ""


_IMAGE_IN = Interface(
    "in",
    "image",
    "sensor_msgs/msg/Image",
    "bgr8, rgb8, bgra8, rgba8, mono8, mono16, Bayer, YUV 4:2:2 in both orders, nv12 or nv21; "
    "padded rows, both byte orders. With `image_transport: compressed`: `image/compressed`, "
    "sensor_msgs/CompressedImage, JPEG or PNG.",
)

TRACKER: tuple[Interface, ...] = (
    _IMAGE_IN,
    Interface(
        "in",
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Calibration for `~/polygon` and `~/markers`, and how many images were sent. Unless it is "
        "remapped, the topic next to the image: `/front/camera_info` for `/front/image_raw`.",
    ),
    Interface(
        "in",
        "~/init_target",
        "siampolar_ros/msg/InitTarget",
        "Start a target on the image of its stamp, which may lie in the past; zero: on the newest. "
        "By a box, a point, an outline or a mask (`kind`).",
    ),
    Interface(
        "in",
        "~/init_roi",
        "sensor_msgs/msg/RegionOfInterest",
        "Start a target on the newest image, in one short line.",
    ),
    Interface(
        "in",
        "~/detections_in",
        "vision_msgs/msg/Detection2DArray",
        "A detector's boxes: with `auto_init` the best one starts a target while none is followed; "
        "one that overlaps a lost target of its class starts that target again.",
        optional=True,
    ),
    Interface(
        "out",
        "~/targets",
        "siampolar_ros/msg/Targets",
        "All targets on each image, lost ones included, with the image's header.",
    ),
    Interface(
        "out",
        "~/summary",
        "siampolar_ros/msg/Summary",
        "The same without outlines, for `ros2 topic echo --flow-style` and rqt_plot: id, state, "
        "confidence, centre, size and velocity.",
    ),
    Interface(
        "out",
        "~/init_result",
        "siampolar_ros/msg/InitResult",
        "The answer to each init: success, id, reason. The last one also reaches those who "
        "subscribe later; while the node is inactive each is refused.",
    ),
    Interface(
        "out",
        "~/detections",
        "vision_msgs/msg/Detection2DArray",
        "Boxes of the targets that are not lost; `id` is the target's, the class that of the "
        "detection it started on or overlapped.",
        optional=True,
    ),
    Interface(
        "out",
        "~/mask",
        "sensor_msgs/msg/Image",
        "mono16: for each pixel the id of the target it belongs to (above 65535: 1 + (id - 1) % "
        "65535), 0 for none; lost targets are left out.",
    ),
    Interface(
        "out",
        "~/mask/color",
        "sensor_msgs/msg/Image",
        "bgr8: the same in the colours of the overlay, for viewers, which show small ids as black.",
    ),
    Interface(
        "out",
        "~/overlay",
        "sensor_msgs/msg/Image",
        "bgr8: the image with outlines and labels. Targets that have been lost for more than 2 s "
        "are left out.",
    ),
    Interface(
        "out", "~/overlay/compressed", "sensor_msgs/msg/CompressedImage", "The same as JPEG."
    ),
    Interface(
        "out",
        "~/polygon",
        "geometry_msgs/msg/PolygonStamped",
        "Outline in metres, on the plane `marker_depth` in front of the camera, of the first "
        "target that is not lost; empty if there is none. Needs camera info.",
    ),
    Interface(
        "out",
        "~/markers",
        "visualization_msgs/msg/MarkerArray",
        "Outline and label of every target, in metres on the same plane; those of targets that are "
        "gone are deleted. Needs camera info.",
    ),
    Interface(
        "out",
        "/diagnostics",
        "diagnostic_msgs/msg/DiagnosticArray",
        "Once a second: how images and tracker are doing and why; rates, latency from arrival to "
        "result, milliseconds per image of each stage, images received, processed, skipped and "
        "lost, targets by state. `camera_info` is taken as best effort: there may be fewer of it.",
    ),
    Interface(
        "in",
        "/diagnostics",
        "diagnostic_msgs/msg/DiagnosticArray",
        "To say where the other one runs.",
        when="While another node of this name is on the network.",
    ),
    Interface(
        "out",
        "bond",
        "bond/msg/Status",
        "Signs of life for Nav2's lifecycle manager.",
        optional=True,
        when="With `autostart: false`, while the node is active, if bondpy is installed.",
    ),
    Interface(
        "in",
        "bond",
        "bond/msg/Status",
        "Those of the manager.",
        optional=True,
        when="At the same time.",
    ),
    Interface(
        "service",
        "~/init",
        "siampolar_ros/srv/Init",
        "The same as `~/init_target`, and wait for the answer.",
    ),
    Interface("service", "~/remove", "siampolar_ros/srv/Remove", "Stop following a target."),
    Interface("service", "~/reset", "std_srvs/srv/Trigger", "Stop following all targets."),
    Interface(
        "service", "~/list", "siampolar_ros/srv/List", "The last reported state of each target."
    ),
)

TARGET_3D: tuple[Interface, ...] = (
    Interface("in", "tracker/targets", "siampolar_ros/msg/Targets", "The tracker's `~/targets`."),
    Interface(
        "in",
        "depth",
        "sensor_msgs/msg/Image",
        "With `source: depth`. 16UC1 (millimetres) or 32FC1 (metres), aligned with the tracker's "
        "image and of the same size; 0, NaN and infinite are holes.",
    ),
    Interface(
        "in",
        "points",
        "sensor_msgs/msg/PointCloud2",
        "With `source: cloud`. Organised like the image, or any other, which is projected into it; "
        "one in another frame needs tf2_ros.",
    ),
    Interface(
        "in",
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Calibration of the tracker's image. Unless it is remapped, the topic next to `depth`, "
        "`points` or, with `source: height`, `image`.",
    ),
    Interface(
        "out",
        "~/targets",
        "siampolar_ros/msg/Targets3D",
        "Position, distance, size and velocity of all targets on each image, and why one has none.",
    ),
    Interface(
        "out",
        "~/detections",
        "vision_msgs/msg/Detection3DArray",
        "The targets with a position; `id` is the target's.",
        optional=True,
    ),
    Interface(
        "out",
        "~/pose",
        "geometry_msgs/msg/PoseStamped",
        "The place of `target_id` in `pose_frame`, only while it is tracked; x points away from "
        "the camera, z up.",
    ),
    Interface(
        "out",
        "/tf",
        "tf2_msgs/msg/TFMessage",
        "The frame `target_<id>` of each target, only while it is tracked; axes as for `~/pose`.",
        optional=True,
    ),
    Interface(
        "out",
        "~/cloud",
        "sensor_msgs/msg/PointCloud2",
        "The points of the targets' surfaces, in the target's colour and with its `id`.",
    ),
    Interface(
        "out",
        "~/markers",
        "visualization_msgs/msg/MarkerArray",
        "Outline, label with the distance, and velocity of each target, at its depth.",
    ),
    Interface(
        "out",
        "/diagnostics",
        "diagnostic_msgs/msg/DiagnosticArray",
        "Once a second: whether targets have positions, how depth arrives, and why not.",
    ),
)

VIDEO_PUBLISHER: tuple[Interface, ...] = (
    Interface("out", "image", "sensor_msgs/msg/Image", "bgr8."),
    Interface(
        "out",
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Of an ideal camera with the angle of view `horizontal_fov`; nothing while that is 0.",
    ),
)

SELECT_TARGET: tuple[Interface, ...] = (
    _IMAGE_IN,
    Interface(
        "in", "tracker/init_result", "siampolar_ros/msg/InitResult", "Shown in the window's corner."
    ),
    Interface(
        "out", "tracker/init_target", "siampolar_ros/msg/InitTarget", "The box that was dragged."
    ),
)

FIRST_TARGET: tuple[Interface, ...] = (
    Interface("in", "image", "sensor_msgs/msg/Image", "Only its stamp is read."),
    Interface("in", "tracker/init_result", "siampolar_ros/msg/InitResult", "Ends the node."),
    Interface(
        "out",
        "tracker/init_target",
        "siampolar_ros/msg/InitTarget",
        "The box, on the first image, until it is answered.",
    ),
)

CONSOLE: tuple[Interface, ...] = (
    Interface(
        "in",
        "TRACKER/targets",
        "siampolar_ros/msg/Targets",
        "Of every tracker on the network: it is found by what it publishes and subscribes to.",
    ),
    Interface(
        "in",
        "the tracker's images",
        "sensor_msgs/msg/Image",
        "Or sensor_msgs/CompressedImage: the topic that the tracker takes them from, while a "
        "browser shows them.",
    ),
    Interface(
        "in", "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "Those of the trackers."
    ),
    Interface(
        "calls",
        "TRACKER/init",
        "siampolar_ros/srv/Init",
        "What was drawn, with the stamp and the size of the picture that it was drawn on.",
    ),
    Interface("calls", "TRACKER/remove", "siampolar_ros/srv/Remove", "Remove a target."),
    Interface("calls", "TRACKER/reset", "std_srvs/srv/Trigger", "Remove all."),
)


def reference(table: tuple[Interface, ...]) -> str:
    """The table as Markdown."""
    words = {"in": "subscribes", "out": "publishes", "service": "serves", "calls": "calls"}
    lines = ["| | name | type | what |", "|---|---|---|---|"]
    for row in table:
        needs = f" Where {row.type.partition('/')[0]} is installed." if row.optional else ""
        needs = f" {row.when}" if row.when else needs
        kind = row.type.replace("/msg/", "/").replace("/srv/", "/")
        lines.append(f"| {words[row.kind]} | `{row.name}` | `{kind}` | {row.description}{needs} |")
    return "\n".join(lines) + "\n"
