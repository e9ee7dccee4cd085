"""Malformed images, files and numbers, and what refusing them may cost."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from siampolar_model.errors import FrameError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import CropWindow
from siampolar_model.images.compressed import CompressedFrame
from siampolar_model.images.encodings import ENCODINGS
from siampolar_model.images.frame import Frame
from siampolar_model.session.requests import InitRequest

T = TypeVar("T")

#: Longest message: a few lines of a terminal.
MAX_LINE = 500

#: What reading an image may allocate beyond 16 times its data: a crop, the table of 16-bit grey.
SPARE_BYTES = 4_000_000

WINDOW = CropWindow(5.0, 5.0, 12.0, 31)


def examples(count: int) -> settings:
    """This count times SIAMPOLAR_FUZZ, by default 20,000 in all files together."""
    return settings(
        max_examples=max(1, round(count * float(os.environ.get("SIAMPOLAR_FUZZ", "1")))),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# Numbers at the edges of what a message's field can hold, and around small images.
uint32 = st.one_of(
    st.integers(0, 40),
    st.sampled_from([2**k + d for k in (8, 16, 20, 24, 31) for d in (-1, 0, 1)]),
    st.integers(0, 2**32 - 1),
)
encodings = st.one_of(
    st.sampled_from(ENCODINGS),
    st.sampled_from(["", "BGR8", "bgr8 ", "32FC1", "16SC1", "\n\x00\x1b[2J", "x" * 20_000]),
    st.text(max_size=30),
)


def is_clear_line(text: str) -> bool:
    return 0 < len(text) <= MAX_LINE and text.isprintable()


def peak_bytes(work: Callable[[], T]) -> tuple[T | None, FrameError | None, int]:
    """What some work gave or raised, and the most memory it held beyond what there was."""
    tracemalloc.start()
    try:
        result, error = work(), None
    except FrameError as refused:
        result, error = None, refused
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return result, error, peak


@st.composite
def raw_images(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of a sensor_msgs/Image, right except for some of them."""
    encoding = draw(st.sampled_from(ENCODINGS))
    width, height = 2 * draw(st.integers(1, 12)), 2 * draw(st.integers(1, 12))
    samples = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono16": 2}.get(encoding, 1)
    step = width * (2 if "yu" in encoding else samples) + draw(st.integers(0, 3))
    rows = height + height // 2 if encoding.startswith("nv") else height
    fields = {
        "encoding": encoding,
        "width": width,
        "height": height,
        "step": step,
        "is_bigendian": draw(st.booleans()),
        "data": bytes(rows * step),
    }
    changes = {
        "encoding": encodings,
        "width": uint32,
        "height": uint32,
        "step": uint32,
        "data": st.one_of(
            st.binary(max_size=64),
            st.integers(-3, 3).map(lambda n: bytes(max(0, rows * step + n))),
        ),
    }
    for name in draw(st.sets(st.sampled_from(sorted(changes)), max_size=4)):
        fields[name] = draw(changes[name])
    return fields


def read_raw(fields: dict[str, Any]) -> Frame:
    frame = Frame.from_buffer(**fields)
    assert frame.cut(WINDOW).shape == (31, 31, 3)
    assert frame.to_bgr().shape == (frame.height, frame.width, 3)
    return frame


def encoded(suffix: str, *parameters: int, dtype: type = np.uint8, channels: int = 3) -> bytes:
    noise = np.random.default_rng(2).integers(0, 256, (18, 24, channels), np.uint8)
    pixels = (noise.astype(dtype) * (257 if dtype is np.uint16 else 1)).squeeze()
    return bytes(cv2.imencode(suffix, pixels, list(parameters))[1])


FILES = [
    encoded(".jpg"),
    encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    encoded(".png"),
    encoded(".png", dtype=np.uint16, channels=1),
    encoded(".png", channels=4),
]
MAX_PIXELS = 100_000


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A JPEG or PNG, damaged; or no image at all."""
    if draw(st.integers(0, 9)) == 0:
        start = draw(
            st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"])
        )
        return start + draw(st.binary(max_size=200))
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(0, 6))):
        # Where the headers are more often than elsewhere.
        at = draw(st.one_of(st.integers(0, 40), st.integers(0, len(data) - 1)))
        data[at % len(data)] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


def read_compressed(data: bytes) -> Frame:
    frame = CompressedFrame(data, MAX_PIXELS)
    assert frame.width * frame.height <= MAX_PIXELS
    assert frame.cut(WINDOW).shape == (31, 31, 3)
    assert frame.to_bgr().shape == (frame.height, frame.width, 3)
    return frame


numbers = st.one_of(
    st.floats(width=64),
    st.floats(-50, 400),
    st.sampled_from([0.0, -0.0, 1e-300, 5e-324, 1e308, -1e308, 2.0**53, 320.0, 240.0]),
)
stamps = st.one_of(
    st.integers(0, 70).map(lambda k: k * 100_000_000),
    st.integers(-(2**31) * 10**9, (2**31 + 4) * 10**9),
)
requests = st.builds(
    InitRequest,
    region=st.builds(Box.from_xywh, numbers, numbers, numbers, numbers),
    stamp_ns=stamps,
    id=uint32,
    image_size=st.one_of(st.none(), st.just((320, 240)), st.tuples(uint32, uint32)),
)
moves = st.one_of(
    st.tuples(
        st.just("image"), stamps, st.sampled_from([(320, 240), (320, 240), (1, 1), (64, 48)])
    ),
    st.tuples(st.just("remove"), st.integers(-2, 2**32)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("wait"), st.floats(0, 5)),
    st.tuples(st.just("step")),
)
INITS = 10


def scene(size: tuple[int, int]) -> Frame:
    image = np.full((size[1], size[0], 3), 100, np.uint8)
    cv2.circle(image, (160, 120), 40, (40, 40, 230), cv2.FILLED)
    return Frame.from_bgr(image)
