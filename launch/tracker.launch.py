"""The tracker on the images of a camera.

    ros2 launch siampolar_ros tracker.launch.py image:=/camera/image_raw

Parameters come from a file (config/tracker.yaml unless given) and their defaults from the node.
"""

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from siampolar_ros.environment import dds_environment, share_file


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument("image", default_value="image", description="topic of the images"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes"),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(share_file("config/tracker.yaml")),
            description="parameters of the tracker",
        ),
        DeclareLaunchArgument(
            "select", default_value="false", description="open a window to drag a box in"
        ),
        DeclareLaunchArgument(
            "rviz", default_value="false", description="show the overlay in RViz"
        ),
    ]
    environment = [SetEnvironmentVariable(*item) for item in dds_environment().items()]
    namespace, image = LaunchConfiguration("namespace"), LaunchConfiguration("image")
    tracker = Node(
        package="siampolar_ros",
        executable="tracker",
        name="tracker",
        namespace=namespace,
        parameters=[LaunchConfiguration("params_file")],
        remappings=[("image", image)],
        output="screen",
    )
    select = Node(
        package="siampolar_ros",
        executable="select_target",
        name="select_target",
        namespace=namespace,
        remappings=[("image", image)],
        output="screen",
        condition=IfCondition(LaunchConfiguration("select")),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(share_file("config/tracker.rviz"))],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, *environment, tracker, select, rviz])
