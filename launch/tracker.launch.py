"""The tracker on the images of a camera.

    ros2 launch siampolar_ros tracker.launch.py image:=/camera/image_raw

Parameters that are not given here come from the parameters file, or else are the node's defaults
(docs/nodes.md).
"""

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from siampolar_ros.runtime.environment import share_file
from siampolar_ros.runtime.launching import (
    check_module,
    check_package,
    check_params_file,
    launch_environment,
)

_SWITCH = ("true", "false")

#: Arguments that are parameters of the tracker.
_PARAMETERS = (
    "engine", "model", "image_transport", "overlay", "auto_init", "detection_classes", "autostart",
    "num_threads", "use_sim_time",
)  # fmt: skip


def _nodes(context: LaunchContext) -> list:
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    check_params_file(given("params_file"))
    if given("rviz") == "true":
        check_package("rviz2", "rviz:=true")
    if given("console") == "true":
        check_module("aiohttp", "console:=true")
    namespace, image, info = given("namespace"), given("image"), given("camera_info")
    files = [given("params_file")] if given("params_file") else []
    # Text would stay text, and the node wants numbers and true or false.
    parameters = {name: yaml.safe_load(given(name)) for name in _PARAMETERS if given(name)}
    transport, clock = (
        {name: parameters[name]} if name in parameters else {}
        for name in ("image_transport", "use_sim_time")
    )
    tracker = Node(
        package="siampolar_ros",
        executable="tracker",
        name="tracker",
        namespace=namespace,
        parameters=[*files, *([parameters] if parameters else [])],
        remappings=[
            ("image", image),
            *([("camera_info", info)] if info else []),
            *([("~/detections_in", given("detections"))] if given("detections") else []),
        ],
        output="screen",
        respawn=given("respawn") == "true",
        respawn_delay=2.0,
    )
    select = Node(
        package="siampolar_ros",
        executable="select_target",
        name="select_target",
        namespace=namespace,
        parameters=[*files, *([transport] if transport else [])],  # image_reliability, too
        remappings=[("image", image)],
        output="screen",
        condition=IfCondition(LaunchConfiguration("select")),
    )
    camera, slash, _ = image.rpartition("/")
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(share_file("config/tracker.rviz"))],
        # The configuration holds absolute names.
        remappings=[
            ("/image", image),
            ("/camera_info", info or f"{camera}{slash}camera_info"),
            ("/tracker/overlay", "tracker/overlay"),
            ("/tracker/markers", "tracker/markers"),
        ],
        parameters=[clock] if clock else [],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    console = Node(
        package="siampolar_ros",
        executable="console",
        name="console",
        parameters=[{"host": given("console_host"), **clock}],
        output="screen",
        condition=IfCondition(LaunchConfiguration("console")),
    )
    return [tracker, select, rviz, console]


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str, description: str, choices: tuple = ()) -> object:
        allowed = list(choices) or None
        return DeclareLaunchArgument(
            name, default_value=default, description=description, choices=allowed
        )

    optional = ("", *_SWITCH)
    arguments = [
        argument("image", "image", "topic of the images"),
        argument("camera_info", "", "topic of the calibration; else the one next to the image"),
        argument("namespace", "", "namespace of the nodes"),
        argument(
            "params_file", str(share_file("config/tracker.yaml")), "parameters of the tracker"
        ),
        argument("engine", "", "runtime of the network: auto, onnxruntime, openvino, tensorrt ..."),
        argument("model", "", "name of shipped weights or a model folder"),
        argument("image_transport", "", "compressed: JPEG or PNG", ("", "raw", "compressed")),
        argument("overlay", "", "draw the overlay while somebody listens", optional),
        argument("auto_init", "", "let a detector's boxes start targets", optional),
        argument("detections", "", "topic of the detector; else NODE/detections_in"),
        argument("detection_classes", "", "the only classes that start targets, as person,dog"),
        argument("autostart", "", "false: wait for a lifecycle manager", optional),
        argument("num_threads", "", "threads of the runtime; 0: one per core"),
        argument("respawn", "true", "start the tracker again when it has ended", _SWITCH),
        argument("use_sim_time", "", "take the time from /clock, as for a bag", optional),
        argument("console", "false", "serve a page that shows all trackers", _SWITCH),
        argument("console_host", "127.0.0.1", "where; 0.0.0.0: also for other machines"),
        argument("select", "false", "open a window to drag a box in", _SWITCH),
        argument("rviz", "false", "show images and markers in RViz", _SWITCH),
    ]
    environment = [SetEnvironmentVariable(*item) for item in launch_environment().items()]
    return LaunchDescription([*arguments, *environment, OpaqueFunction(function=_nodes)])
