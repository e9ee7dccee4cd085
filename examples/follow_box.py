"""Starts a target with one box and reads its outline on every image.

python3 examples/follow_box.py X Y WIDTH HEIGHT
"""

import sys
from contextlib import suppress

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from siampolar_ros.msg import InitResult, InitTarget, Target, Targets


class FollowBox(Node):
    def __init__(self, box: InitTarget) -> None:
        super().__init__("follow_box")
        self.log = self.get_logger()
        self.create_subscription(Targets, "tracker/targets", self.read, 10)
        self.create_subscription(InitResult, "tracker/init_result", self.answer, 10)
        init = self.create_publisher(InitTarget, "tracker/init_target", 10)
        while not init.get_subscription_count():
            self.log.info("waiting for the tracker", once=True)
            rclpy.spin_once(self, timeout_sec=0.1)
        init.publish(box)  # without a stamp: on the newest image

    def answer(self, result: InitResult) -> None:
        self.log.info(f"target {result.id}: {result.message or 'started'}")

    def read(self, message: Targets) -> None:
        for target in message.targets:
            outline = np.reshape(target.polygon_xy, (-1, 2))  # pixels, clockwise
            if target.state != Target.TRACKING or not len(outline):
                continue  # uncertain: it may be something else; lost: the outline is an old one
            x, y = outline.mean(0)
            self.log.info(f"target {target.id} is at {x:.0f}, {y:.0f} px")


rclpy.init()
x, y, width, height = map(float, sys.argv[1:5])
with suppress(KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C
    rclpy.spin(FollowBox(InitTarget(x=x, y=y, width=width, height=height)))
