"""Frames: every encoding's crop equals converting the whole image and then cropping."""

from __future__ import annotations

import array
import time

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from siampolar_model.errors import FrameError
from siampolar_model.geometry.crops import CropWindow
from siampolar_model.images.encodings import ENCODINGS
from siampolar_model.images.frame import Frame
from siampolar_model.images.resample import BORDER_BGR, cut_array

WIDTH, HEIGHT = 98, 74
RANGE = (1000.0, 50000.0)


def buffer_of(
    encoding: str,
    width: int,
    height: int,
    padding: int = 0,
    big_endian: bool = False,
    seed: int = 0,
) -> tuple[bytes, int]:
    """Random smooth-and-noisy camera bytes with padded rows, and their step."""
    rng = np.random.default_rng(seed)
    channels = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4}.get(encoding, 1)
    if encoding in ("uyvy", "yuv422", "yuyv", "yuv422_yuy2"):
        channels = 2
    rows = height * 3 // 2 if encoding in ("nv12", "nv21") else height
    if encoding == "mono16":
        values = rng.integers(0, 60000, (rows, width), dtype=np.uint16)
        body = values.astype(">u2" if big_endian else "<u2").view(np.uint8)
    else:
        body = rng.integers(0, 256, (rows, width * channels), dtype=np.uint8)
    step = body.shape[1] + padding
    padded = rng.integers(0, 256, (rows, step), dtype=np.uint8)  # padding holds rubbish
    padded[:, : body.shape[1]] = body
    return padded.tobytes(), step


def make_frame(encoding: str, padding: int = 0, big_endian: bool = False) -> Frame:
    data, step = buffer_of(encoding, WIDTH, HEIGHT, padding, big_endian)
    return Frame.from_buffer(
        data, encoding=encoding, width=WIDTH, height=HEIGHT, step=step, is_bigendian=big_endian
    )


def sample_exactly(image: np.ndarray, window: CropWindow) -> np.ndarray:
    """The documented convention in plain NumPy, for windows that do not shrink by two."""
    bordered = np.empty((image.shape[0] + 2, image.shape[1] + 2, 3))
    bordered[:] = BORDER_BGR
    bordered[1:-1, 1:-1] = image
    centres = (np.arange(window.size) + 0.5) / window.scale
    out = bordered
    for axis, origin in ((1, window.origin_xy[0]), (0, window.origin_xy[1])):
        at = np.clip(origin + centres - 0.5 + 1, 0, out.shape[axis] - 1)
        low = np.minimum(np.floor(at).astype(int), out.shape[axis] - 2)
        part = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        out = np.take(out, low, axis) * (1 - part) + np.take(out, low + 1, axis) * part
    return out


