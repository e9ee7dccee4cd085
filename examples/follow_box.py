"""Starts a target with one box and reads its outline on every image.

python3 examples/follow_box.py X Y WIDTH HEIGHT
"""

import contextlib
import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from siampolar_ros.msg import InitResult, InitTarget, Target, Targets


class FollowBox(Node):
    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        super().__init__("follow_box")
        self.create_subscription(Targets, "tracker/targets", self.on_targets, 10)
        self.create_subscription(InitResult, "tracker/init_result", self.on_init_result, 10)
        self.init = self.create_publisher(InitTarget, "tracker/init_target", 10)
        while not self.init.get_subscription_count():
            self.get_logger().info("waiting for the tracker", once=True)
            rclpy.spin_once(self, timeout_sec=0.1)
        self.init.publish(InitTarget(x=x, y=y, width=width, height=height))  # on the newest image

    def on_init_result(self, result: InitResult) -> None:
        self.get_logger().info(f"target {result.id}: {result.message or 'started'}")

    def on_targets(self, message: Targets) -> None:
        for target in message.targets:
            if target.state == Target.LOST:
                continue  # its box and outline are the last ones that were believed
            outline = np.reshape(target.polygon_xy, (-1, 2))  # pixels, clockwise
            middle = outline.mean(0) if len(outline) else (target.x, target.y)
            self.get_logger().info(f"target {target.id} is at {middle[0]:.0f}, {middle[1]:.0f} px")


rclpy.init()
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(FollowBox(*map(float, sys.argv[1:5])))
