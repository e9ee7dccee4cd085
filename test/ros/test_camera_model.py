"""Pixels to metres: back through OpenCV's projection, with distortion, binning and regions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from siampolar_ros.messages.camera_model import CameraError, CameraModel

K = np.array([[500.0, 0, 322.5], [0, 510.0, 238.0], [0, 0, 1]])
POINTS = np.array([[0, 0], [640, 0], [320.25, 240], [600, 470], [35.5, 401]])


def info(**fields: Any) -> SimpleNamespace:
    """The fields of a sensor_msgs/CameraInfo."""
    values: dict[str, Any] = {
        "width": 640, "height": 480, "distortion_model": "plumb_bob", "d": [], "k": list(K.ravel()),
        "r": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        "p": [400.0, 0, 300, -40, 0, 420, 250, 0, 0, 0, 1, 0], "binning_x": 0, "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **fields})


def project(points: np.ndarray, d: list[float], fisheye: bool = False) -> np.ndarray:
    """Continuous pixels of points in the optical frame."""
    if fisheye:
        pixels, _ = cv2.fisheye.projectPoints(
            points[:, None], np.zeros(3), np.zeros(3), K, np.array(d)
        )
    else:
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(d))
    return pixels.reshape(-1, 2) + 0.5


@pytest.mark.parametrize(
    "model, d",
    [
        ("plumb_bob", []),
        ("plumb_bob", [-0.1, 0.02, 0.001, -0.002, 0.003]),
        ("rational_polynomial", [0.1, -0.02, 0.001, 0.001, 0.01, 0.05, 0.01, 0.001]),
        ("equidistant", [-0.01, 0.002, -0.001, 0.0005]),
        ("", []),
        ("of_our_own", [0.0, 0.0]),  # without distortion its name does not matter
    ],
)
def test_points_project_back_onto_their_pixels(model: str, d: list[float]) -> None:
    camera = CameraModel.from_info(info(distortion_model=model, d=d), rectified=False)
    assert camera.size == (640, 480)
    metres = camera.at_depth(POINTS, 2.5)
    assert metres.shape == (5, 3) and (metres[:, 2] == 2.5).all()
    back = project(metres, [*d] if any(d) else [0.0] * 4, fisheye=model == "equidistant")
    assert np.abs(back - POINTS).max() < 0.05
    assert np.abs(camera.pixels(metres) - POINTS).max() < 0.05
    assert np.allclose(camera.rays(POINTS) * 2.5, metres[:, :2])
    assert camera.pixels(np.zeros((0, 3))).shape == camera.rays(np.zeros((0, 2))).shape == (0, 2)
    # The pixel at the principal point lies on the axis; x is right and y is down.
    middle = camera.at_depth(np.array([[323.0, 238.5], [500, 400]]), 2.0)
    assert np.allclose(middle[0], (0, 0, 2), atol=1e-6) and (middle[1, :2] > 0).all()


def test_a_rectified_image_follows_p_alone() -> None:
    camera = CameraModel.from_info(
        info(d=[-0.3, 0.1, 0.0, 0.0, 0.0], r=[0.0, 1, 0, -1, 0, 0, 0, 0, 1]), rectified=True
    )
    metres = camera.at_depth(np.array([[300.5, 250.5], [700.5, 670.5]]), 3.0)
    assert np.allclose(metres, [[0, 0, 3], [3, 3, 3]])
    assert camera.metres_per_pixel == 1 / 400


def test_the_rectifying_rotation_is_applied_to_raw_images() -> None:
    rotation, _ = cv2.Rodrigues(np.array([0.0, 0.05, 0.0]))
    camera = CameraModel.from_info(info(r=list(rotation.ravel())), rectified=False)
    straight = CameraModel.from_info(info(r=[0.0] * 9), rectified=False)
    ray = straight.at_depth(POINTS, 1.0) @ rotation.T
    assert np.allclose(camera.at_depth(POINTS, 1.0), ray / ray[:, 2:])
    assert np.allclose(camera.pixels(ray), POINTS)


def test_binning_and_region_of_interest() -> None:
    """The same spot of the sensor gives the same point, whatever the image is cut from."""
    whole = CameraModel.from_info(info(), rectified=False)
    roi = SimpleNamespace(x_offset=100, y_offset=60, width=400, height=200, do_rectify=False)
    part = CameraModel.from_info(info(roi=roi, binning_x=2, binning_y=4), rectified=False)
    assert part.size == (200, 50)
    here = np.array([[0, 0], [200, 50], [10.25, 30.5]])
    assert np.allclose(
        part.at_depth(here, 1.5), whole.at_depth(here * (2, 4) + (100, 60), 1.5), atol=1e-6
    )
    assert part.metres_per_pixel == 2 / 500


def test_no_points() -> None:
    camera = CameraModel.from_info(info(), rectified=False)
    assert camera.at_depth(np.zeros((0, 2), np.float32), 1.0).shape == (0, 3)


@pytest.mark.parametrize(
    "fields, rectified, message",
    [
        ({"k": [0.0] * 9}, False, "no calibration: the focal lengths in k are 0 and 0"),
        ({"p": [0.0] * 12}, True, "the focal lengths in p are 0 and 0"),
        ({"k": [float("nan")] * 9}, False, "no calibration"),
        ({"d": [float("inf"), 0.0, 0.0, 0.0]}, False, "not finite"),
        ({"distortion_model": "fov", "d": [0.9]}, False, "model 'fov'; known: plumb_bob"),
        ({"d": [0.1, 0.1, 0.1]}, False, "3 numbers in d; plumb_bob has 4 or 5"),
        ({"distortion_model": "equidistant", "d": [0.1] * 5}, False, "equidistant has 4"),
    ],
)
def test_what_cannot_be_used_is_named(
    fields: dict[str, Any], rectified: bool, message: str
) -> None:
    with pytest.raises(CameraError, match=message):
        CameraModel.from_info(info(**fields), rectified)
