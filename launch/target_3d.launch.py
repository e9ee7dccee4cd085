"""Targets in metres, next to a tracker:

    ros2 launch siampolar_ros target_3d.launch.py depth:=/camera/aligned_depth_to_color/image_raw

Parameters that are not given here come from the parameters file, or else are the node's defaults
(docs/nodes.md).
"""

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from siampolar_ros.runtime.launching import check_package, check_params_file, launch_environment

#: Arguments that are parameters of the node.
_PARAMETERS = (
    "source", "known_height", "target_id", "pose_frame", "frame_prefix", "use_sim_time",
)  # fmt: skip


def _nodes(context: LaunchContext) -> list:
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    check_params_file(given("params_file"))
    if given("pose_frame"):
        check_package("tf2_ros_py", f"pose_frame:={given('pose_frame')}")
    # Text would stay text, and the node wants numbers.
    parameters = {name: yaml.safe_load(given(name)) for name in _PARAMETERS if given(name)}
    remappings = [(name, given(name)) for name in ("depth", "points") if given(name)]
    remappings += [("camera_info", given("camera_info"))] if given("camera_info") else []
    remappings.append(("tracker/targets", given("targets")))
    files = [given("params_file")] if given("params_file") else []
    return [
        Node(
            package="siampolar_ros",
            executable="target_3d",
            name="target_3d",
            namespace=given("namespace"),
            parameters=[*files, *([parameters] if parameters else [])],
            remappings=remappings,
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in (
            ("depth", "", "topic of the depth images, aligned with the tracker's images"),
            ("points", "", "topic of the point cloud, with source:=cloud"),
            ("camera_info", "", "topic of the calibration; else the one next to the depth"),
            ("targets", "tracker/targets", "topic of the outlines"),
            ("namespace", "", "namespace of the node"),
            ("params_file", "", "parameters of the node"),
            ("source", "", "depth, cloud, or height alone"),
            ("known_height", "", "height of the target in metres, where there is no depth"),
            ("target_id", "", "target on ~/pose; 0: the one with the lowest id"),
            ("pose_frame", "", "frame of ~/pose, such as odom; else the camera's"),
            ("frame_prefix", "", "names of the tf frames without the id, such as target_"),
            ("use_sim_time", "", "take the time from /clock, as for a bag"),
        )
    ]
    environment = [SetEnvironmentVariable(*item) for item in launch_environment().items()]
    return LaunchDescription([*arguments, *environment, OpaqueFunction(function=_nodes)])
