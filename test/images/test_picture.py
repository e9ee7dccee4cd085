"""Picture files: any path, any bit depth, pixels as stored, nothing read wrongly in silence."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.errors import FrameError
from siampolar_model.images.compressed import CompressedFrame
from siampolar_model.images.frame import Frame
from siampolar_model.images.picture import check_picture, read_bgr, read_picture
from siampolar_model.images.picture_count import picture_count
from siampolar_model.images.picture_size import picture_size

RNG = np.random.default_rng(3)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 3)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.png"), "日本.png", "a:b|c.png", "100%.png"])
def test_a_name_of_any_bytes_is_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "plain.png", COLOUR).rename(tmp_path / name)
    np.testing.assert_array_equal(read_bgr(path), COLOUR)


def test_16_bit_grey_has_the_value_range_of_the_node(tmp_path: Path) -> None:
    grey = (7400 + RNG.integers(0, 800, (48, 64))).astype(np.uint16)
    node = Frame.from_buffer(
        grey.tobytes(), encoding="mono16", width=64, height=48, step=128
    ).to_bgr()
    for suffix in (".png", ".tiff"):
        np.testing.assert_array_equal(read_bgr(write(tmp_path / f"a{suffix}", grey)), node)


def test_16_bit_colour_keeps_its_colours(tmp_path: Path) -> None:
    wide = COLOUR.astype(np.uint16) * 8 + 1000
    read = read_bgr(write(tmp_path / "a.png", wide)).astype(int)
    low, high = np.percentile(COLOUR, [1, 99])
    expected = np.clip((COLOUR - low) * 255 / (high - low), 0, 255)
    assert np.abs(read - expected).max() <= 1


def test_floating_point_pixels_use_their_range_and_survive_nan(tmp_path: Path) -> None:
    depth = np.linspace(0.5, 4.0, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth[0, 0], depth[0, 1] = np.nan, np.inf
    read = read_bgr(write(tmp_path / "a.tiff", depth))
    assert read.min() == 0 and read.max() == 255
    assert abs(int(read[24, 32, 0]) - 128) <= 4
    assert read[0, 0, 0] == 0 and read[0, 1, 0] == 255


def test_pixels_are_taken_as_stored_whatever_exif_says(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs pillow")
    exif = image_module.Exif()
    exif[0x0112] = 6
    turned, plain = tmp_path / "turned.jpg", tmp_path / "plain.jpg"
    picture = image_module.fromarray(np.ascontiguousarray(COLOUR[..., ::-1]))
    picture.save(turned, exif=exif)
    picture.save(plain)
    np.testing.assert_array_equal(read_bgr(turned), read_bgr(plain))
    assert read_bgr(turned).shape == COLOUR.shape


def test_transparency_and_palettes_become_colours(tmp_path: Path) -> None:
    alpha = np.dstack([COLOUR, np.zeros(COLOUR.shape[:2], np.uint8)])
    np.testing.assert_array_equal(read_picture(write(tmp_path / "a.png", alpha)), COLOUR)
    image_module = pytest.importorskip("PIL.Image", reason="needs pillow")
    index = image_module.fromarray(np.array([[0, 1]], np.uint8), "P")
    index.putpalette([10, 20, 30, 40, 50, 60])
    index.save(tmp_path / "p.png")
    assert read_picture(tmp_path / "p.png").tolist() == [[[30, 20, 10], [60, 50, 40]]]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_file_that_ends_too_early_is_refused_by_name(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = write(tmp_path / f"a{suffix}", COLOUR)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FrameError, match=f"a{suffix}: (not a readable image|the file ends)"):
        read_picture(path)


def test_bytes_after_the_end_of_a_picture_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", COLOUR)
    expected = read_picture(path)
    path.write_bytes(path.read_bytes() + b"a preview follows" * 9)
    np.testing.assert_array_equal(read_picture(path), expected)


def test_what_cannot_be_a_picture_is_found_without_decoding(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".bmp", ".ppm", ".tiff", ".webp"):
        check_picture(write(tmp_path / f"good{suffix}", COLOUR))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("version https://git-lfs")
    (tmp_path / "gone.jpg").symlink_to("../.git/annex/x.jpg")
    with pytest.raises(FrameError, match=r"empty\.png: not a readable image; the file is empty"):
        check_picture(tmp_path / "empty.png")
    with pytest.raises(FrameError, match=r"text\.jpg: not a readable image; the file begins with"):
        check_picture(tmp_path / "text.jpg")
    with pytest.raises(FrameError, match=r"gone\.jpg, a link to \.\./\.git/annex/x\.jpg: No such"):
        check_picture(tmp_path / "gone.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm", ".pgm", ".tiff", ".webp"])
def test_the_size_is_known_before_a_picture_is_decoded(suffix: str) -> None:
    pixels = COLOUR[..., 0] if suffix == ".pgm" else COLOUR
    assert picture_size(cv2.imencode(suffix, pixels)[1].tobytes()) == (64, 48)
    assert picture_size(b"") == picture_size(b"BM") == (0, 0)


def test_a_lossless_or_extended_webp_has_a_size_too(tmp_path: Path) -> None:
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
    assert picture_size(cv2.imencode(".webp", COLOUR, lossless)[1].tobytes()) == (
        64,
        48,
    )
    with_alpha = cv2.cvtColor(COLOUR, cv2.COLOR_BGR2BGRA)
    with_alpha[:9, :9, 3] = 0
    assert picture_size(cv2.imencode(".webp", with_alpha)[1].tobytes()) == (64, 48)


def test_a_picture_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    """20,000 x 20,000 px of one colour, 600 KB as a file and 1.2 GB as pixels."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(60_001)) for _ in range(20_000)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    with pytest.raises(
        FrameError, match=r"bomb.png: 20000x20000 px are 400 million pixels; at most"
    ):
        read_bgr(path)


