"""A camera for tests: coloured discs on grey, published as a driver would.

    python camera_double.py [--size WxH] [--rate HZ] [--depth N] [--clock] --ros-args ...

It prints each image's stamp in nanoseconds. With --clock it publishes ``/clock`` as well and
stamps by it. A line of standard input is an offset in seconds of its clock from then on, another
size as ``WxH``, or ``stop``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from queue import Empty, Queue

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siampolar_ros.messages.conversions import message_from_bgr, stamp_from_ns

#: Colours that no blob engine mistakes for each other or for the background.
COLORS = [c for c in itertools.product((30, 130, 230), repeat=3) if c != (130, 130, 130)]

#: Discs in each direction.
GRID = 4


def disc_box(index: int, width: int, height: int) -> tuple[float, float, float, float]:
    """x, y, width and height of a disc."""
    cell_w, cell_h = width / GRID, height / GRID
    radius = round(min(cell_w, cell_h) / 5)
    x, y = round((index % GRID + 0.5) * cell_w), round((index // GRID + 0.5) * cell_h)
    return x - radius, y - radius, 2 * radius + 1, 2 * radius + 1


def scene(width: int, height: int) -> np.ndarray:
    image = np.full((height, width, 3), 100, np.uint8)
    for index in range(GRID * GRID):
        x, y, side, _ = disc_box(index, width, height)
        radius = int(side) // 2
        center = (int(x) + radius, int(y) + radius)
        cv2.circle(image, center, radius, COLORS[index], cv2.FILLED)
    return image


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--rate", type=float, default=15.0)
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--clock", action="store_true")
    arguments, _ = parser.parse_known_args()
    rclpy.init(args=sys.argv)
    node = Node("camera")
    publisher = node.create_publisher(Image, "image", QoSProfile(depth=arguments.depth))
    clock = node.create_publisher(Clock, "/clock", 10) if arguments.clock else None
    commands: Queue[str] = Queue()
    threading.Thread(target=lambda: [commands.put(line) for line in sys.stdin], daemon=True).start()
    image = scene(*map(int, arguments.size.split("x")))
    offset_ns, due, command = 0, time.monotonic(), ""
    while command != "stop":
        try:
            command = commands.get_nowait().strip()
        except Empty:
            command = ""
        if "x" in command:
            image = scene(*map(int, command.split("x")))
        elif command not in ("", "stop"):
            offset_ns = round(float(command) * 1e9)
        stamp_ns = time.time_ns() + offset_ns
        stamp = stamp_from_ns(stamp_ns)
        if clock is not None:
            clock.publish(Clock(clock=stamp))
        publisher.publish(message_from_bgr(image, Header(stamp=stamp, frame_id="camera")))
        print(stamp_ns, flush=True)
        # Never faster than a camera: when this process was held up, the rest is late as well.
        due = max(due + 1 / arguments.rate, time.monotonic() + 0.5 / arguments.rate)
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(1.0)  # the last ones may have to be sent again
    return 0


if __name__ == "__main__":
    sys.exit(main())
