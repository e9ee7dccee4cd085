"""Reads many damaged files with the project's readers and counts what must never happen.

    scripts/with_env python scripts/fuzz_files.py --files 30000 --keep fuzz_out

Good files of every kind are written first: pictures, index masks, videos, COCO, bags, YAML, boxes
and inits. Each is then damaged in many ways and read in a child process. A file may be read or be
refused with an error that names it. These count as faults:

- crash: the child is ended by a signal
- memory: it needs more than 2 GB
- hang: one file takes more than 20 s of computing, or ten minutes
- error: another exception than those the project raises on purpose
- silent: a video or bag gives another number of frames than the whole file, although neither a
  notice nor the file's own count says so

Faulty files are kept in --keep, and the exit code is 1 if there are any. The same --seed damages
the same files in the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

MAX_RSS_BYTES = 2_000_000_000
MAX_CPU_SECONDS = 20.0
MAX_SECONDS = 600.0

#: How often a kind is chosen: those that C libraries read most of all.
KINDS = {
    "picture": 6, "folder": 2, "mask": 4, "video": 6, "coco": 4, "bag": 4, "yaml": 2, "boxes": 1,
    "inits": 1,
}  # fmt: skip

FRAMES = 12
SIZE = (48, 64)  # height, width


class Refused(Exception):
    """The reader refused a file with one of the project's own errors."""


# --- good files -----------------------------------------------------------------------------


def picture(index: int = 0) -> np.ndarray:
    import cv2

    image = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    return cv2.circle(image, (20 + index, 24), 10, (20, 40, 230), cv2.FILLED)


def labels(index: int = 0) -> np.ndarray:
    import cv2

    return cv2.circle(np.zeros(SIZE, np.uint8), (20 + index, 24), 10, 1, cv2.FILLED)


