"""One tracker for each camera of a list, in a namespace of its own.

    ros2 launch siampolar_ros cameras.launch.py cameras:=cameras.yaml

config/cameras.yaml shows what the list may hold.
"""

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription
from siampolar_ros.parameters.camera_list import read_cameras
from siampolar_ros.runtime.environment import share_file
from siampolar_ros.runtime.launching import check_params_file


def _trackers(context: LaunchContext) -> list:
    source = PythonLaunchDescriptionSource(str(share_file("launch/tracker.launch.py")))
    cameras = read_cameras(LaunchConfiguration("cameras").perform(context))
    for camera in cameras:  # before the first of them starts
        check_params_file(camera.get("params_file", ""))
    # In a scope each: arguments of one camera must not become those of the next.
    return [
        GroupAction([IncludeLaunchDescription(source, launch_arguments=camera.items())])
        for camera in cameras
    ]


def generate_launch_description() -> LaunchDescription:
    example = share_file("config/cameras.yaml")
    cameras = DeclareLaunchArgument(
        "cameras", description=f"YAML file with the list of cameras, as in {example}"
    )
    return LaunchDescription([cameras, OpaqueFunction(function=_trackers)])