@pytest.mark.parametrize("at", [33, 8])
def test_a_png_chunk_longer_than_its_file_is_refused_at_once(tmp_path: Path, at: int) -> None:
    """OpenCV would take 2 GB for it."""
    data = bytearray(cv2.imencode(".png", COLOUR)[1].tobytes())
    data[at : at + 4] = b"\x7f\xff\x00\x00"
    path = tmp_path / "long.png"
    path.write_bytes(data)
    with pytest.raises(FrameError, match=r"long.png: not a readable image; it ends too early"):
        read_bgr(path)
    with pytest.raises(FrameError, match=r"PNG image|cut off"):
        CompressedFrame(bytes(data)).decode()


@pytest.mark.parametrize("suffix", [".tiff", ".png", ".webp"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, suffix: str) -> None:
    """Decoders give the first one without a word about the others."""
    image_module = pytest.importorskip("PIL.Image", reason="needs pillow")
    pages = [image_module.fromarray(np.roll(COLOUR, 5 * shift, 1)) for shift in range(3)]
    path = tmp_path / f"a{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert picture_count(path.read_bytes()) == 3
    with pytest.raises(FrameError, match=f"a{suffix}: holds 3 pictures; a file must hold one"):
        read_picture(path)
    pages[0].save(path)
    assert picture_count(path.read_bytes()) == 1
    assert read_picture(path).shape == COLOUR.shape


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_smaller_copies_in_a_tiff_file_are_not_pages(order: str, big: bool) -> None:
    """Scanners and cameras store one next to the picture."""
    place, count = ("Q", "Q") if big else ("I", "H")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    head += struct.pack(f"{order}HHQ", 8, 0, 16) if big else struct.pack(f"{order}I", 8)

    def directory(at: int, kind: int, last: bool) -> bytes:
        value = struct.pack(f"{order}HH{place}", 254, 4, 1)
        value += struct.pack(f"{order}I", kind) + bytes(4 if big else 0)
        size = struct.calcsize(f"{order}{count}{place}") + len(value)
        after = struct.pack(f"{order}{place}", 0 if last else at + size)
        return struct.pack(f"{order}{count}", 1) + value + after

    data = head
    for kind in (0, 1, 4, 0):
        data += directory(len(data), kind, last=False)
    data += directory(len(data), 1, last=True)
    assert picture_count(data) == 2
    assert picture_count(data[:-3]) == 2 and picture_count(head) == 1


def test_a_chain_of_tiff_directories_without_an_end_is_left() -> None:
    circle = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    assert picture_count(circle) == 1
