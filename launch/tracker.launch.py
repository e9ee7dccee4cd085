"""The tracker on the images of a camera.

    ros2 launch siampolar_ros tracker.launch.py image:=/camera/image_raw

Parameters that are not given here come from the parameters file, or else are the node's defaults
(docs/nodes.md).
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from siampolar_ros.runtime.environment import dds_environment, share_file

_SWITCH = ("true", "false")


def _nodes(context: LaunchContext) -> list:
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in (
            "namespace", "image", "camera_info", "params_file", "engine", "model", "overlay",
            "use_sim_time",
        )
    }  # fmt: skip
    namespace, image = given["namespace"], given["image"]
    remappings = [("image", image)]
    if given["camera_info"]:
        remappings.append(("camera_info", given["camera_info"]))
    parameters: dict[str, object] = {
        name: given[name] for name in ("engine", "model") if given[name]
    }
    for name in ("overlay", "use_sim_time"):
        if given[name]:
            parameters[name] = given[name] == "true"
    files = [given["params_file"]] if given["params_file"] else []
    sim_time = {key: value for key, value in parameters.items() if key == "use_sim_time"}
    tracker = Node(
        package="siampolar_ros",
        executable="tracker",
        name="tracker",
        namespace=namespace,
        parameters=[*files, *([parameters] if parameters else [])],
        remappings=remappings,
        output="screen",
        respawn=True,
        respawn_delay=2.0,
    )
    select = Node(
        package="siampolar_ros",
        executable="select_target",
        name="select_target",
        namespace=namespace,
        parameters=files,  # image_transport and image_reliability
        remappings=[("image", image)],
        output="screen",
        condition=IfCondition(LaunchConfiguration("select")),
    )
    camera, slash, _ = image.rpartition("/")
    info = given["camera_info"] or f"{camera}{slash}camera_info"
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(share_file("config/tracker.rviz"))],
        # The configuration holds absolute names.
        remappings=[
            ("/image", image),
            ("/camera_info", info),
            ("/tracker/overlay", "tracker/overlay"),
            ("/tracker/markers", "tracker/markers"),
        ],
        parameters=[sim_time] if sim_time else [],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return [tracker, select, rviz]


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str, description: str, choices: tuple = ()) -> object:
        allowed = list(choices) or None
        return DeclareLaunchArgument(
            name, default_value=default, description=description, choices=allowed
        )

    arguments = [
        argument("image", "image", "topic of the images"),
        argument("camera_info", "", "topic of the calibration; else the one next to the image"),
        argument("namespace", "", "namespace of the nodes"),
        argument(
            "params_file", str(share_file("config/tracker.yaml")), "parameters of the tracker"
        ),
        argument("engine", "", "runtime of the network: auto, onnxruntime, openvino, tensorrt ..."),
        argument("model", "", "name of shipped weights or a model folder"),
        argument("overlay", "", "draw the overlay while somebody listens", ("", *_SWITCH)),
        argument("use_sim_time", "", "take the time from /clock, as for a bag", ("", *_SWITCH)),
        argument("select", "false", "open a window to drag a box in", _SWITCH),
        argument("rviz", "false", "show images and markers in RViz", _SWITCH),
    ]
    environment = [SetEnvironmentVariable(*item) for item in dds_environment().items()]
    return LaunchDescription([*arguments, *environment, OpaqueFunction(function=_nodes)])
