"""The node ``video_publisher``: a video file, a folder of images or a camera on ``image``.

With ``horizontal_fov`` also ``camera_info``, so that markers can be tried without a calibration.

Frame k of a video is stamped ``start + k / rate`` and published at that time, without jitter, as a
hardware-triggered camera would (after a pause, the time at which it continues is the new start);
images of a camera are stamped when they are read. The node ends with the video.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from siampolar_model.errors import SiampolarError, VideoError
from siampolar_model.io.video import VideoReader

from ..messages.conversions import message_from_bgr, stamp_from_ns
from ..parameters.nodes import VideoSettings
from ..parameters.table import GIVEN, Parameters
from ..runtime.run import GivenUp, StartError, one_line, run_node

#: The node warns once it is this many seconds behind its own schedule.
_LATE_S = 1.0

#: Seconds that the end waits for an image that is being read.
_JOIN_S = 5.0


def open_camera(settings: VideoSettings) -> Any:
    """The camera of these settings.

    Raises:
        VideoError: it cannot be opened or gives no image.
    """
    device = settings.device
    camera = cv2.VideoCapture(int(device) if device.isdigit() else device)
    if settings.rate:
        camera.set(cv2.CAP_PROP_FPS, settings.rate)
    if not camera.isOpened() or not camera.read()[0]:
        camera.release()
        raise VideoError(
            f"device {device!r} cannot be opened as a camera; give its number, such as 0, or its "
            "path, such as /dev/video0"
        )
    return camera


def ideal_camera_info(width: int, height: int, horizontal_fov: float) -> CameraInfo:
    """Calibration of a camera without distortion, with an angle of view in degrees."""
    focal_px = width / 2 / math.tan(math.radians(horizontal_fov) / 2)
    # From the middle of the image, counted from the centre of its first pixel.
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal_px, 0.0, cx, 0.0, focal_px, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal_px, 0.0, cx, 0.0, 0.0, focal_px, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class VideoPublisherNode(Node):
    """Publishes from a thread of its own; ``done`` is set after the last image.

    An error of that thread ends the process with status 1 (see :class:`GivenUp`).
    """

    def __init__(self, done: threading.Event) -> None:
        super().__init__("video_publisher", **GIVEN)
        self._done = done
        self._stopping = threading.Event()
        self._going = threading.Event()
        self._reader: VideoReader | None = None
        self._camera: Any = None
        self._problem = ""
        self._failed = self.create_guard_condition(self._give_up)
        try:
            self._params = Parameters(self, VideoSettings, self._on_parameters)
            self._settings = self._params.settings()
            self._on_parameters()
            if self._settings.device:
                self._camera = open_camera(self._settings)
            else:
                self._reader = self._open_video()
        except SiampolarError as error:
            self.destroy_node()
            raise StartError(str(error)) from None
        self._publisher = self.create_publisher(Image, "image", QoSProfile(depth=10))
        self._infos = self.create_publisher(CameraInfo, "camera_info", QoSProfile(depth=10))
        self._thread = threading.Thread(target=self._run, name="video", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop publishing.

        A camera that never answers is left open until the process ends: only the thread that reads
        from it may release it.
        """
        self._stopping.set()
        self._going.set()
        self._thread.join(timeout=_JOIN_S)

    def _on_parameters(self) -> None:
        if self._params.settings().paused:
            self._going.clear()
        else:
            self._going.set()

    def _open_video(self) -> VideoReader:
        settings = self._settings
        rate = {"folder_fps": settings.rate} if settings.rate else {}
        return VideoReader(
            settings.path, first=settings.first_frame, last=settings.last_frame, **rate
        )

    def _run(self) -> None:
        try:
            if self._reader is not None:
                count = self._play_video(self._reader)
            else:
                count = self._play_camera(self._camera)
            if not self._stopping.is_set():
                # The last images may still be on their way to a slow subscriber.
                self._publisher.wait_for_all_acked(Duration(seconds=5))
                self.get_logger().info(f"published {count} images; the video has ended")
            self._done.set()
        except Exception as error:
            self._problem = f"stopped: {one_line(error)}"
            self._failed.trigger()
        finally:
            if self._reader is not None:
                self._reader.close()
            else:
                self._camera.release()

    def _give_up(self) -> None:
        raise GivenUp(self._problem)

    def _play_video(self, reader: VideoReader) -> int:
        if not self._wait_for_subscribers():
            return 0
        period_ns = round(1e9 / (self._settings.rate or reader.fps))
        start, start_ns = time.monotonic(), self.get_clock().now().nanoseconds
        step = count = 0
        said_late = False
        for count, image in enumerate(self._images(reader), 1):
            if count > 1 and not self._going.is_set():
                self._going.wait()
                start, start_ns, step = time.monotonic(), self.get_clock().now().nanoseconds, 0
            late_s = time.monotonic() - start - step * period_ns / 1e9
            if self._stopping.wait(max(0.0, -late_s)):
                return count - 1
            if late_s > _LATE_S and not said_late:
                said_late = True
                self.get_logger().warning(
                    f"cannot keep up with {1e9 / period_ns:g} images per second; lower the rate"
                )
            self._publish(image, start_ns + step * period_ns)
            step += 1
        return count

    def _images(self, reader: VideoReader) -> Iterator[np.ndarray]:
        while True:
            told = 0
            for frame in reader:
                told = self._tell_notices(reader, told)
                if self._stopping.is_set():
                    return
                yield frame.image
            self._tell_notices(reader, told)
            if not self._settings.loop:
                return
            reader.close()
            reader = self._reader = self._open_video()

    def _tell_notices(self, reader: VideoReader, told: int) -> int:
        """Log the notices from number ``told`` on; how many there are now."""
        for notice in reader.notices[told:]:
            self.get_logger().warning(notice)
        return len(reader.notices)

    def _play_camera(self, camera: Any) -> int:
        count = 0
        while not self._stopping.is_set():
            read, image = camera.read()
            if self._stopping.is_set():
                break  # the node may be gone by now
            if not read:
                raise VideoError(f"device {self._settings.device!r} gives no more images")
            self._publish(image, self.get_clock().now().nanoseconds)
            count += 1
        return count

    def _publish(self, image: np.ndarray, stamp_ns: int) -> None:
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=self._settings.frame_id)
        if self._settings.horizontal_fov:
            info = ideal_camera_info(image.shape[1], image.shape[0], self._settings.horizontal_fov)
            info.header = header
            self._infos.publish(info)
        self._publisher.publish(message_from_bgr(image, header))

    def _wait_for_subscribers(self) -> bool:
        """False if the node is stopped while waiting."""
        wanted = self._settings.wait_for_subscribers
        if self._publisher.get_subscription_count() < wanted:
            self.get_logger().info(f"waiting for {wanted} subscriber(s) of the images")
        while self._publisher.get_subscription_count() < wanted:
            if self._stopping.wait(0.05):
                return False
        return True


def main(args: Sequence[str] | None = None) -> int:
    done = threading.Event()
    return run_node(
        "video_publisher",
        lambda: VideoPublisherNode(done),
        VideoPublisherNode.close,
        done,
        args,
    )


if __name__ == "__main__":
    sys.exit(main())