def write_good_files(folder: Path) -> None:
    """One folder for each kind."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
    _write_pictures(folder / "picture")
    for path in (folder / "picture").iterdir():
        shutil.copy(path, folder / "folder")
    _write_masks(folder / "mask")
    _write_videos(folder / "video")
    _write_texts(folder)
    _write_bags(folder / "bag")


def _write_pictures(folder: Path) -> None:
    import cv2

    image = picture()
    wide = image.astype(np.uint16) * 40 + 3000
    stored = {
        "a.png": image, "grey.png": image[..., 0], "deep.png": wide[..., 0], "deep3.png": wide,
        "a.jpg": image, "a.bmp": image, "a.ppm": image, "a.webp": image, "a.tiff": image,
        "deep.tiff": wide, "float.tiff": image[..., 0].astype(np.float32) / 255,
        "alpha.png": cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),
    }  # fmt: skip
    for name, pixels in stored.items():
        (folder / name).write_bytes(cv2.imencode(Path(name).suffix, pixels)[1].tobytes())
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    (folder / "steps.jpg").write_bytes(cv2.imencode(".jpg", image, progressive)[1].tobytes())


def _write_masks(folder: Path) -> None:
    import cv2

    from siampolar_model.io.exports.davis import _palette, encode_index_png

    (folder / "index.png").write_bytes(encode_index_png(labels(), _palette()))
    (folder / "grey.png").write_bytes(cv2.imencode(".png", labels() * 255)[1].tobytes())
    colour = np.repeat(labels()[..., None], 3, 2) * np.array([0, 0, 128], np.uint8)
    (folder / "colour.png").write_bytes(cv2.imencode(".png", colour)[1].tobytes())


def _write_videos(folder: Path) -> None:
    import av

    front = {"movflags": "+faststart"}
    for name, codec, format, options in (
        ("a.mp4", "libx264", "yuv420p", {}), ("front.mp4", "libx264", "yuv420p", front),
        ("a.mkv", "libx264", "yuv420p", {}), ("deep.mkv", "ffv1", "gray16le", {}),
        ("a.avi", "mjpeg", "yuvj420p", {}), ("a.mov", "mpeg4", "yuv420p", front),
        ("a.webm", "libvpx-vp9", "yuv420p", {}), ("a.ts", "libx264", "yuv420p", {}),
        ("a.gif", "gif", "rgb8", {}),
    ):  # fmt: skip
        with av.open(str(folder / name), "w", options=options) as out:
            stream: Any = out.add_stream(codec, rate=Fraction(25))
            stream.height, stream.width = SIZE
            stream.pix_fmt = format
            stream.thread_count = 1
            for index in range(FRAMES):
                frame = av.VideoFrame.from_ndarray(picture(index), "bgr24")
                out.mux(stream.encode(frame.reformat(format=format)))
            out.mux(stream.encode())


def _write_texts(folder: Path) -> None:
    import cv2

    from siampolar_model.geometry.rle import encode_rle

    image, mask = picture(), labels()
    (folder / "coco" / "1.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    square = [10, 14, 30, 14, 30, 34, 10, 34]
    flat = np.diff(np.flatnonzero(np.diff(mask.ravel("F"), prepend=2, append=2))).tolist()
    outlines: list[Any] = [
        [square], [[*square], [40, 5, 50, 5, 45, 20]], encode_rle(mask),
        {"counts": flat, "size": list(SIZE)},
    ]  # fmt: skip
    for place, outline in enumerate(outlines):
        one = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [10, 14, 20, 20],
               "area": 400, "segmentation": outline}  # fmt: skip
        data = {
            "images": [{"id": 1, "file_name": "1.png", "height": SIZE[0], "width": SIZE[1]}],
            "annotations": [one, {**one, "id": 2, "segmentation": [square]}],
            "categories": [{"id": 1, "name": "thing"}],
        }
        (folder / "coco" / f"{place}.json").write_text(json.dumps(data))
    root = Path(__file__).resolve().parent.parent
    for path in sorted((root / "config" / "network").glob("*.yaml")):
        shutil.copy(path, folder / "yaml")
    rows = "".join(f"{10 + i},{20 + i},30,25.5\n" for i in range(FRAMES))
    (folder / "boxes" / "groundtruth.txt").write_text(rows)
    corners = "".join(f"{i},5,{i + 20},5,{i + 20},25,{i},25\n" for i in range(FRAMES))
    (folder / "boxes" / "corners.txt").write_text(corners)
    starts = [{"frame": i, "box": [10.5, 9, 50, 60], "id": i + 1} for i in range(4)]
    (folder / "inits" / "inits.json").write_text(json.dumps(starts))


def _write_bags(folder: Path) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from siampolar_model.io.bags import IMAGE, typestore

    store = typestore()
    make = store.types
    for name, storage, compressed in (
        ("mcap", StoragePlugin.MCAP, False), ("zstd", StoragePlugin.MCAP, True),
        ("db3", StoragePlugin.SQLITE3, False),
    ):  # fmt: skip
        bag = folder / name
        writer = Writer(bag, version=9, storage_plugin=storage)
        if compressed:
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            connection = writer.add_connection("/image", IMAGE, typestore=store)
            for index in range(FRAMES):
                stamp = make["builtin_interfaces/msg/Time"](sec=1 + index, nanosec=0)
                header = make["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
                message = make[IMAGE](
                    header=header, height=SIZE[0], width=SIZE[1], encoding="bgr8", is_bigendian=0,
                    step=SIZE[1] * 3, data=picture(index).ravel(),
                )  # fmt: skip
                data = store.serialize_cdr(message, IMAGE)
                writer.write(connection, (1 + index) * 10**9, data)
        (file,) = (path for path in bag.iterdir() if path.name != "metadata.yaml")
        shutil.move(file, folder / f"{name}{file.suffix}")
        shutil.rmtree(bag)


# --- damage ---------------------------------------------------------------------------------

_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)
_VALUES = (
    "1e400", "-1", "NaN", "1e12", "3.5e8", "0", "null", "true", "[]", "{}", '""', '"a"', "[[1]]",
    "99999999999999999999999999", "-0.0", "1e-320", '"\\ud800"', "[" * 2000,
)  # fmt: skip


def damage(data: bytes, text: bool, rng: random.Random) -> bytes:
    """One to four changes."""
    ways = _TEXT_WAYS if text and rng.random() < 0.8 else _BYTE_WAYS
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(ways)(data, rng)
    return data


def _place(data: bytes, rng: random.Random) -> int:
    """Headers are hit more often than what follows them."""
    if not data:
        return 0
    return rng.randrange(min(len(data), rng.choice((64, 512, len(data), len(data)))))


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 40))):
        if changed:
            changed[_place(data, rng)] = rng.randrange(256)
    return bytes(changed)


def _fill(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice((4, 32, 400))
    run = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return data[:at] + run[: len(data) - at] + data[at + length :]


def _extreme(data: bytes, rng: random.Random) -> bytes:
    width = rng.choice((1, 2, 4, 8))
    value = (rng.choice(_EXTREMES) & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    at = _place(data, rng)
    return data[:at] + value[:: rng.choice((1, -1))] + data[at + width :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _remove(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 7, 200, 3000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice((1, 16, 500))
    return data[: at + length] + data[at:]


def _line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at : at + 1] = rng.choice(
        ([], [lines[at]] * 2, [b""], [lines[at][: len(lines[at]) // 2]])
    )
    return b"\n".join(lines)


def _value(data: bytes, rng: random.Random) -> bytes:
    """Another value in the place of a number or a word."""
    import re

    found = list(re.finditer(rb"-?[\d.]+|\"[^\"]*\"|\w+", data))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(_VALUES).encode() + data[one.end() :]


_BYTE_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _fill, _extreme, _extreme, _cut, _remove, _repeat,
)  # fmt: skip
_TEXT_WAYS = (_value, _value, _value, _line, _cut, _flip)


# --- readers --------------------------------------------------------------------------------


def read_picture_file(path: Path) -> str:
    from siampolar_model.images.picture import read_bgr

    image = read_bgr(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    return ""


def read_folder(path: Path) -> str:
    from siampolar_model.io.video import VideoReader

    with VideoReader(path.parent) as reader:
        count = sum(1 for _ in reader)
    return "" if count == 1 else f"{count} frames of a folder of 1"


def read_mask(path: Path) -> str:
    from siampolar_model.errors import SiampolarError
    from siampolar_model.evaluation.pictures import read_labels
    from siampolar_training.data.readers.decode import read_labels as read_by_pillow

    with contextlib.suppress(SiampolarError):
        read_by_pillow(path)
    values = read_labels(path)
    assert values.dtype == np.uint8 and values.ndim == 2
    return ""


def read_video_file(path: Path) -> str:
    from siampolar_model.io.video import VideoReader

    with VideoReader(path) as reader:
        count = sum(1 for _ in reader)
    shorter = path.suffix == ".ts" and count < FRAMES  # has no length, so it may end anywhere
    if count in (FRAMES, reader.n_frames) or reader.notices or shorter:
        return ""
    return f"{count} frames of {FRAMES}, the file says {reader.n_frames}"


def read_coco(path: Path) -> str:
    from siampolar_training.data.readers.coco import Coco

    read = Coco(path, path.parent, validation=None).read(0)
    assert read.labels is None or int(read.labels.max(initial=0)) <= 2
    return ""


def read_bag(path: Path) -> str:
    from siampolar_model.errors import FrameError
    from siampolar_model.io.bags import BagReader, image_of

    with BagReader(path) as reader:
        topic = reader.image_topic()
        count = refused = 0
        for message in reader.messages(topic):
            count += 1
            try:
                image_of(message).frame.to_bgr()
            except FrameError:  # the replay counts and names these
                refused += 1
        if count == FRAMES or count == reader.count(topic) or reader.notices:
            return ""
        return f"{count} messages of {FRAMES}, the bag says {reader.count(topic)}"


def read_yaml_file(path: Path) -> str:
    from siampolar_model.network.config import load_config

    load_config(path)
    return ""


def read_box_file(path: Path) -> str:
    from siampolar_model.evaluation.boxes import read_boxes

    assert read_boxes(path).shape[1] == 4
    return ""


def read_init_file(path: Path) -> str:
    from siampolar_model.cli.inits import check_inits, read_inits
    from siampolar_model.tracking.settings import TrackerSettings

    check_inits(read_inits(path), (320, 240), 0, 10, TrackerSettings())
    return ""


READERS: dict[str, Callable[[Path], str]] = {
    "picture": read_picture_file, "folder": read_folder, "mask": read_mask,
    "video": read_video_file, "coco": read_coco, "bag": read_bag, "yaml": read_yaml_file,
    "boxes": read_box_file, "inits": read_init_file,
}  # fmt: skip


# --- the child: one line when a file begins, one when it ends -------------------------------


def damaged_file(good: Path, work: Path, seed: int, number: int) -> tuple[str, Path]:
    """Write damaged file ``number`` of this seed into an empty folder; its kind and path."""
    rng = random.Random(f"{seed} {number}")
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    texts = (".json", ".yaml", ".txt")
    sources = sorted(
        path for path in (good / kind).iterdir() if kind != "coco" or path.suffix == ".json"
    )
    source = rng.choice(sources)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    if kind in ("yaml", "coco"):  # what the file refers to
        for path in (good / kind).iterdir():
            shutil.copy(path, work)
    path = work / source.name
    path.write_bytes(damage(source.read_bytes(), source.suffix in texts, rng))
    return kind, path


def run_child(good: Path, work: Path, seed: int, begin: int, end: int) -> None:
    """Damage and read files, and tell what came of each."""
    from siampolar_model.errors import SiampolarError

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (3 * MAX_RSS_BYTES, 3 * MAX_RSS_BYTES))
    warnings.simplefilter("ignore")
    for number in range(begin, end):
        kind, path = damaged_file(good, work, seed, number)
        tell(number=number, kind=kind, name=path.name)
        try:
            silent = READERS[kind](path)
            outcome, detail = ("silent", silent) if silent else ("read", "")
        except (SiampolarError, OSError) as error:  # the command line prints both as one line
            outcome, detail = "refused", str(error)
            if len(detail.splitlines()) != 1:
                outcome = "error"
        except Exception as error:
            outcome, detail = "error", f"{type(error).__name__}: {error}"
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if memory > MAX_RSS_BYTES:
            outcome, detail = "memory", f"{memory / 1e9:.1f} GB; {detail}"
        tell(outcome=outcome, detail=detail[:300])
        if outcome == "memory":
            return  # the peak would count for every file after it


def tell(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


# --- the parent -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of one file."""

    number: int
    kind: str
    name: str
    outcome: str
    detail: str


