"""The node ``target_3d``: where the tracker's targets are in metres (docs/follow_in_3d.md).

What comes in: outlines (``~/targets`` of the tracker), camera info, and depth images or a point
cloud. Outlines and depth are matched by their stamps, targets are measured and followed by
target_3d/estimator.py, and target_3d/outputs.py publishes them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from siampolar_model.errors import FrameError
from siampolar_model.geometry.depth import DepthImage
from siampolar_model.io.messages import results_from_message

from .. import msg
from ..interfaces.camera_info_input import CameraInfoInput
from ..interfaces.status_publisher import PERIOD_S, StatusPublisher
from ..messages.camera_model import CameraError, CameraModel
from ..messages.conversions import stamp_from_ns, stamp_to_ns
from ..parameters.table import GIVEN, ParameterError, Parameters
from ..parameters.target_3d import Target3dSettings
from ..runtime.run import StartError, run_node
from ..runtime.timers import steady_timer
from ..target_3d import frames, messages
from ..target_3d.cloud import depth_from_cloud
from ..target_3d.depth_input import DepthInput
from ..target_3d.estimator import Depth, Estimator
from ..target_3d.frames import Transform, TransformError, Transforms
from ..target_3d.matching import Match, Matcher
from ..target_3d.outputs import Outputs3D
from ..target_3d.problems import Problems

#: Outlines whose wait is over are looked for this often, in seconds.
_LOOK_S = 0.05


class NoDepth(ValueError):
    """Why the depth of an image cannot be used; one line."""


class Target3dNode(Node):
    """Follows the tracker's targets in metres."""

    def __init__(self, **node: Any) -> None:
        super().__init__("target_3d", **GIVEN, **node)
        self._params = Parameters(self, Target3dSettings)
        try:
            settings = self._params.settings()
            self._transforms: Transforms | None = None
            if settings.pose_frame:
                self._transforms = Transforms(self)
        except (ParameterError, TransformError) as error:
            self.destroy_node()
            raise StartError(str(error)) from None
        self._matcher = Matcher()
        self._estimator = Estimator()
        self._camera_info: CameraInfo | None = None
        self._camera: tuple[CameraInfo, bool, CameraModel] | None = None
        self._outputs = Outputs3D(self, self._look_up)
        self._pose_problem = ""  # of the image that is being worked on
        log = self.get_logger()
        self._depth: DepthInput | None = None
        if settings.source != "height":
            self._depth = DepthInput(self, self._params.settings, self._on_depth)
        image = self._depth.topic if self._depth else self.resolve_topic_name("image")
        self._info = CameraInfoInput(self, image, self._on_camera_info)
        self._targets = self.create_subscription(
            msg.Targets, "tracker/targets", self._on_targets, QoSProfile(depth=10)
        )
        self._problems = Problems(
            self.resolve_topic_name("tracker/targets"),
            lambda text: log.warning(text),
            lambda text: log.info(text),
        )
        self._diagnostics = StatusPublisher(self)
        self._timers = [
            steady_timer(self, _LOOK_S, self._work),
            steady_timer(self, PERIOD_S, self._report),
        ]
        for available, what, package in (
            (frames.TF_AVAILABLE, "no tf frames", "tf2_msgs"),
            (messages.DETECTIONS_AVAILABLE, "no ~/detections", "vision_msgs"),
        ):
            if not available:
                log.info(f"{what}: the package {package} is not installed")
        source = self._depth.topic if self._depth else "known_height"
        log.info(f"distances from {source}, outlines from {self._problems.topic}")

    def close(self) -> None:
        """There is nothing to close that the node does not destroy itself."""

    # ---- what comes in ---------------------------------------------------------------------

    def _on_camera_info(self, info: CameraInfo) -> None:
        if self._depth is not None:
            self._depth.health.announced()
        self._camera_info = info

    def _on_depth(self, stamp_ns: int, header: Header, depth: DepthImage | PointCloud2) -> None:
        self._matcher.add_depth(stamp_ns, (header, depth))
        self._work()

    def _on_targets(self, message: msg.Targets) -> None:
        self._matcher.add_targets(stamp_to_ns(message.header.stamp), message)
        self._work()

    # ---- one image -------------------------------------------------------------------------

    def _work(self) -> None:
        settings = self._params.settings()
        wait_s = settings.depth_wait_s if self._depth is not None else 0.0
        for match in self._matcher.ready(settings.depth_tolerance_s, wait_s):
            self._follow(match, settings)

    def _follow(self, match: Match, settings: Target3dSettings) -> None:
        message: msg.Targets = match.targets
        size = (int(message.image_width), int(message.image_height))
        camera, depth, problem = None, None, ""
        try:
            camera = self._camera_of(size, settings.image_is_rectified)
            if self._depth is not None:
                depth = self._depth_of(match, message.header, size, camera, settings)
        except NoDepth as error:
            problem = str(error)
        targets = results_from_message(message)
        stamp_ns = stamp_to_ns(message.header.stamp)
        estimates = self._estimator.estimate(
            targets, stamp_ns, size, camera, depth, problem, settings
        )
        self._pose_problem = ""
        self._outputs.publish(
            estimates,
            message.header,
            stamp_from_ns(match.depth_stamp_ns if depth is not None else 0),
            depth.image if depth is not None else None,
            camera,
            settings,
        )
        self._problems.note((problem or self._pose_problem) if targets else "", estimates)

    def _camera_of(self, size: tuple[int, int], rectified: bool) -> CameraModel:
        """The camera of an image of this size.

        Raises:
            NoDepth: its calibration is missing or belongs to other images.
        """
        info = self._camera_info
        if info is None:
            raise NoDepth(f"no camera info on {self._info.topic} yet")
        made = self._camera
        if made is None or made[0] is not info or made[1] != rectified:
            try:
                made = self._camera = (info, rectified, CameraModel.from_info(info, rectified))
            except CameraError as error:
                raise NoDepth(str(error)) from None
        camera = made[2]
        if camera.size != size:
            raise NoDepth(
                f"camera info on {self._info.topic} is for {_px(camera.size)}, the outlines are "
                f"for {_px(size)}"
            )
        return camera

    def _depth_of(
        self,
        match: Match,
        header: Header,
        size: tuple[int, int],
        camera: CameraModel,
        settings: Target3dSettings,
    ) -> Depth:
        """The depth of an image.

        Raises:
            NoDepth: there is none, or it does not fit the image.
        """
        assert self._depth is not None
        if match.depth is None:
            raise NoDepth(f"{self._depth.topic}: {match.reason}")
        depth_header, depth = match.depth
        frame, other = header.frame_id, depth_header.frame_id
        if isinstance(depth, DepthImage):
            if depth.size != size:
                raise NoDepth(
                    f"depth on {self._depth.topic} is {_px(depth.size)}, the outlines are for "
                    f"{_px(size)}; it must be aligned with the image"
                )
            if frame and other and frame != other and not settings.depth_is_aligned:
                raise NoDepth(
                    f"depth on {self._depth.topic} is in the frame {other}, the outlines in "
                    f"{frame}: it is not aligned with the image (if it is, set depth_is_aligned)"
                )
            return Depth(depth)
        transform = None
        if frame and other and frame != other:
            transform = self._transform(frame, other, depth_header)
        try:
            return depth_from_cloud(
                depth, camera, transform, settings.min_depth, settings.max_depth
            )
        except FrameError as error:
            self._depth.refuse(str(error))
            raise NoDepth(str(error)) from None

    def _transform(self, frame: str, other: str, header: Header) -> Transform:
        """From another frame.

        Raises:
            NoDepth: it cannot be had.
        """
        try:
            return self._transform_to(frame, other, header)
        except TransformError as error:
            raise NoDepth(f"the cloud is in the frame {other}: {error}") from None

    def _look_up(self, frame: str, header: Header) -> Transform | None:
        """For ``~/pose``; None if there is no such transform."""
        try:
            return self._transform_to(frame, header.frame_id, header)
        except TransformError as error:
            self._pose_problem = f"nothing on ~/pose: {error}"
            return None

    def _transform_to(self, frame: str, other: str, header: Header) -> Transform:
        """From another frame at a header's time; listening to tf begins when it is needed."""
        if self._transforms is None:
            self._transforms = Transforms(self)
        return self._transforms.look_up(frame, other, header.stamp)

    # ---- diagnostics -----------------------------------------------------------------------

    def _report(self) -> None:
        statuses = [self._diagnostics.status("positions", self._problems.judge(), {})]
        if self._depth is not None:
            counts, seconds = self._depth.health.recent()
            figures = {
                "topic": self._depth.topic,
                "reliability": self._depth.reliability.name.lower(),
                "received, Hz": f"{counts.received / max(seconds, 1e-3):.1f}",
            }
            statuses.append(self._diagnostics.status("depth", self._depth.health.judge(), figures))
        self._diagnostics.publish(statuses)


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} px"


def main(args: Sequence[str] | None = None) -> int:
    return run_node("target_3d", Target3dNode, Target3dNode.close, args=args)


if __name__ == "__main__":
    sys.exit(main())