windows = st.builds(
    CropWindow,
    st.floats(-30, WIDTH + 30),
    st.floats(-30, HEIGHT + 30),
    st.floats(1.0, 500.0),
    st.integers(2, 64),
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("padding", [0, 1, 7])
@settings(max_examples=40, deadline=None)
@given(window=windows)
@example(window=CropWindow(-3.0, -3.0, 4.0, 2))  # a single averaged pixel is left of the image
@example(window=CropWindow(-3.0, -3.0, 8.0, 2))
def test_crop_equals_convert_then_crop(encoding: str, padding: int, window: CropWindow) -> None:
    frame = make_frame(encoding, padding)
    whole = Frame.from_bgr(frame.to_bgr(value_range=RANGE))
    difference = np.abs(
        frame.cut(window, value_range=RANGE).astype(int) - whole.cut(window).astype(int)
    )
    assert difference.max() <= 3


@settings(max_examples=60, deadline=None)
@given(window=windows.filter(lambda w: w.scale > 0.51))
def test_crop_follows_the_pixel_convention(window: CropWindow) -> None:
    # A smooth image: OpenCV 4 rounds sampling positions to 1/32 px.
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([x * 2, y * 3, x + y], axis=2).astype(np.uint8)
    difference = np.abs(Frame.from_bgr(image).cut(window) - sample_exactly(image, window))
    # At the border a step of up to 124 levels is sampled within 1/32 px.
    assert difference.max() <= 5


def test_aligned_crop_is_a_copy() -> None:
    frame = make_frame("bgr8")
    crop = frame.cut(CropWindow(40.0, 30.0, 32.0, 32))
    np.testing.assert_array_equal(crop, frame.to_bgr()[14:46, 24:56])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_shrinking_averages_whole_pixels(factor: int) -> None:
    image = make_frame("bgr8").to_bgr()
    side = 70 // factor // 2 * 2 * factor
    crop = Frame.from_bgr(image).cut(CropWindow(side / 2, side / 2, float(side), side // factor))
    n = side // factor
    expected = image[:side, :side].reshape(n, factor, n, factor, 3).mean((1, 3))
    assert np.abs(crop - expected).max() <= 0.5 * factor.bit_length()  # rounded at every halving


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_outside_is_the_border_colour(encoding: str) -> None:
    frame = make_frame(encoding)
    nothing = frame.cut(CropWindow(-200.0, 30.0, 64.0, 16))
    assert (nothing == BORDER_BGR).all()
    half = frame.cut(CropWindow(0.0, 37.0, 32.0, 16))
    assert (half[:, :7] == BORDER_BGR).all()
    assert not (half[:, 8:] == BORDER_BGR).all()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_out_is_written_in_place(encoding: str) -> None:
    frame = make_frame(encoding)
    batch = np.zeros((2, 24, 24, 3), np.uint8)
    for window in (CropWindow(40.0, 30.0, 31.0, 24), CropWindow(-500.0, 0.0, 31.0, 24)):
        crop = frame.cut(window, out=batch[1])
        assert np.shares_memory(crop, batch)
        np.testing.assert_array_equal(batch[1], frame.cut(window))
    assert not batch[0].any()


def test_nothing_is_copied_on_the_way_in() -> None:
    image = np.zeros((10, 12, 3), np.uint8)
    assert Frame.from_bgr(image).planes[0] is image
    data = array.array("B", bytes(10 * 40))
    frame = Frame.from_buffer(data, encoding="bgr8", width=12, height=10, step=40)
    assert np.shares_memory(frame.planes[0], np.frombuffer(data, np.uint8))
    assert not np.shares_memory(frame.to_bgr(), frame.planes[0])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_size_and_colours_of_a_plain_image(encoding: str) -> None:
    """A known colour comes out as that colour, so names and channel orders are right."""
    width, height = 16, 12
    bgr = np.empty((height, width, 3), np.uint8)
    bgr[:] = (40, 90, 200)  # orange-red
    yuv = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    y, u, v = yuv[0], yuv[width * height], yuv[-1]
    pixel = {
        "bgr8": [40, 90, 200], "rgb8": [200, 90, 40],
        "bgra8": [40, 90, 200, 9], "rgba8": [200, 90, 40, 9],
        "uyvy": [u, y, v, y], "yuv422": [u, y, v, y],
        "yuyv": [y, u, y, v], "yuv422_yuy2": [y, u, y, v],
    }  # fmt: skip
    if encoding in pixel:
        channels = 2 if encoding.startswith(("uy", "yu")) else len(pixel[encoding])
        repeat = width * channels // len(pixel[encoding])
        rows = np.tile(np.array(pixel[encoding], np.uint8), (height, repeat))
    elif encoding.startswith("bayer_"):
        level = {"r": 200, "g": 90, "b": 40}
        a, b, c, d = (level[letter] for letter in encoding[6:10])
        rows = np.tile(np.array([[a, b], [c, d]], np.uint8), (height // 2, width // 2))
    elif encoding in ("nv12", "nv21"):
        chroma = [u, v] if encoding == "nv12" else [v, u]
        rows = np.full((height * 3 // 2, width), y, np.uint8)
        rows[height:] = np.tile(np.array(chroma, np.uint8), (height // 2, width // 2))
    elif encoding == "mono8":
        rows = np.full((height, width), 77, np.uint8)
        bgr[:] = 77
    else:
        rows = np.full((height, width), 77 * 256, "<u2").view(np.uint8)
        bgr[:] = 77
    frame = Frame.from_buffer(
        rows.tobytes(), encoding=encoding, width=width, height=height, step=rows.shape[1]
    )
    assert (frame.width, frame.height, frame.encoding) == (width, height, encoding)
    result = frame.to_bgr(value_range=(0, 255 * 256))
    assert result.shape == (height, width, 3) and result.dtype == np.uint8
    assert np.abs(result.astype(int) - bgr).max() <= 3


class TestMono16:
    def test_byte_orders_agree(self) -> None:
        little, big = make_frame("mono16"), make_frame("mono16", padding=3, big_endian=True)
        np.testing.assert_array_equal(little.to_bgr(RANGE), big.to_bgr(RANGE))
        assert little.value_range() == big.value_range()

    def test_range_maps_and_saturates(self) -> None:
        values = np.array([[0, 1000, 2000, 3000, 65535]], "<u2")
        frame = Frame.from_buffer(values.tobytes(), encoding="mono16", width=5, height=1, step=10)
        assert frame.to_bgr((1000, 3000))[0, :, 0].tolist() == [0, 0, 128, 255, 255]

    def test_own_range_is_the_percentiles(self) -> None:
        low, high = make_frame("mono16").value_range() or (0, 0)
        assert low == pytest.approx(600, abs=300) and high == pytest.approx(59400, abs=300)
        assert make_frame("mono8").value_range() is None

    def test_own_range_is_used_where_none_is_given(self) -> None:
        frame = make_frame("mono16")
        window = CropWindow(40.0, 30.0, 30.0, 20)
        np.testing.assert_array_equal(
            frame.cut(window), frame.cut(window, value_range=frame.value_range())
        )

    def test_flat_image_has_a_range(self) -> None:
        data = np.full((4, 4), 700, "<u2").tobytes()
        frame = Frame.from_buffer(data, encoding="mono16", width=4, height=4, step=8)
        assert frame.value_range() == (700, 701)
        assert not frame.to_bgr().any()

    @pytest.mark.parametrize("value_range", [(5, 5), (9, 2), (0, float("nan"))])
    def test_empty_range_is_refused(self, value_range: tuple[float, float]) -> None:
        with pytest.raises(FrameError, match="value range"):
            make_frame("mono16").to_bgr(value_range)


class TestCutArray:
    @pytest.mark.parametrize("shape", [(74, 98), (74, 98, 3), (74, 98, 4)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_keeps_channels_and_dtype(self, shape: tuple[int, ...], dtype: type) -> None:
        image = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
        border = (7,) * (shape[2] if len(shape) == 3 else 1)
        for cx in (40.0, 0.0, 999.0):
            crop = cut_array(image, CropWindow(cx, 30.0, 40.0, 20), border=border)
            assert crop.shape == (20, 20, *shape[2:]) and crop.dtype == dtype
        assert (crop == 7).all()

    def test_is_what_frames_do(self) -> None:
        image = make_frame("bgr8").to_bgr()
        window = CropWindow(3.3, 71.0, 51.7, 32)
        np.testing.assert_array_equal(cut_array(image, window), Frame.from_bgr(image).cut(window))


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"encoding": "rgb16"}, "unknown encoding 'rgb16'; supported: bgr8, .*nv12"),
            ({"encoding": ""}, "unknown encoding ''"),
            ({"width": 0}, "0x10 px is empty"),
            ({"height": -3}, "12x-3 px is empty"),
            ({"step": 35}, "step of 35; it must be at least 36"),
            ({"height": 11}, "has 400 bytes; it must have 440"),
            ({"height": 9}, "has 400 bytes; it must have 360"),
            ({"data": b""}, "has 0 bytes; it must have 400"),
            ({"data": "text"}, "not contiguous bytes"),
            ({"encoding": "yuyv", "width": 11}, "width must be even"),
            ({"encoding": "nv12", "height": 9}, "width and height must be even"),
            ({"encoding": "bayer_rggb8", "width": 2}, "both must be at least 3"),
        ],
    )
    def test_from_buffer(self, change: dict[str, object], message: str) -> None:
        arguments: dict = {
            "data": bytes(400), "encoding": "bgr8", "width": 12, "height": 10, "step": 40
        } | change  # fmt: skip
        with pytest.raises(FrameError, match=message) as caught:
            Frame.from_buffer(arguments.pop("data"), **arguments)
        assert "\n" not in str(caught.value)

    def test_last_row_may_lack_its_padding(self) -> None:
        data = bytes(40 * 9 + 36)
        assert Frame.from_buffer(data, encoding="bgr8", width=12, height=10, step=40).height == 10

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4, 3), np.uint8),
            [[1]],
            None,
        ],
    )
    def test_from_bgr(self, image: object) -> None:
        with pytest.raises(FrameError, match="image"):
            Frame.from_bgr(image)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "window",
        [
            CropWindow(float("nan"), 0.0, 10.0, 8),
            CropWindow(0.0, float("inf"), 10.0, 8),
            CropWindow(0.0, 0.0, 0.0, 8),
            CropWindow(0.0, 0.0, 1e9, 8),
            CropWindow(0.0, 0.0, 10.0, 1),
            CropWindow(0.0, 0.0, 10.0, -1),
        ],
    )
    def test_window(self, window: CropWindow) -> None:
        with pytest.raises(FrameError, match="crop window"):
            make_frame("bgr8").cut(window)

    def test_out_of_the_wrong_shape(self) -> None:
        with pytest.raises(FrameError, match=r"must be contiguous uint8 \(8, 8, 3\)"):
            make_frame("bgr8").cut(CropWindow(9.0, 9.0, 8.0, 8), out=np.zeros((8, 9, 3), np.uint8))


def test_cost_does_not_depend_on_the_image_size() -> None:
    """Reading all of a 4K image would take fifty times as long; three times is allowed."""

    def best_seconds(width: int, height: int) -> float:
        data, step = buffer_of("nv12", width, height)
        frame = Frame.from_buffer(data, encoding="nv12", width=width, height=height, step=step)
        window = CropWindow(width / 2 + 0.3, height / 2, 300.0, 255)
        out = np.empty((255, 255, 3), np.uint8)
        seconds = []
        for _ in range(30):
            start = time.perf_counter()
            frame.cut(window, out=out)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    assert best_seconds(3840, 2160) < 3 * best_seconds(640, 480)


@pytest.mark.parametrize(
    ("raw", "name", "pixel_bytes"),
    [("8UC1", "mono8", 1), ("8UC3", "bgr8", 3), ("16UC1", "mono16", 2)],
)
def test_raw_encodings_are_taken_for_the_usual_ones(raw: str, name: str, pixel_bytes: int) -> None:
    data = np.random.default_rng(3).integers(0, 256, 6 * 4 * pixel_bytes, np.uint8).tobytes()
    size = {"width": 6, "height": 4, "step": 6 * pixel_bytes}
    ours = Frame.from_buffer(data, encoding=raw, **size)
    assert ours.encoding == name
    np.testing.assert_array_equal(
        ours.to_bgr(), Frame.from_buffer(data, encoding=name, **size).to_bgr()
    )