def watch(good: Path, work: Path, seed: int, begin: int, end: int) -> Iterator[Outcome]:
    """Start children until every file was tried."""
    while begin < end:
        command = [sys.executable, __file__, "--child", str(good), str(work)]
        command += [str(seed), str(begin), str(end)]
        with (work.parent / "child.log").open("wb") as log:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert child.stdout is not None
        tried: dict[str, Any] = {}
        for line in lines_of(child):
            if line is None:
                child.kill()
                yield Outcome(**tried, outcome="hang", detail=f"more than {MAX_CPU_SECONDS:g} s")
                break
            if "number" in line:
                tried = line
                continue
            yield Outcome(**tried, **line)
            begin, tried = tried["number"] + 1, {}
        code = child.wait()
        if tried:
            if code < 0 and code != -9:
                yield Outcome(**tried, outcome="crash", detail=f"signal {-code}")
            elif code >= 0:
                yield Outcome(**tried, outcome="crash", detail=f"the child ended with {code}")
            begin = tried["number"] + 1
        elif code > 0:
            sys.exit((work.parent / "child.log").read_text()[-3000:])


def lines_of(child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """What the child tells; None if it is silent for too long."""
    assert child.stdout is not None
    file, buffer = child.stdout.fileno(), b""
    told, used = time.monotonic(), cpu_seconds(child.pid)
    while True:
        if not select.select([file], [], [], 1.0)[0]:
            # On a busy machine a child may wait for long without being at fault.
            computed = cpu_seconds(child.pid) - used
            if computed > MAX_CPU_SECONDS or time.monotonic() - told > MAX_SECONDS:
                yield None
                return
            continue
        told, used = time.monotonic(), cpu_seconds(child.pid)
        data = os.read(file, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        good, work, seed, begin, end = sys.argv[2:]
        run_child(Path(good), Path(work), int(seed), int(begin), int(end))
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=30_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that showed a fault")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        good, work = Path(temporary, "good"), Path(temporary, "work")
        write_good_files(good)
        counts: Counter[tuple[str, str]] = Counter()
        faults = 0
        end = options.first + options.files
        for one in watch(good, work, options.seed, options.first, end):
            counts[one.kind, one.outcome] += 1
            if one.outcome in ("read", "refused"):
                continue
            faults += 1
            print(f"{one.number} {one.kind} {one.name}: {one.outcome} ({one.detail})", flush=True)
            if options.keep is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                _, path = damaged_file(good, Path(temporary, "kept"), options.seed, one.number)
                shutil.copy(path, options.keep / f"{one.number}_{one.name}")
    for kind in KINDS:
        told = ", ".join(f"{n} {what}" for (k, what), n in sorted(counts.items()) if k == kind)
        print(f"{kind}: {told}")
    print(f"{sum(counts.values())} files in {time.monotonic() - began:.0f} s, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
