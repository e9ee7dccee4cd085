"""How much of a core the node target_3d takes: depth of 640x480 at 30 Hz with four targets.

    scripts/with_env python scripts/target_3d_load.py [--seconds 30]

Starts the node in a process of its own, publishes depth, calibration and outlines as camera and
tracker would, and prints processor time, rate, and the time from the outlines to the result. Fails
if the node takes more of a core than it may.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))

from siampolar_ros.runtime.environment import dds_environment, local_environment  # noqa: E402

os.environ.update({**dds_environment(), **local_environment()})

import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from siampolar_ros import msg  # noqa: E402
from siampolar_ros.messages.conversions import stamp_from_ns, stamp_to_ns  # noqa: E402
from support.depth_scene import HEIGHT, WIDTH, render, stereo  # noqa: E402
from support.target_3d_rig import OPTICAL, camera_info, depth_message, target  # noqa: E402

RATE = 30.0

#: What the node may take, as a share of a core.
MAX_CPU = 0.20


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    # Four targets of 130x160 px, from 1.5 m to 2.4 m away.
    places = [(-0.6, -0.3, 1.5), (0.5, -0.3, 1.8), (-0.7, 0.4, 2.1), (0.7, 0.45, 2.4)]
    scenes = [render(np.array(p), (0.25 * p[2], 0.3 * p[2]), 4.0) for p in places]
    depth_m = np.minimum.reduce([scene.depth_m for scene in scenes])
    noisy = stereo(depth_m, np.random.default_rng(1))
    depth = depth_message((noisy.clip(0) * 1000).astype(np.uint16), 0)
    targets = [target(scene, id) for id, scene in enumerate(scenes, 1)]

    rclpy.init()
    node = Node("load", namespace=f"/load_{os.getpid()}")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    sent_s: dict[int, float] = {}
    waits_s: list[float] = []
    placed: list[int] = []

    def on_result(message: msg.Targets3D) -> None:
        waits_s.append(time.perf_counter() - sent_s[stamp_to_ns(message.header.stamp)])
        placed.append(sum(one.source == msg.Target3D.DEPTH for one in message.targets))

    node.create_subscription(msg.Targets3D, "target_3d/targets", on_result, 10)
    depths = node.create_publisher(Image, "depth", 10)
    infos = node.create_publisher(CameraInfo, "camera_info", 10)
    outlines = node.create_publisher(msg.Targets, "tracker/targets", 10)
    command = [sys.executable, "-m", "siampolar_ros.nodes.target_3d_node", "--ros-args"]
    child = subprocess.Popen([*command, "-r", f"__ns:={node.get_namespace()}"])
    try:
        while not (outlines.get_subscription_count() and depths.get_subscription_count()):
            executor.spin_once(timeout_sec=0.1)
        for _ in range(30):  # everybody has found everybody, and what is loaded late is loaded
            executor.spin_once(timeout_sec=0.1)
        used_s = time_used(child.pid)
        began = due = time.perf_counter()
        while due - began < seconds:
            stamp_ns = time.time_ns()
            header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=OPTICAL)
            depth.header = header
            depths.publish(depth)
            infos.publish(camera_info())
            sent_s[stamp_ns] = time.perf_counter()
            outlines.publish(
                msg.Targets(header=header, image_width=WIDTH, image_height=HEIGHT, targets=targets)
            )
            due += 1 / RATE
            while (left := due - time.perf_counter()) > 0:
                executor.spin_once(timeout_sec=left)
        elapsed_s = time.perf_counter() - began
        used_s = time_used(child.pid) - used_s
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(20)
        rclpy.shutdown()
    share = used_s / elapsed_s
    print(
        f"{WIDTH}x{HEIGHT} depth, {len(waits_s) / elapsed_s:.1f} results per second, "
        f"{np.mean(placed):.2f} of 4 targets placed: {100 * share:.1f} % of a core "
        f"(at most {100 * MAX_CPU:.0f} %: {'ok' if share <= MAX_CPU else 'TOO MUCH'}), "
        f"result after {1e3 * np.median(waits_s):.1f} ms (p95 "
        f"{1e3 * np.percentile(waits_s, 95):.1f} ms)"
    )
    return int(share > MAX_CPU)


def time_used(pid: int) -> float:
    """Processor seconds of a process so far, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
