"""Keeps a robot facing its target at a distance: bearing and distance become a velocity.

python3 examples/follow/visual_servoing.py --ros-args -p distance:=1.5

The camera looks ahead, along the robot's x. The robot stops at once where the target is not
tracked, and half a second after the last message. Nothing here avoids obstacles.
"""

import math
import time
from contextlib import suppress

import rclpy
from geometry_msgs.msg import Twist
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from siampolar_ros.msg import Target3D, Targets3D

# Target 0: the lowest id. m, m/s, rad/s, and seconds without a message until the robot stops.
PARAMETERS = {
    "target_id": 0, "distance": 1.5, "max_speed": 0.6, "max_turn": 1.0, "silence": 0.5
}  # fmt: skip


class VisualServoing(Node):
    def __init__(self, **node) -> None:
        super().__init__("visual_servoing", **node)
        for name, value in PARAMETERS.items():
            self.declare_parameter(name, value)
        self.heard_s, self.moving = 0.0, False
        self.commands = self.create_publisher(Twist, "cmd_vel", 10)
        self.create_subscription(Targets3D, "target_3d/targets", self.follow, 10)
        self.create_timer(0.1, self.watch)

    def value(self, name: str) -> float:
        return self.get_parameter(name).value

    def follow(self, message: Targets3D) -> None:
        self.heard_s = time.monotonic()
        wanted, distance, max_speed, max_turn, _ = map(self.value, PARAMETERS)
        wanted = wanted or min((one.id for one in message.targets), default=0)
        target = next((one for one in message.targets if one.id == wanted), None)
        if target is None or target.source == Target3D.NONE:  # gone, not tracked, or no depth
            return self.drive(0.0, 0.0)
        x, z = target.position.x, target.position.z  # to the right and ahead, m
        bearing, ahead = math.atan2(-x, z), math.hypot(x, z) - distance
        # Where the target is far to one side the robot turns first.
        speed = ahead * max(0.0, math.cos(2 * bearing)) if abs(ahead) > 0.05 else 0.0
        turn = 1.5 * bearing
        self.drive(max(-max_speed, min(max_speed, speed)), max(-max_turn, min(max_turn, turn)))

    def watch(self) -> None:
        if self.moving and time.monotonic() - self.heard_s > self.value("silence"):
            self.get_logger().warning("no targets any more: the robot stops")
            self.drive(0.0, 0.0)

    def drive(self, speed: float, turn: float) -> None:
        self.moving = bool(speed or turn)
        command = Twist()
        command.linear.x, command.angular.z = speed, turn
        self.commands.publish(command)


if __name__ == "__main__":
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C
        rclpy.spin(VisualServoing())
