"""A video through the tracker, in a browser: ros2 launch siampolar_ros demo.launch.py

Plays the demo's cyclist, or video:=PATH, again and again until Ctrl-C, and serves the operator
console: open the address that it prints, and drag a box around anything. On the first frame a
target is started: the cyclist, or box:=x,y,w,h. headless:=true plays once, without the console.
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from siampolar_ros.demo.advice import CYCLIST, OWN
from siampolar_ros.demo.default_clip import default_clip, moving_clip
from siampolar_ros.runtime.environment import share_file
from siampolar_ros.runtime.launching import check_module, check_package, launch_environment


def _video(context: LaunchContext) -> list:
    """The video publisher and what starts the target, from the arguments."""
    video, box, select, headless, port, namespace = (
        LaunchConfiguration(name).perform(context)
        for name in ("video", "box", "select", "headless", "port", "namespace")
    )
    live = headless != "true"
    if live:
        check_module("aiohttp", "the console (or give headless:=true)")
    if LaunchConfiguration("rviz").perform(context) == "true":
        for package in ("rviz2", "tf2_ros"):
            check_package(package, "rviz:=true")
    by_hand = select.lower() in ("true", "1") or (live and bool(video) and not box)
    # An invented calibration, so that there are markers to look at.
    parameters: dict[str, object] = {"path": video, "loop": by_hand or live, "horizontal_fov": 60.0}
    if video and not Path(video).exists():
        raise RuntimeError(f"video:={video}: there is no such file or folder")
    if not video:
        clip = moving_clip() if live else default_clip()
        parameters |= {
            "path": str(clip.path), "first_frame": clip.first, "last_frame": clip.last,
            "rate": clip.rate,
        }  # fmt: skip
        box = box or ",".join(f"{value:g}" for value in clip.box_xywh)
    if not by_hand:
        if not box:
            raise RuntimeError("headless:=true needs box:=x,y,w,h on the first frame")
        parameters |= {"paused": True, "wait_for_subscribers": 2}
    publisher = Node(
        package="siampolar_ros",
        executable="video_publisher",
        name="video_publisher",
        namespace=namespace,
        parameters=[parameters],
        output="screen",
    )
    console = Node(
        package="siampolar_ros",
        executable="console",
        name="console",
        namespace=namespace,
        parameters=[{"port": int(port)}],
        output="screen",
    )
    advice = LogInfo(msg=f"Open the address that the console prints. {OWN if video else CYCLIST}")
    actions: list = [
        *([advice, console] if live else []),
        publisher,
        RegisterEventHandler(
            OnProcessExit(target_action=publisher, on_exit=[EmitEvent(event=Shutdown())])
        ),
    ]
    if not by_hand:
        # Without a target the video would never start to move.
        end = [EmitEvent(event=Shutdown(reason="the target could not be started"))]
        first_target = Node(
            package="siampolar_ros",
            executable="first_target",
            name="first_target",
            namespace=namespace,
            parameters=[{"box": box}],
            output="screen",
            on_exit=lambda event, _: end if event.returncode else None,
        )
        actions.append(first_target)
    return actions


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument("video", default_value="", description="video file or folder"),
        DeclareLaunchArgument("box", default_value="", description="x,y,w,h on the first frame"),
        DeclareLaunchArgument("select", default_value="false", description="drag it in a window"),
        DeclareLaunchArgument(
            "headless",
            default_value="false",
            choices=["true", "false"],
            description="play once, without the console",
        ),
        DeclareLaunchArgument("port", default_value="8090", description="of the console's page"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes"),
        DeclareLaunchArgument("rviz", default_value="false", description="show it in RViz"),
        DeclareLaunchArgument("engine", default_value="", description="runtime of the network"),
        DeclareLaunchArgument("model", default_value="", description="weights or model folder"),
    ]
    environment = [SetEnvironmentVariable(*item) for item in launch_environment().items()]
    tracker = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_file("launch/tracker.launch.py"))),
        launch_arguments={
            name: LaunchConfiguration(name)
            for name in ("namespace", "select", "rviz", "engine", "model")
        }.items(),
    )
    # RViz shows nothing in a frame that no transform names.
    frame = Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=["--frame-id", "map", "--child-frame-id", "camera"],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    # The tracker comes last: launch does not end processes that it started before an error.
    return LaunchDescription(
        [*arguments, *environment, OpaqueFunction(function=_video), tracker, frame]
    )
