"""An operator for tests: says what the tracker publishes, does what standard input says.

    python operator_double.py --ros-args ...

Every message becomes a line of JSON on standard output. A line of input is a JSON object:
``{"init": [x, y, width, height], "id": 0, "stamp_ns": 0, "times": 1, "rate": 100}``,
``{"call": "reset"}``, ``{"garbage": 100}`` (100 messages of random bytes, as images and as
inits), or ``{"end": true}``.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from queue import Empty, Queue
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from siampolar_ros.messages.conversions import stamp_from_ns, stamp_to_ns
from siampolar_ros.msg import InitResult, InitTarget, Targets

_DEEP = QoSProfile(depth=5000)


class Operator(Node):
    def __init__(self) -> None:
        super().__init__("operator")
        self.create_subscription(Targets, "tracker/targets", self._on_targets, _DEEP)
        self.create_subscription(InitResult, "tracker/init_result", self._on_answer, _DEEP)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._inits = self.create_publisher(InitTarget, "tracker/init_target", _DEEP)
        self._images = self.create_publisher(Image, "image", 10)
        self._reset = self.create_client(Trigger, "tracker/reset")

    def obey(self, command: dict[str, Any]) -> None:
        if command.get("call") == "reset":
            self._reset.call_async(Trigger.Request())
            return
        if "garbage" in command:
            self._litter(command["garbage"])
            return
        x, y, width, height = map(float, command["init"])
        for _ in range(command.get("times", 1)):
            message = InitTarget(x=x, y=y, width=width, height=height, id=command.get("id", 0))
            message.header.stamp = stamp_from_ns(command.get("stamp_ns", 0))
            self._inits.publish(message)
            if "rate" in command:
                time.sleep(1 / command["rate"])

    def _litter(self, times: int) -> None:
        """Serialised messages, cut off, altered, with lengths that lie; or nothing of the kind."""
        chance = random.Random(3)
        image = Image(width=4, height=4, encoding="bgr8", step=12, data=bytes(48))
        wholes = [(self._images, serialize_message(image))]
        wholes += [(self._inits, serialize_message(InitTarget(x=1.0)))]
        for _ in range(times):
            for publisher, whole in wholes:
                altered = bytearray(whole)
                for _ in range(chance.randrange(8)):
                    altered[chance.randrange(4, len(whole))] = chance.randrange(256)
                length = chance.choice((2**31, 2**32 - 1, 10**9)).to_bytes(4, "little")
                at = chance.randrange(4, len(whole) - 4)
                data = chance.choice(
                    [
                        whole[: chance.randrange(len(whole))],
                        bytes(altered),
                        whole[:at] + length + whole[at + 4 :],
                        whole[:4] + chance.randbytes(chance.randrange(200)),
                    ]
                )
                publisher.publish(data)
            time.sleep(0.01)
        say(littered=times)

    def _on_targets(self, message: Targets) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        states = {target.id: target.state for target in message.targets}
        say(targets=states, stamp_ns=stamp_ns, size=[message.image_width, message.image_height])

    def _on_answer(self, message: InitResult) -> None:
        say(success=message.success, id=message.id, message=message.message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.get_namespace().strip("/")):
                level = int.from_bytes(status.level, "little")
                say(status=status.name, level=level, message=status.message)


def say(**event: Any) -> None:
    print(json.dumps({"at_s": time.time(), **event}), flush=True)


def main() -> int:
    rclpy.init(args=sys.argv)
    operator = Operator()
    executor = SingleThreadedExecutor()
    executor.add_node(operator)
    commands: Queue[str] = Queue()
    threading.Thread(target=lambda: [commands.put(line) for line in sys.stdin], daemon=True).start()
    while True:
        executor.spin_once(timeout_sec=0.02)
        try:
            command = json.loads(commands.get_nowait())
        except Empty:
            continue
        if "end" in command:
            return 0
        # In a thread: a flood must not keep this one from listening.
        threading.Thread(target=operator.obey, args=(command,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
