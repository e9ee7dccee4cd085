"""The node target_3d in this process, fed with rendered scenes, and what it published."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from siampolar_ros import msg
from siampolar_ros.messages.conversions import stamp_from_ns, stamp_to_ns
from siampolar_ros.nodes.target_3d_node import Target3dNode
from siampolar_ros.runtime.environment import dds_environment, local_environment
from support.depth_scene import CAMERA, HEIGHT, WIDTH, Scene

OPTICAL = "camera_optical"
TRACKING, UNCERTAIN, LOST = 1, 2, 3


def camera_info(width: int = WIDTH, height: int = HEIGHT) -> CameraInfo:
    """Of the scenes' camera."""
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.header.frame_id = OPTICAL
    # OpenCV counts from the centre of the first pixel.
    info.k = [CAMERA.fx, 0.0, CAMERA.cx - 0.5, 0.0, CAMERA.fy, CAMERA.cy - 0.5, 0.0, 0.0, 1.0]
    info.r = np.eye(3).ravel()
    return info


def depth_message(values: np.ndarray, stamp_ns: int, frame: str = OPTICAL, **fields: Any) -> Image:
    """uint16 millimetres or float32 metres (H, W)."""
    encoding = "16UC1" if values.dtype == np.uint16 else "32FC1"
    height, width = values.shape
    header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame)
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = values.strides[0]
    message.data.frombytes(values.tobytes())
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def target(scene: Scene, id: int = 1, state: int = TRACKING, outline: Any = None) -> msg.Target:
    outline = scene.outline_xy if outline is None else outline
    x, y, width, height = scene.box.as_xywh()
    return msg.Target(
        id=id, state=state, score=0.9, quality=0.8, x=x, y=y, width=width, height=height,
        polygon_xy=np.asarray(outline, np.float32).ravel(),
    )  # fmt: skip


class Rig3D:
    """A node, a node that plays camera and tracker, and what came out."""

    def __init__(self, **parameters: Any) -> None:
        namespace = f"/rig3d_{os.getpid()}"
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.test = Node("test", namespace=namespace)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.test)
        self.targets: list[msg.Targets3D] = []
        self.poses: list[PoseStamped] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.received: dict[str, list[Any]] = {}
        for kind, topic, into in (
            (msg.Targets3D, "target_3d/targets", self.targets),
            (PoseStamped, "target_3d/pose", self.poses),
            (DiagnosticArray, "/diagnostics", self.diagnostics),
        ):
            self.test.create_subscription(kind, topic, into.append, 50)
        self.depth = self.test.create_publisher(Image, "depth", 10)
        self.points = self.test.create_publisher(PointCloud2, "points", 10)
        self.info = self.test.create_publisher(CameraInfo, "camera_info", 10)
        self.outlines = self.test.create_publisher(msg.Targets, "tracker/targets", 10)
        self.node = Target3dNode(namespace=namespace, parameter_overrides=overrides)
        self.executor.add_node(self.node)
        source = parameters.get("source", "depth")
        needed = [self.info, self.outlines]
        needed += {"depth": [self.depth], "cloud": [self.points], "height": []}[source]
        self.wait(lambda: all(one.get_subscription_count() for one in needed))
        self.wait(lambda: self.test.count_publishers("target_3d/targets"))
        self.spin(0.1)

    def listen(self, kind: Any, topic: str) -> list[Any]:
        """Everything on another topic from now on."""
        got: list[Any] = []
        self.test.create_subscription(kind, topic, got.append, 50)
        self.wait(lambda: self.test.count_publishers(topic))
        self.spin(0.2)
        return got

    def listen_to_markers(self) -> list[MarkerArray]:
        return self.listen(MarkerArray, "target_3d/markers")

    def calibrate(self, info: CameraInfo | None = None) -> None:
        self.info.publish(info or camera_info())
        self.wait(lambda: self.node._camera_info is not None)

    def image(
        self, stamp_ns: int, targets: list[msg.Target], depth: Any = None, **fields: Any
    ) -> msg.Targets3D:
        """Publish one image's depth and targets, and wait for the result."""
        count = len(self.targets)
        if isinstance(depth, PointCloud2):
            self.points.publish(depth)
        elif depth is not None:
            self.depth.publish(depth)
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=OPTICAL)
        given = {"image_width": WIDTH, "image_height": HEIGHT, **fields}
        self.outlines.publish(msg.Targets(header=header, targets=targets, **given))
        self.wait(lambda: len(self.targets) > count)
        assert stamp_to_ns(self.targets[-1].header.stamp) == stamp_ns
        return self.targets[-1]

    def wait(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, 0.02))

    def status(self, name: str) -> tuple[int, str]:
        """Level and message of the newest diagnostics of the node."""
        self.diagnostics.clear()
        # Other nodes of the machine publish on this topic as well.
        wanted = f"{self.node.get_fully_qualified_name().lstrip('/')}: {name}"

        def found() -> list[DiagnosticStatus]:
            every = (one for message in self.diagnostics for one in message.status)
            return [one for one in every if one.name == wanted]

        self.wait(found)
        newest = found()[-1]
        return int.from_bytes(newest.level, "little"), newest.message

    def close(self) -> None:
        self.executor.shutdown()
        self.node.close()
        self.node.destroy_node()
        self.test.destroy_node()


@contextmanager
def rig_3d(monkeypatch: Any, **parameters: Any) -> Iterator[Rig3D]:
    """A rig in a ROS context of its own."""
    for name, value in {**dds_environment(), **local_environment()}.items():
        monkeypatch.setenv(name, value)
    rclpy.init(args=[])
    made = None
    try:
        made = Rig3D(**parameters)
        yield made
    finally:
        if made is not None:
            made.close()
            vars(made).clear()
        rclpy.shutdown()
        gc.collect()  # see node_rig.py
