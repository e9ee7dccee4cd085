"""The tracker, its targets in metres, and Nav2's following server after the first of them:

    ros2 launch examples/follow/follow.launch.py image:=/camera/color/image_raw \
        depth:=/camera/aligned_depth_to_color/image_raw

Needs the package opennav_following (Nav2's following server), odometry, and tf from the robot to
the camera. The server starts to follow once a target is chosen and go:=true is given, or by:

    ros2 action send_goal /follow_object nav2_msgs/action/FollowObject \
        "{pose_topic: /target_3d/pose}"
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from siampolar_ros.runtime.launching import check_package

HERE = Path(__file__).resolve().parent
NEEDED = ("opennav_following", "nav2_lifecycle_manager")


def check_packages(context: LaunchContext) -> list:
    """Before anything is started: launch does not end what it has started before an error."""
    for name in NEEDED:
        check_package(name, "follow.launch.py")
    return []


def included(name: str, **arguments: object) -> IncludeLaunchDescription:
    path = Path(get_package_share_directory("siampolar_ros")) / "launch" / name
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=arguments.items()
    )


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument("image", description="topic of the camera's images"),
        DeclareLaunchArgument("depth", description="topic of the depth images, aligned with them"),
        DeclareLaunchArgument("odom_frame", default_value="odom", description="a frame that stays"),
        DeclareLaunchArgument("by", default_value="pose", choices=["pose", "frame"],
                              description="follow the topic of the first target, or a tf frame"),
        DeclareLaunchArgument("target_id", default_value="1", description="with by:=frame"),
        DeclareLaunchArgument("go", default_value="false", description="start to follow now"),
    ]  # fmt: skip
    tracker = included("tracker.launch.py", image=LaunchConfiguration("image"))
    target_3d = included(
        "target_3d.launch.py",
        depth=LaunchConfiguration("depth"),
        pose_frame=LaunchConfiguration("odom_frame"),
    )
    server = Node(
        package="opennav_following",
        executable="opennav_following",
        name="following_server",
        parameters=[
            str(HERE / "following_server.yaml"),
            {"fixed_frame": LaunchConfiguration("odom_frame")},
        ],
        output="screen",
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_following",
        parameters=[{"autostart": True, "node_names": ["following_server"]}],
        output="screen",
    )
    goal = PythonExpression(
        [
            "'{pose_topic: /target_3d/pose}' if '", LaunchConfiguration("by"),
            "' == 'pose' else '{tracked_frame: target_", LaunchConfiguration("target_id"), "}'",
        ]
    )  # fmt: skip
    follow = ExecuteProcess(
        cmd=[
            "ros2",
            "action",
            "send_goal",
            "/follow_object",
            "nav2_msgs/action/FollowObject",
            goal,
        ],
        condition=IfCondition(LaunchConfiguration("go")),
        output="screen",
    )
    return LaunchDescription(
        [*arguments, OpaqueFunction(function=check_packages), tracker, target_3d, server, manager,
         follow]
    )  # fmt: skip
