"""From pixels to points in front of a camera, as its CameraInfo describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from siampolar_model.errors import SiampolarError

_BROWN = ("plumb_bob", "rational_polynomial")
_FISHEYE = ("equidistant", "fisheye")


class CameraError(SiampolarError, ValueError):
    """A CameraInfo that cannot be used; the message names what is wrong with it."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A calibrated camera.

    Attributes:
        size: width and height in pixels of the images it belongs to.
        binning_xy: sensor pixels per image pixel.
        offset_xy: sensor pixel of the image's corner.
        matrix: float64 (3, 3), K (or the left part of P), for sensor pixels.
        distortion: float64 (n,), OpenCV's order; empty if there is none.
        fisheye: whether ``distortion`` holds the four numbers of the equidistant model.
        rotation: float64 (3, 3), into the rectified camera.
    """

    size: tuple[int, int]
    binning_xy: tuple[int, int]
    offset_xy: tuple[int, int]
    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool
    rotation: np.ndarray

    @classmethod
    def from_info(cls, info: Any, rectified: bool) -> CameraModel:
        """The camera of a ``sensor_msgs/CameraInfo``.

        Args:
            rectified: the images have been rectified: they follow P and have no distortion.

        Raises:
            CameraError: no calibration, or a distortion model that is not known.
        """
        matrix = np.array(info.k, np.float64).reshape(3, 3)
        distortion = np.array(info.d, np.float64)
        rotation = np.array(info.r, np.float64).reshape(3, 3)
        if rectified:
            matrix = np.array(info.p, np.float64).reshape(3, 4)[:, :3]
            distortion, rotation = np.zeros(0), np.eye(3)
        elif not rotation.any():  # left empty by drivers of single cameras
            rotation = np.eye(3)
        name = "p" if rectified else "k"
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise CameraError(
                f"camera info has no calibration: the focal lengths in {name} are "
                f"{matrix[0, 0]:g} and {matrix[1, 1]:g}"
            )
        if not (np.isfinite(distortion).all() and np.isfinite(rotation).all()):
            raise CameraError("camera info has numbers in d or r that are not finite")
        if not distortion.any():
            distortion = np.zeros(0)
        fisheye = info.distortion_model in _FISHEYE
        counts = (4,) if fisheye else (4, 5, 8, 12, 14)
        if len(distortion) and not (fisheye or info.distortion_model in _BROWN):
            known = ", ".join(_BROWN + _FISHEYE)
            raise CameraError(
                f"camera info has the distortion model {info.distortion_model!r}; known: {known}"
            )
        if len(distortion) and len(distortion) not in counts:
            raise CameraError(
                f"camera info has {len(distortion)} numbers in d; {info.distortion_model} has "
                + " or ".join(map(str, counts))
            )
        binning = (max(1, int(info.binning_x)), max(1, int(info.binning_y)))
        # An empty region of interest means the whole sensor.
        sensor = (int(info.roi.width) or int(info.width), int(info.roi.height) or int(info.height))
        return cls(
            size=(sensor[0] // binning[0], sensor[1] // binning[1]),
            binning_xy=binning,
            offset_xy=(int(info.roi.x_offset), int(info.roi.y_offset)),
            matrix=matrix,
            distortion=distortion,
            fisheye=fisheye,
            rotation=rotation,
        )

    @property
    def metres_per_pixel(self) -> float:
        """Width of an image pixel in the middle of the image, at a depth of 1 m."""
        return self.binning_xy[0] / float(self.matrix[0, 0])

    def at_depth(self, points_xy: np.ndarray, depth_m: float) -> np.ndarray:
        """Where pixels lie on the plane at a depth in front of the camera.

        Args:
            points_xy: (N, 2), continuous pixels of the image (its corner is (0, 0)).
            depth_m: metres along the optical axis.

        Returns:
            float64 (N, 3), metres in the optical frame: x right, y down, z forward.
        """
        rays = self.rays(points_xy)
        return np.column_stack([rays, np.ones(len(rays))]) * depth_m

    def rays(self, points_xy: np.ndarray) -> np.ndarray:
        """Directions x / z and y / z of pixels, float64 (N, 2); arguments as in :meth:`at_depth`.

        NaN where strong distortion cannot be inverted.
        """
        if not len(points_xy):
            return np.zeros((0, 2))
        # OpenCV's calibration counts from the centre of the first pixel.
        sensor = np.asarray(points_xy, np.float64) * self.binning_xy + self.offset_xy - 0.5
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        distortion = self.distortion if len(self.distortion) else np.zeros(4)
        plane = undistort(sensor[:, None], self.matrix, distortion, R=self.rotation)
        directions: np.ndarray = plane.reshape(-1, 2)
        return directions

    def pixels(self, points_m: np.ndarray) -> np.ndarray:
        """Where points in front of the camera appear, in continuous pixels of the image.

        The inverse of :meth:`at_depth`.

        Args:
            points_m: (N, 3) in the optical frame, with z above 0.

        Returns:
            float64 (N, 2); also outside the image.
        """
        points = np.asarray(points_m, np.float64)
        if not len(points):
            return np.zeros((0, 2))
        points = points @ self.rotation  # the inverse of the rotation, on rows
        if not len(self.distortion):
            plane = points[:, :2] / points[:, 2:]
            sensor = plane @ self.matrix[:2, :2].transpose() + self.matrix[:2, 2]
        else:
            project = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
            none = np.zeros(3)
            sensor, _ = project(points[:, None], none, none, self.matrix, self.distortion)
        whole: np.ndarray = sensor.reshape(-1, 2) + 0.5 - self.offset_xy
        return whole / self.binning_xy
