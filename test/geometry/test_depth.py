"""Depth images: units, byte orders, holes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from siampolar_model.errors import FrameError
from siampolar_model.geometry.depth import DepthImage

ROWS, COLUMNS = np.array([0, 1, 1]), np.array([2, 0, 1])


def view(values: np.ndarray, encoding: str, **fields: object) -> DepthImage:
    height, width = values.shape
    given = {"width": width, "height": height, "step": values.strides[0], **fields}
    return DepthImage.from_buffer(values.tobytes(), encoding=encoding, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["<", ">"])
def test_millimetres_and_metres_in_both_byte_orders(order: str) -> None:
    big = order == ">"
    millimetres = np.array([[0, 7, 1500], [65535, 2, 1]], order + "u2")
    depth = view(millimetres, "16UC1", is_bigendian=big)
    np.testing.assert_allclose(depth.at(ROWS, COLUMNS), [1.5, 65.535, 0.002])
    assert depth.size == (3, 2) and np.isnan(depth.at(np.array([0]), np.array([0]))).all()
    np.testing.assert_allclose(
        view(millimetres, "mono16", is_bigendian=big).at(ROWS, COLUMNS), [1.5, 65.535, 0.002]
    )
    metres = np.array([[np.nan, np.inf, 1.5], [-1.0, 2.0, 0.0]], order + "f4")
    depth = view(metres, "32FC1", is_bigendian=big)
    np.testing.assert_array_equal(depth.at(ROWS, COLUMNS), [1.5, np.nan, 2.0])


def test_padded_rows() -> None:
    padded = np.array([[1000, 2000, 9, 9], [3000, 4000, 9, 9]], "<u2")
    depth = view(padded, "16UC1", width=2)
    np.testing.assert_allclose(depth.at(np.array([0, 1]), np.array([1, 0])), [2, 3])


@pytest.mark.parametrize(
    "encoding, fields, words",
    [
        ("mono8", {}, "encoding 'mono8' is not depth; it must be 16UC1"),
        ("bgr8", {}, "it must be 16UC1 .millimetres. or 32FC1 .metres."),
        ("64FC1", {}, "encoding '64FC1' is not depth"),
        ("32FC1", {}, "32FC1 depth image of 3x2 px has a step of 6; it must be at least 12"),
        ("16UC1", {"height": 3}, "with a step of 6 has 12 bytes; it must have 18"),
        ("16UC1", {"height": 1}, "has 12 bytes; it must have 6"),
        ("16UC1", {"width": 0}, "0x2 px is empty"),
    ],
)
def test_what_is_not_depth_is_refused(encoding: str, fields: dict[str, object], words: str) -> None:
    with pytest.raises(FrameError, match=words):
        view(np.zeros((2, 3), np.uint16), encoding, **fields)
