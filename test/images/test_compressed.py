"""JPEG and PNG frames: header first, pixels when they are needed, clear errors for damage."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.errors import FrameError
from siampolar_model.geometry.crops import CropWindow
from siampolar_model.images.compressed import CompressedFrame, read_header
from siampolar_model.images.frame import Frame
from siampolar_model.session.history import History, StampedImage


def smooth(
    channels: int = 3, dtype: type = np.uint8, width: int = 70, height: int = 50
) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    noise = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 6)
    return image.astype(dtype) * (257 if dtype is np.uint16 else 1)


def encode(suffix: str, image: np.ndarray, *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, image, parameters)
    assert done
    return bytes(data)


def with_size(png: bytes, width: int, height: int) -> bytes:
    """The PNG with another size in its header (and the checksum that belongs to it)."""
    chunk = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("channels, encoding", [(3, "bgr8"), (1, "mono8")])
def test_a_compressed_frame_is_the_frame_of_its_pixels(
    suffix: str, channels: int, encoding: str
) -> None:
    data = encode(suffix, smooth(channels))
    frame = CompressedFrame(data)
    assert (frame.width, frame.height, frame.encoding) == (70, 50, encoding)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(frame.to_bgr(), decoded)
    window = CropWindow(35, 25, 40, 31)
    assert np.array_equal(frame.cut(window), Frame.from_bgr(decoded).cut(window))


def test_progressive_jpeg_and_segments_before_the_frame_header() -> None:
    data = encode(".jpg", smooth(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    # A comment whose bytes look like a frame header of 1x1, and fill bytes before a marker.
    bait = b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03"
    comment = b"\xff\xfe" + struct.pack(">H", len(bait) + 2) + bait
    padded = data[:2] + comment + b"\xff\xff" + data[2:]
    assert CompressedFrame(padded).to_bgr().shape == (50, 70, 3)


def test_sixteen_bits_grey_keep_their_range() -> None:
    values = smooth(1, np.uint16)
    frame = CompressedFrame(encode(".png", values))
    assert frame.encoding == "mono16" and np.array_equal(frame.decode().planes[0], values)
    low, high = frame.value_range() or (0, 0)
    assert values.min() <= low < high <= values.max()


def test_sixteen_bits_colour_become_eight() -> None:
    frame = CompressedFrame(encode(".png", smooth(3, np.uint16)))
    assert frame.encoding == "bgr8"
    assert np.abs(frame.to_bgr().astype(int) - smooth()).max() <= 1


def test_alpha_is_left_out_and_a_palette_is_colour() -> None:
    rgba = np.dstack([smooth(), np.full((50, 70), 9, np.uint8)])
    assert np.array_equal(CompressedFrame(encode(".png", rgba)).to_bgr(), smooth())
    # Two pixels of eight bits: the second and the first colour of the palette, in RGB.
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes([10, 20, 30, 40, 50, 60])),
        (b"IDAT", zlib.compress(b"\x00\x01\x00")),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    assert CompressedFrame(data).to_bgr().tolist() == [[[60, 50, 40], [30, 20, 10]]]


def test_rotation_in_exif_is_not_applied() -> None:
    """Boxes are given in the pixels as stored."""
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    body = b"Exif\x00\x00" + tiff
    data = encode(".jpg", smooth())
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (70, 50, 3)
    assert CompressedFrame(turned).to_bgr().shape == (50, 70, 3)


def test_an_image_too_large_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    huge = with_size(encode(".png", smooth()), 60_000, 60_000)
    with pytest.raises(FrameError, match=r"60000x60000 px has 3600\.0 million pixels; at most 50"):
        CompressedFrame(huge)
    small = encode(".jpg", smooth())
    with pytest.raises(FrameError, match=r"70x50.*at most 0.0034 million are allowed \(max_image"):
        CompressedFrame(small, max_pixels=3400)
    CompressedFrame(small, max_pixels=3500)  # not decoded either


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "begins with nothing; supported: JPEG and PNG"),
        (b"GIF89a\x01\x00\x01", "begins with 47 49 46"),
        (encode(".png", smooth())[:30], "PNG image without a whole IHDR chunk"),
        (encode(".jpg", smooth())[:40], "JPEG image without a frame header"),
        (b"\xff\xd8\xff\xd9\x00\x00", "JPEG image without a frame header"),
        (
            b"\xff\xd8\xff\xc0\x00\x0b\x0c\x00\x10\x00\x10\x01",
            "of 12 bits per sample; supported: 8",
        ),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x10\x01", "JPEG image of 16x0 px is empty"),
    ],
)
def test_bytes_that_are_not_an_image_are_refused_with_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        CompressedFrame(data)


def test_a_damaged_body_is_an_error_when_the_pixels_are_needed() -> None:
    png = encode(".png", smooth())
    for damaged in (png[:33], with_size(png, 4000, 3000)[:60]):
        frame = CompressedFrame(damaged)
        with pytest.raises(FrameError, match=r"PNG image of .* px cannot be decoded"):
            frame.to_bgr()


def test_the_memory_of_a_decoded_frame_is_counted_before_it_is_decoded() -> None:
    data = encode(".jpg", smooth())
    assert CompressedFrame(data).nbytes == len(data) + 70 * 50 * 3
    history = History(10**9, 2 * (len(data) + 70 * 50 * 3))
    for stamp_ns in range(1, 5):
        history.add(StampedImage(stamp_ns, CompressedFrame(data)))
    assert len(history) == 2


SAMPLES = [
    encode(".jpg", smooth(width=20, height=14)),
    encode(".png", smooth(width=20, height=14)),
    encode(".png", smooth(1, np.uint16, width=20, height=14)),
]


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    keep=st.integers(0, 2000),
)
def test_any_damage_gives_a_frame_of_the_promised_size_or_a_frame_error(
    data: bytes, edits: list[tuple[int, int]], keep: int
) -> None:
    changed = bytearray(data)
    for at, value in edits:
        changed[at % len(changed)] = value
    try:
        frame = CompressedFrame(bytes(changed[:keep]), max_pixels=100_000)
        assert frame.to_bgr().shape == (frame.height, frame.width, 3)
        assert frame.width * frame.height <= 100_000
    except FrameError as error:
        assert str(error).isprintable()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).map(lambda tail: b"\xff\xd8\xff" + tail))
def test_the_header_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    try:
        header = read_header(data)
        assert header.width > 0 and header.height > 0
    except FrameError:
        pass
