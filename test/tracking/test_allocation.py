"""Following targets allocates nothing that grows with the image."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.tracking.tracker import Tracker

#: Bytes a pixel of the first plane, and rows of all planes over the image's, by encoding.
ENCODINGS = {
    "bgr8": (3, 1.0), "rgb8": (3, 1.0), "bgra8": (4, 1.0), "rgba8": (4, 1.0), "mono8": (1, 1.0),
    "mono16": (2, 1.0), "bayer_rggb8": (1, 1.0), "yuv422": (2, 1.0), "yuv422_yuy2": (2, 1.0),
    "nv12": (1, 1.5),
}  # fmt: skip


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    pytest.importorskip("onnxruntime")
    return Tracker.from_pretrained(engine="onnxruntime", precision="fp32", num_threads=1)


def peak_bytes(tracker: Tracker, encoding: str, width: int, height: int) -> int:
    """The most that following two targets through one more image holds at once.

    The top left corner shows the same whatever the size.
    """
    pixel_bytes, rows = ENCODINGS[encoding]
    planes = np.zeros((int(height * rows), width * pixel_bytes), np.uint8)
    corner = np.random.default_rng(0).integers(0, 255, (400, 600 * pixel_bytes), dtype=np.uint8)
    for top in {0, height if rows > 1 else 0}:
        shown = planes[top : top + len(corner), : corner.shape[1]]
        shown[:] = corner[: len(shown)]

    def frame() -> Frame:
        return Frame.from_buffer(
            planes, encoding=encoding, width=width, height=height, step=planes.shape[1]
        )

    tracker.reset()
    for x in (150, 250):
        tracker.start(frame(), Box.from_xywh(x, 120, 60, 80))
    tracker.update(frame())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracker.update(frame())
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_larger_image_needs_no_more_memory(tracker: Tracker, encoding: str) -> None:
    small, large = (
        peak_bytes(tracker, encoding, *size) for size in ((854, 480), (3840, 2160))
    )  # fmt: skip
    assert abs(large - small) < 10_000  # small objects of Python
    assert small > 5_000  # what is allocated is seen


def test_a_conversion_of_the_whole_image_would_be_noticed() -> None:
    """The fault that the test above looks for, caused on purpose."""
    data = np.zeros((2160, 3840, 3), np.uint8)
    tracemalloc.start()
    try:
        Frame.from_bgr(data).to_bgr()
        assert tracemalloc.get_traced_memory()[1] > data.nbytes
    finally:
        tracemalloc.stop()
