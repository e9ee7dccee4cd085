"""One tracker on the network: its images, its targets, and requests to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from .. import msg
from ..interfaces.image_input import ImageInput
from ..messages.conversions import stamp_from_ns, stamp_to_ns
from ..parameters.settings import ImageSettings
from ..srv import Init, Remove
from . import protocol
from .camera_feed import CameraFeed, TargetList
from .protocol import Answer

#: What targets can be started by.
SHAPES = ("box", "polygon", "point")

#: Seconds until a service counts as silent. An init may wait for its image first.
_SILENT_S = 6.0


@dataclass(frozen=True)
class TrackerPlace:
    """Where a tracker is found.

    Attributes:
        name: of the node, with its namespace.
        targets_topic: where it publishes its targets.
        image_topic, transport: what it takes images from; empty while it takes none.
    """

    name: str
    targets_topic: str
    image_topic: str = ""
    transport: str = "raw"


def find_trackers(node: Node, wanted: tuple[str, ...] = ()) -> dict[str, TrackerPlace]:
    """The trackers on the network by name, told by what they publish and subscribe to.

    Args:
        wanted: names of the only ones to look for; empty: all.
    """
    found = {}
    for topic, types in node.get_topic_names_and_types():
        if "siampolar_ros/msg/Targets" not in types:
            continue
        for publisher in node.get_publishers_info_by_topic(topic):
            space = publisher.node_namespace.rstrip("/")
            name = f"{space}/{publisher.node_name}"
            if not wanted or name in wanted or name.lstrip("/") in wanted:
                image, transport = _image_of(node, publisher.node_name, space or "/")
                found[name] = TrackerPlace(name, topic, image, transport)
    return found


def _image_of(node: Node, name: str, namespace: str) -> tuple[str, str]:
    try:
        topics = node.get_subscriber_names_and_types_by_node(name, namespace)
    except Exception:  # rclpy has an exception of its own in every version: the node just ended
        return "", "raw"
    transports = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
    for topic, types in sorted(topics):
        for kind in types:
            if kind in transports:
                return topic, transports[kind]
    return "", "raw"


class TrackerLink:
    """Subscriptions and service clients; belongs to the executor's thread.

    Images are subscribed to only while somebody watches.

    Args:
        feed: gets images and targets.
    """

    def __init__(self, node: Node, place: TrackerPlace, feed: CameraFeed) -> None:
        self._node = node
        self.place = place
        self.feed = feed
        self._images: ImageInput | None = None
        self._watched = False
        self._waiting: list[tuple[float, Any, Any, Callable[[], None]]] = []
        self._targets = node.create_subscription(
            msg.Targets, place.targets_topic, self._on_targets, QoSProfile(depth=10)
        )
        client = node.create_client
        self._init = client(Init, f"{place.name}/init")
        self._remove = client(Remove, f"{place.name}/remove")
        self._reset = client(Trigger, f"{place.name}/reset")

    def close(self) -> None:
        self.watch(False)
        self._node.destroy_subscription(self._targets)
        for client in (self._init, self._remove, self._reset):
            self._node.destroy_client(client)

    def watch(self, wanted: bool) -> None:
        """Take images, or stop taking them."""
        self._watched = wanted
        if self._images is not None and not wanted:
            self._images.close()
            self._images = None
            self.feed.forget_images()
        if self._images is None and wanted and self.place.image_topic:
            settings = ImageSettings(image_transport=self.place.transport)
            self._images = ImageInput(
                self._node, lambda: settings, self.feed.add_image, topic=self.place.image_topic
            )

    def move(self, place: TrackerPlace) -> None:
        """The tracker takes its images from another topic now."""
        if place.image_topic and place != self.place:
            wanted = self._watched
            self.watch(False)
            self.place = place
            self.watch(wanted)

    def expire(self) -> None:
        """Answer requests whose service has been silent for too long; call about once a second."""
        now = time.monotonic()
        expired = [one for one in self._waiting if now - one[0] > _SILENT_S]
        self._waiting = [one for one in self._waiting if now - one[0] <= _SILENT_S]
        for _, client, future, give_up in expired:
            client.remove_pending_request(future)
            give_up()

    def start(self, command: protocol.Start, on_answer: Callable[[Answer], None]) -> None:
        """Start a target where it was drawn."""
        target = msg.InitTarget(id=command.id)
        target.header.stamp = stamp_from_ns(command.stamp_ns)
        target.image_width, target.image_height = command.size
        _fill(target, command)

        def say(response: Any) -> Answer:
            done = "is followed again" if command.id else "is followed"
            text = response.message or f"target {response.id} {done}"
            return Answer(response.success, response.id, text)

        self._call(self._init, Init.Request(target=target), say, command.id, on_answer)

    def remove(self, command: protocol.Remove, on_answer: Callable[[Answer], None]) -> None:
        """Stop following one target, or all."""

        def say(response: Any) -> Answer:
            text = response.message or f"target {command.id} removed"
            return Answer(response.success, command.id, text)

        if command.id:
            self._call(self._remove, Remove.Request(id=command.id), say, command.id, on_answer)
        else:
            self._call(self._reset, Trigger.Request(), say, 0, on_answer)

    def _call(
        self,
        client: Any,
        request: Any,
        say: Callable[[Any], Answer],
        id: int,
        on_answer: Callable[[Answer], None],
    ) -> None:
        if not client.service_is_ready():
            text = f"nobody serves {client.srv_name}; is {self.place.name} running?"
            on_answer(Answer(False, id, text))
            return
        future = client.call_async(request)

        def finish(future: Any) -> None:
            self._waiting = [one for one in self._waiting if one[2] is not future]
            try:
                answer = say(future.result())
            except Exception as error:
                answer = Answer(False, id, f"{client.srv_name} failed: {error}")
            on_answer(answer)

        def give_up() -> None:
            text = f"{client.srv_name} has not answered for {_SILENT_S:g} s"
            on_answer(Answer(False, id, text))

        self._waiting.append((time.monotonic(), client, future, give_up))
        future.add_done_callback(finish)

    def _on_targets(self, message: msg.Targets) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        latency_s = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e9
        targets = tuple(target_as_json(one) for one in message.targets)
        size = (message.image_width, message.image_height)
        self.feed.add_targets(TargetList(stamp_ns, size, targets), latency_s)


def _fill(target: Any, command: protocol.Start) -> None:
    """The shape of a request; a lasso also gives its box."""
    if command.shape == "point":
        target.kind = target.POINT
        target.x, target.y = command.values
        return
    if command.shape == "box":
        target.x, target.y, target.width, target.height = command.values
        return
    xs, ys = command.values[0::2], command.values[1::2]
    target.kind = target.POLYGON
    target.polygon_xy.extend(command.values)
    target.x, target.y = min(xs), min(ys)
    target.width, target.height = max(xs) - target.x, max(ys) - target.y


def target_as_json(message: msg.Target) -> dict[str, Any]:
    """A target in JSON types; places in tenths of a pixel."""
    box = (message.x, message.y, message.width, message.height)
    expected = (
        message.predicted_x, message.predicted_y, message.predicted_width, message.predicted_height,
    )  # fmt: skip
    return {
        "id": message.id,
        "state": message.state,
        "confidence": round(message.confidence, 3),
        "reason": message.reason,
        "box": [round(value, 1) for value in box],
        "polygon": [round(value, 1) for value in message.polygon_xy],
        "expected": [round(value, 1) for value in expected]
        if message.predicted_width > 0
        else None,
    }
