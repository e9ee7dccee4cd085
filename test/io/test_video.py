"""Reading and writing videos: a round trip, frame ranges, folders, and what cannot be opened."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from siampolar_model.errors import VideoError
from siampolar_model.io.image_folder import image_files
from siampolar_model.io.video import VideoReader, VideoWriter

FPS = 25.0


def picture(index: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth colourful image whose grey square moves with the index."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 / width, y * 255 / height, 255 - x * 255 / width], axis=2)
    image[10:30, 4 * index : 4 * index + 20] = 128
    return image.astype(np.uint8)


def write_video(path: Path, n_frames: int = 8, width: int = 96, height: int = 64) -> Path:
    with VideoWriter(path, FPS, crf=8) as writer:
        for index in range(n_frames):
            writer.write(picture(index, width, height))
    return path


def write_folder(folder: Path, n_frames: int = 12) -> Path:
    folder.mkdir()
    for index in range(n_frames):
        cv2.imwrite(str(folder / f"frame{index}.png"), picture(index))
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_round_trip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with VideoReader(path) as reader:
        assert (reader.width, reader.height, reader.n_frames) == (96, 64, 8)
        assert reader.fps == pytest.approx(FPS)
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.stamp_ns for frame in frames] == [round(i * 1e9 / FPS) for i in range(8)]
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.shape == (64, 96, 3)
        difference = np.abs(frame.image.astype(int) - picture(frame.index))
        assert difference.mean() < 4  # colours survive, whatever matrix the file names


def test_the_same_images_give_the_same_bytes_whatever_memory_held_before(tmp_path: Path) -> None:
    sizes = [16 << 20] * 2 + [3 << 20] * 6 + [500 << 10] * 20 + [100 << 10] * 100
    written = set()
    for seed in range(16):
        # Freed memory full of small numbers is what the encoder's buffers are then made of.
        numbers = np.random.default_rng(seed)
        blocks = [numbers.integers(-60, 60, size // 2, dtype=np.int16) for size in sizes]
        del blocks[::2]
        written.add(write_video(tmp_path / "out.mp4", 12, 320, 240).read_bytes())
    assert len(written) == 1


def test_a_browser_plays_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
    head = path.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # playable while it loads


@pytest.mark.parametrize(("width", "height"), [(95, 64), (96, 63), (95, 63)])
def test_odd_sizes_are_extended(tmp_path: Path, width: int, height: int) -> None:
    path = write_video(tmp_path / "a.mp4", 3, width, height)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert frames[0].image.shape == (64, 96, 3)
    inside = frames[0].image[:height, :width].astype(int) - picture(0, width, height)
    assert np.abs(inside).mean() < 4


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, None, range(8)),
        (3, None, range(3, 8)),
        (2, 4, range(2, 5)),
        (7, 7, range(7, 8)),
        (5, 99, range(5, 8)),
    ],
)
def test_frame_range(tmp_path: Path, first: int, last: int | None, expected: range) -> None:
    video = write_video(tmp_path / "a.mp4")
    folder = write_folder(tmp_path / "images", 8)
    for path in (video, folder):
        with VideoReader(path, first=first, last=last) as reader:
            assert reader.n_frames == len(expected)
            frames = list(reader)
        assert [frame.index for frame in frames] == list(expected)
        assert np.abs(frames[0].image.astype(int) - picture(expected[0])).mean() < 4


def test_folder_sorts_numbers_as_numbers(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images")
    assert [path.name for path in image_files(folder)][-3:] == [
        "frame9.png", "frame10.png", "frame11.png"
    ]  # fmt: skip
    with VideoReader(folder, folder_fps=10) as reader:
        frames = list(reader)
    np.testing.assert_array_equal(frames[10].image, picture(10))
    assert frames[10].stamp_ns == 1_000_000_000


def test_close_twice_and_early(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "a.mp4")) as reader:
        next(iter(reader))
        reader.close()
    reader.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_is_read_after_closing(tmp_path: Path, kind: str) -> None:
    path = write_video(tmp_path / "a.mp4") if kind == "file" else write_folder(tmp_path / "images")
    reader = VideoReader(path)
    reader.close()
    assert list(reader) == []
    reader = VideoReader(path)
    frames = iter(reader)
    assert [next(frames).index, next(frames).index] == [0, 1]
    reader.close()
    assert list(frames) == []


class TestErrors:
    def refused(self, message: str, *args: object, **kwargs: object) -> None:
        with pytest.raises(VideoError, match=message) as caught:
            VideoReader(*args, **kwargs)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.refused("none.mp4: no such video file or folder", tmp_path / "none.mp4")

    def test_not_a_video(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(b"this is no video" * 100)
        self.refused("a.mp4: cannot be opened as a video", path)
        path.write_bytes(b"")
        self.refused("a.mp4: cannot be opened as a video", path)

    def test_folder_without_images(self, tmp_path: Path) -> None:
        self.refused("no images in this folder", tmp_path)

    def test_damaged_image(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(b"nothing")
        self.refused("a.jpg: not a readable image", tmp_path)

    def test_no_video_stream(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 800), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        self.refused("has no video stream", path)

    def test_ranges(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4")
        self.refused("has 8 frames; first frame 8 is beyond", path, first=8)
        self.refused("need 0 <= first <= last", path, first=3, last=2)
        self.refused("need 0 <= first <= last", path, first=-1)

    def test_size_that_changes(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "images", 3)
        cv2.imwrite(str(folder / "frame3.png"), picture(3, 80, 60))
        with VideoReader(folder) as reader, pytest.raises(VideoError, match="frame 3 is 80x60 px"):
            list(reader)

    def test_truncated_file_gives_what_it_holds_or_says_why(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", 60)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 8 // 10])
        with VideoReader(path) as reader:
            count = sum(1 for _ in reader)
        assert 0 < count < 60
        path.write_bytes(whole[: len(whole) * 3 // 10])  # ends within the first picture
        self.refused("a.mp4: no frame can be read from frame 0 on", path)

    def test_a_refused_file_is_closed(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", 60)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 10])
        # The error holds its traceback and so the reader: nothing closes the file by chance.
        with pytest.raises(VideoError, match="no frame can be read") as caught:
            VideoReader(path)
        assert caught.tb is not None
        open_files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
        assert path.resolve() not in open_files

    def test_writer(self, tmp_path: Path) -> None:
        for arguments, message in (
            ((tmp_path / "a.avi", FPS), "must end in .mp4"),
            ((tmp_path / "no" / "a.mp4", FPS), "folder .* does not exist"),
            ((tmp_path / "a.mp4", 0.0), "0 frames a second"),
            ((tmp_path / "a.mp4", float("nan")), "nan frames a second"),
        ):
            with pytest.raises(VideoError, match=message):
                VideoWriter(*arguments)
        with pytest.raises(VideoError, match="crf 60; must be 0 to 51"):
            VideoWriter(tmp_path / "a.mp4", FPS, crf=60)

    def test_writer_wants_one_size(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", FPS) as writer:
            writer.write(picture(0))
            with pytest.raises(VideoError, match="image of 40x64 px in a video of 96x64"):
                writer.write(picture(0, width=40))

    def test_writer_onto_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").mkdir()
        with pytest.raises(VideoError, match="is a folder"):
            VideoWriter(tmp_path / "a.mp4", FPS)


def test_a_cover_picture_is_not_taken_for_the_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "cover.mp4"), "w") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 200, 200, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        images = [(cover, picture(0, 200, 200)), *((video, picture(i)) for i in range(8))]
        for stream, image in images:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        for stream in (cover, video):
            out.mux(stream.encode())
    with VideoReader(tmp_path / "cover.mp4") as reader:
        assert (reader.width, reader.height) == (96, 64)
        assert sum(1 for _ in reader) == 8
        assert reader.notices == []


@pytest.mark.parametrize(
    ("suffix", "codec", "format"),
    [
        (".mp4", "libx264", "yuv420p"),
        (".mkv", "libx264", "yuv420p"),
        (".avi", "mjpeg", "yuvj420p"),
        (".mkv", "ffv1", "gray16le"),
        (".mp4", "mpeg4", "yuv420p"),
    ],
)
def test_a_file_that_was_cut_off_says_so(
    tmp_path: Path, suffix: str, codec: str, format: str
) -> None:
    """A whole one has no notices."""
    path = tmp_path / f"a{suffix}"
    # The index in front, or the file cannot be opened at all once its end is missing.
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, format
        for index in range(50):
            # Noise, so that the frames are larger than the index.
            noise = np.random.default_rng(index).integers(0, 256, (64, 96, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, "bgr24").reformat(format=format)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 50
        assert reader.notices == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with VideoReader(path) as reader:
        count = sum(1 for _ in reader)
        assert 15 <= count < 45
        assert reader.notices, count


def test_frames_missing_in_the_middle_or_repeated_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for index in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11):
            frame = av.VideoFrame.from_ndarray(picture(index), "bgr24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 10
        assert reader.notices == [
            f"{path}: missing by the times of its frames: about 2 frames, in 1 place"
        ]


def test_a_recording_that_was_never_finished_says_that_it_has_no_length(tmp_path: Path) -> None:
    class Pipe:
        """What a recorder wrote into before it was killed: it never goes back to the header."""

        def __init__(self) -> None:
            self.data = bytearray()

        def write(self, data: bytes) -> int:
            self.data += bytes(data)
            return len(data)

    pipe, path = Pipe(), tmp_path / "a.mkv"
    with av.open(pipe, "w", format="matroska") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(picture(index), "bgr24").reformat(format="yuvj420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    path.write_bytes(pipe.data)
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 6
        assert reader.notices == [
            f"{path}: does not say how long it is, as if its recorder had been stopped; a missing "
            "end would not be seen"
        ]


def test_a_rate_that_varies_on_purpose_is_no_loss(tmp_path: Path) -> None:
    """Phones record when the light allows."""
    path = tmp_path / "a.mp4"
    times_ms = np.cumsum(
        [33, 33, 100, 33, 500, 33, 33, 20, 20, 90, 33, 33, 33, 250, 33, 33, 40, 33]
    )
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(index), "bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with VideoReader(path) as reader:
        stamps_ms = [round(frame.stamp_ns / 1e6) for frame in reader]
        assert np.diff(stamps_ms).tolist() == np.diff(times_ms).tolist()
        assert reader.notices == []


def test_a_title_in_any_encoding_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Café"
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 96, 64
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), "bgr24")))
        out.mux(stream.encode())
    data = path.read_bytes()
    assert "Café".encode() in data
    path.write_bytes(data.replace("Café".encode(), b"Caf\xe9\xe9"))
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 1


def test_a_damaged_packet_costs_its_own_frames_only(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        start, size = packets[14].pos, packets[14].size
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        stamps = [frame.stamp_ns for frame in reader]
        assert reader.damaged_packets == 1
        assert reader.notices == [f"{path}: 1 damaged packet could not be decoded"]
    assert 25 <= len(stamps) < 30
    assert stamps == sorted(stamps) and stamps[-1] == round(29e9 / FPS)


@pytest.mark.parametrize("name", ["data:a.mp4", "concat:a|b.mp4", "http:b.mp4", "caf\udce9.mp4"])
def test_a_name_is_never_taken_for_a_url(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, 4)
    with VideoReader(tmp_path / name) as reader:
        assert sum(1 for _ in reader) == 4


def test_16_bit_grey_video_keeps_the_value_range_of_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "narrow.mkv"
    grey = [cv2.cvtColor(picture(i), cv2.COLOR_BGR2GRAY).astype(np.uint16) for i in range(4)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "gray16le"
        for image in grey:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image * 3 + 7400, "gray16le")))
        out.mux(stream.encode())
    low, high = np.percentile(grey[0], [1, 99])
    with VideoReader(path) as reader:
        for frame, image in zip(reader, grey, strict=True):
            expected = np.clip((image - low) * 255 / (high - low), 0, 255)
            assert np.abs(frame.image[..., 0] - expected).max() <= 1


def test_a_rate_that_only_a_clock_can_have_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "clock.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=90000)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(picture(index), "bgr24")
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with VideoReader(path) as reader:
        assert 0 < reader.fps <= 1000
        VideoWriter(tmp_path / "o.mp4", reader.fps)


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 3)
    before = path.read_bytes()
    writer = VideoWriter(path, FPS)
    writer.write(picture(0))
    assert path.read_bytes() == before
    writer.close()
    assert path.read_bytes() != before and [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 1


def test_images_with_times_of_their_own(tmp_path: Path) -> None:
    """As from a camera that is read when the tracker is free; two at one time come 1 ms apart."""
    path = tmp_path / "a.mp4"
    stamps_ms = [0, 40, 140, 145, 145, 400]
    with VideoWriter(path, fps=30) as out:
        for index, stamp in enumerate(stamps_ms):
            out.write(picture(index), 1_700_000_000_000_000_000 + stamp * 1_000_000)
    with VideoReader(path) as reader:
        shown = [round(frame.stamp_ns / 1e6) for frame in reader]
        assert shown == [0, 40, 140, 145, 146, 400]


#: What a header can ask for: a point (x, y) is shown at (a * x + c * y, b * x + d * y).
TURNS = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "quarter turn": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "half turn": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "three quarter turns": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "front camera": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down in a mirror": ((1, 0, 0, -1), lambda image: image[::-1]),
    "rows as columns": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "rows as columns, from the end": (
        (0, -1, -1, 0), lambda image: image[::-1, ::-1].swapaxes(0, 1)
    ),
    "tilted by two degrees": ((0.9994, 0.0349, -0.0349, 0.9994), lambda image: image),
}  # fmt: skip


def write_turned(path: Path, numbers: tuple[float, ...]) -> Path:
    """A video whose track header asks for an orientation."""
    data = bytearray(write_video(path, 2).read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0
    a, b, c, d = (round(number * 65536) for number in numbers)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_is_turned_and_mirrored_as_it_is_displayed(tmp_path: Path, turn: str) -> None:
    numbers, shown = TURNS[turn]
    with VideoReader(write_video(tmp_path / "plain.mp4", 2)) as reader:
        stored = next(iter(reader)).image
    with VideoReader(write_turned(tmp_path / "a.mp4", numbers)) as reader:
        image = next(iter(reader)).image
        assert reader.notices == []
    np.testing.assert_array_equal(image, shown(stored))
    assert image.flags.c_contiguous


@pytest.mark.parametrize("numbers", [(0.7, 0.7, -0.7, 0.7), (0, 0, 0, 0), (1, 1, 0, 1)])
def test_an_orientation_between_quarter_turns_is_told(
    tmp_path: Path, numbers: tuple[float, ...]
) -> None:
    with VideoReader(write_video(tmp_path / "plain.mp4", 2)) as reader:
        stored = next(iter(reader)).image
    path = write_turned(tmp_path / "a.mp4", numbers)
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(next(iter(reader)).image, stored)
        assert reader.notices == [
            f"{path}: its header asks for more than quarter turns and mirrors; frames are taken as "
            "they are stored"
        ]


def test_a_picture_alone_is_read_as_in_a_folder(tmp_path: Path) -> None:
    """With all its bits, and as it is stored; FFmpeg reads more than one kind of them otherwise."""
    deep = (7000 + np.arange(64 * 96).reshape(64, 96) // 8).astype(np.uint16)
    for name in ("a.tiff", "a.png"):
        (tmp_path / name[-4:]).mkdir()
        path = tmp_path / name[-4:] / name
        path.write_bytes(cv2.imencode(path.suffix, deep)[1].tobytes())
        with VideoReader(path) as alone, VideoReader(path.parent) as folder:
            assert alone.n_frames == 1
            (one,), (other,) = list(alone), list(folder)
        np.testing.assert_array_equal(one.image, other.image)


def test_pages_of_a_tiff_file_are_not_dropped_and_an_animated_png_is_a_video(
    tmp_path: Path,
) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs pillow")
    pages = [image_module.fromarray(picture(index)[..., ::-1].copy()) for index in range(4)]
    for suffix in (".tiff", ".png"):
        options = {} if suffix == ".tiff" else {"duration": 40}
        pages[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pages[1:], **options)
    with pytest.raises(VideoError, match=r"a.tiff: holds 4 pictures; a file must hold one"):
        VideoReader(tmp_path / "a.tiff")
    with VideoReader(tmp_path / "a.png") as reader:
        for index, frame in enumerate(reader):
            np.testing.assert_array_equal(frame.image, picture(index))
        assert index == 3


def test_a_raw_stream_says_that_it_has_no_times_however_short(tmp_path: Path) -> None:
    """An MP4 file without its headers may be taken for one, of a single frame."""
    path = tmp_path / "a.m4v"
    with av.open(str(path), "w", format="m4v") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 96, 64
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), "bgr24")))
        out.mux(stream.encode())
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 1
        assert "a raw m4v stream says neither its length nor the times" in reader.notices[0]


def test_a_video_with_the_name_of_a_picture_is_read_as_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5).rename(tmp_path / "a.png")
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 5


def test_which_of_several_videos_in_a_file_is_taken_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pair.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(3):
            for stream in streams:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), "bgr24")))
        for stream in streams:
            out.mux(stream.encode())
    with VideoReader(path) as reader:
        assert reader.notices == [f"{path}: has 2 videos; stream 0 is taken"]


def test_parts_that_a_stream_lost_on_its_way_are_told(tmp_path: Path) -> None:
    """A recording of a stream over a network: the decoder fills in what is missing."""
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(20):
            noise = np.random.default_rng(index).integers(0, 256, (64, 96, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "bgr24")))
        out.mux(stream.encode())
    data = path.read_bytes()
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 20 and reader.notices == []
    half = len(data) // 188 // 2 * 188
    path.write_bytes(data[:half] + data[half + 6 * 188 :])
    with VideoReader(path) as reader:
        assert 18 <= sum(1 for _ in reader) <= 20
        assert any("arrived with parts missing" in one for one in reader.notices), reader.notices
