"""Replaying a recording: every storage and image kind, late boxes, errors, whole outputs only."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from support.blob_engine import BlobEngine

pytest.importorskip("rosbags", reason="needs rosbags (pip install '.[replay]')")

from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from siampolar_model.cli import main as cli
from siampolar_model.errors import ReplayError
from siampolar_model.geometry.box import Box
from siampolar_model.io import bags
from siampolar_model.io.bags import BagReader
from siampolar_model.io.messages import request_from_message, stamp_to_ns
from siampolar_model.io.video import VideoReader
from siampolar_model.replay.replay import Replay, TimedBox
from siampolar_model.results import TargetState
from siampolar_model.session.requests import InitResult
from siampolar_model.session.session import Targets
from siampolar_model.session.settings import SessionSettings
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker

TOPIC = "/camera/image_raw"
RED, GREEN = (40, 40, 230), (60, 200, 40)
FIRST_NS, PERIOD_NS = 1_700_000_000_000_000_000, 33_333_333


def scene(index: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A red disc going right, a green one going down, on grey noise."""
    image = np.random.default_rng(5).integers(90, 130, (height, width, 3), dtype=np.uint8)
    cv2.circle(image, (80 + 3 * index, 60), 24, RED, cv2.FILLED)
    cv2.circle(image, (240, 80 + 3 * index), 24, GREEN, cv2.FILLED)
    return image


RED_BOX, GREEN_BOX = Box(56, 36, 104, 84), Box(216, 56, 264, 104)


class Recording:
    """Writes a bag message by message."""

    def __init__(self, path: Path, storage: str = "mcap", version_0_1: bool = False) -> None:
        self.store = bags._typestore_0_1() if version_0_1 else bags.typestore()
        self.version_0_1 = version_0_1
        self.writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        self.writer.open()
        self.connections: dict[str, Any] = {}

    def make(self, type: str, **fields: Any) -> Any:
        return self.store.types[type](**fields)

    def header(self, stamp_ns: int, frame_id: str = "camera") -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = self.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)

    def add(self, topic: str, type: str, time_ns: int, **fields: Any) -> None:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, type, typestore=self.store)
        data = self.store.serialize_cdr(self.make(type, **fields), type)
        self.writer.write(self.connections[topic], time_ns, data)

    def image(
        self,
        image: np.ndarray,
        stamp_ns: int,
        topic: str = TOPIC,
        encoding: str = "bgr8",
        time_ns: int = 0,
    ) -> None:
        height, width = image.shape[:2]
        self.add(
            topic, bags.IMAGE, time_ns or stamp_ns + 5_000_000, header=self.header(stamp_ns),
            width=width, height=height, encoding=encoding, is_bigendian=0, step=image.strides[0],
            data=np.ascontiguousarray(image).ravel(),
        )  # fmt: skip

    def compressed(self, data: bytes, stamp_ns: int, topic: str = TOPIC) -> None:
        self.add(
            topic, bags.COMPRESSED, stamp_ns + 5_000_000, header=self.header(stamp_ns),
            format="jpeg", data=np.frombuffer(data, np.uint8),
        )  # fmt: skip

    def init(self, box: Box, stamp_ns: int, time_ns: int, id: int = 0) -> None:
        x, y, width, height = box.as_xywh()
        later = {} if self.version_0_1 else self.fields_after_0_1()
        self.add(
            "/tracker/init_target", bags.INIT_TARGET, time_ns, header=self.header(stamp_ns),
            id=id, x=x, y=y, width=width, height=height, image_width=0, image_height=0, **later,
        )  # fmt: skip

    def fields_after_0_1(self) -> dict[str, Any]:
        mask = self.make(
            bags.IMAGE, header=self.header(0), width=0, height=0, encoding="", is_bigendian=0,
            step=0, data=np.zeros(0, np.uint8),
        )  # fmt: skip
        return {"kind": 0, "polygon_xy": np.zeros(0, np.float32), "mask": mask}

    def close(self) -> None:
        self.writer.close()


def record(path: Path, storage: str = "mcap", images: int = 20, jpeg: bool = False) -> Path:
    """A bag of the scene at 30 Hz."""
    recording = Recording(path, storage)
    for index in range(images):
        stamp_ns = FIRST_NS + index * PERIOD_NS
        if jpeg:
            data = cv2.imencode(".jpg", scene(index), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            recording.compressed(bytes(data), stamp_ns)
        else:
            recording.image(scene(index), stamp_ns)
    recording.close()
    return path


def results_of(path: Path) -> list[Any]:
    """The messages of a result bag, in order: (topic, time, message)."""
    store = bags.typestore()
    with Reader(path) as reader:
        return [
            (connection.topic, time_ns, store.deserialize_cdr(data, connection.msgtype))
            for connection, time_ns, data in reader.messages()
        ]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["replay", *(str(argument) for argument in arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def blob(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test double for the network: it follows colours, exactly and at once."""

    def from_pretrained(name: str, *, settings: TrackerSettings, **_: object) -> Tracker:
        return Tracker(BlobEngine(), settings)

    monkeypatch.setattr(Tracker, "from_pretrained", from_pretrained)


def feed(path: Path, run: Replay, *topics: str) -> list[tuple[int, Any]]:
    """All events of a replay with the times of the messages that led to them."""
    events, time_ns = [], 0
    with BagReader(path) as reader:
        for message in reader.messages(*(topics or (TOPIC,))):
            time_ns = message.time_ns
            events += [(time_ns, event) for event in run.feed(message)]
    return events + [(time_ns, event) for event in run.finish()]


@pytest.mark.usefixtures("blob")
class TestWhatItFollows:
    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    @pytest.mark.parametrize("jpeg", [False, True])
    def test_into_bag_lines_and_video(self, tmp_path: Path, storage: str, jpeg: bool) -> None:
        bag = record(tmp_path / "bag", storage, jpeg=jpeg)
        out, lines, video = tmp_path / "out", tmp_path / "out.jsonl", tmp_path / "out.mp4"
        code = run(
            bag, "--topic", TOPIC, "--box", "56,36,48,48", "--box", "216,56,48,48",
            "-o", out, "--jsonl", lines, "--video", video,
        )  # fmt: skip
        assert code == 0
        read = [json.loads(line) for line in lines.read_text().splitlines()]
        assert [line["frame"] for line in read] == list(range(20))
        for index, line in enumerate(read):
            assert line["stamp_ns"] == FIRST_NS + index * PERIOD_NS
            red, green = line["targets"]
            assert (red["id"], green["id"]) == (1, 2) and red["state"] == "tracking"
            x, y, width, height = red["box"]
            assert abs(x + width / 2 - (80.5 + 3 * index)) < 2 and abs(y + height / 2 - 60.5) < 2
        assert (out / {"mcap": "out.mcap", "sqlite3": "out.db3"}[storage]).is_file()
        messages = results_of(out)
        answers = [m for topic, _, m in messages if topic == "/tracker/init_result"]
        assert [(a.success, a.id, a.message) for a in answers] == [(True, 1, ""), (True, 2, "")]
        results = {
            stamp_to_ns(m.header.stamp): m for t, _, m in messages if t == "/tracker/targets"
        }
        assert len(results) == 20
        for line in read:
            message = results[line["stamp_ns"]]
            assert message.header.frame_id == "camera"
            assert (message.image_width, message.image_height) == (320, 240)
            for written, target in zip(message.targets, line["targets"], strict=True):
                assert written.id == target["id"] and written.state == TargetState.TRACKING
                outline = written.polygon_xy.reshape(-1, 2)
                assert np.abs(outline - target["polygon"]).max() < 0.01
        with VideoReader(video) as reader:
            frames = list(reader)
        assert len(frames) == 20 and frames[0].image.shape == (240, 320, 3)
        assert abs(reader.fps - 30) < 0.1
        changed = np.abs(frames[9].image.astype(int) - scene(9)).max(2) > 60
        assert 100 < changed.sum() < 0.4 * changed.size

    def test_a_box_drawn_later_and_an_init_that_arrives_late(self, tmp_path: Path) -> None:
        bag = record(tmp_path / "bag")
        run = Replay(Tracker(BlobEngine()), [TimedBox(Box(246 - 30, 71, 264, 119), at_s=0.167)])
        events = [event for _, event in feed(bag, run)]
        ids = [
            [one.id for one in event.targets]
            for event in events
            if isinstance(event, Targets) and not event.update
        ]
        assert ids == [[]] * 6 + [[1]] * 14  # image 5 is reported again, with the target
        (again,) = [e for e in events if isinstance(e, Targets) and e.update]
        assert again.image.stamp_ns == FIRST_NS + 5 * PERIOD_NS and len(again.targets) == 1

    @pytest.mark.parametrize("version_0_1", [False, True])
    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_recorded_inits_are_obeyed_when_they_came(
        self, storage: str, version_0_1: bool, tmp_path: Path
    ) -> None:
        """One drawn on the first image arrives with the eleventh: the same track from there on."""
        recording = Recording(tmp_path / "bag", storage, version_0_1)
        for index in range(20):
            recording.image(scene(index), FIRST_NS + index * PERIOD_NS)
            if index == 10:
                now_ns = FIRST_NS + index * PERIOD_NS + 6_000_000
                recording.init(RED_BOX, FIRST_NS, now_ns, id=7)
                recording.init(RED_BOX, 1, now_ns)
        recording.close()
        late = Replay(Tracker(BlobEngine()))
        events = feed(tmp_path / "bag", late, TOPIC, "/tracker/init_target")
        taken, refused = [e for _, e in events if isinstance(e, InitResult)]
        assert taken.success and taken.id == 7
        assert not refused.success and "older than the oldest image" in refused.message
        in_time = Replay(Tracker(BlobEngine()), [TimedBox(RED_BOX)])
        expected = {
            e.image.stamp_ns: e.targets[0].box
            for _, e in feed(tmp_path / "bag", in_time)
            if isinstance(e, Targets) and e.targets
        }
        got = {
            e.image.stamp_ns: e.targets[0].box
            for _, e in events
            if isinstance(e, Targets) and e.targets
        }
        assert sorted(got) == [FIRST_NS + k * PERIOD_NS for k in range(10, 20)]
        assert all(expected[stamp] == box for stamp, box in got.items())

    def test_an_init_ahead_of_its_image_waits_in_the_time_of_the_recording(
        self, tmp_path: Path
    ) -> None:
        recording = Recording(tmp_path / "bag")
        recording.init(RED_BOX, FIRST_NS, FIRST_NS - 10**9)
        recording.image(scene(0), FIRST_NS)
        recording.init(RED_BOX, FIRST_NS + 10**9, FIRST_NS + 10**8)
        recording.image(scene(1), FIRST_NS + PERIOD_NS)
        recording.close()
        run = Replay(Tracker(BlobEngine()), settings=SessionSettings(hold_init_s=2.0))
        events = feed(tmp_path / "bag", run, TOPIC, "/tracker/init_target")
        taken, refused = [e for _, e in events if isinstance(e, InitResult)]
        assert taken.success and not refused.success
        assert "lies in the future" in refused.message and "waited 2 s" in refused.message

    def test_what_goes_wrong_in_a_stream_does_not_end_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recording = Recording(tmp_path / "bag", "sqlite3")
        for index in range(6):
            recording.image(scene(index), FIRST_NS + index * PERIOD_NS)
        recording.image(scene(6), FIRST_NS + 6 * PERIOD_NS, encoding="yuv9000")
        recording.image(scene(7, 200, 160), FIRST_NS + 7 * PERIOD_NS)
        for index in range(8, 10):
            stamp_ns, time_ns = (FIRST_NS + (index + k) * PERIOD_NS for k in (-9, 0))  # jumps back
            recording.image(scene(index), stamp_ns, time_ns=time_ns)
        recording.close()
        lines, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
        assert run(
            tmp_path / "bag", "--box", "56,36,48,48", "--jsonl", lines, "--video", video
        ) == 0  # fmt: skip
        read = [json.loads(line) for line in lines.read_text().splitlines()]
        assert [line["frame"] for line in read] == [0, 1, 2, 3, 4, 5, 7, 8, 9]
        states = [line["targets"][0]["state"] for line in read]
        assert states == ["tracking"] * 6 + ["lost"] + ["tracking"] * 2
        printed = capsys.readouterr().err
        assert "image refused: unknown encoding 'yuv9000'" in printed
        assert "image size changed from 320x240 to 200x160" in printed
        assert "image stamps went back" in printed
        assert "10 images, 1 of them could not be read" in printed
        with VideoReader(video) as reader:
            assert len(list(reader)) == 9

    def test_a_line_holds_the_last_report_of_its_image(self, tmp_path: Path) -> None:
        """The init comes after an unreadable image, so the one before is reported again."""
        recording = Recording(tmp_path / "bag")
        recording.image(scene(0), FIRST_NS)
        recording.image(scene(1), FIRST_NS + PERIOD_NS, encoding="yuv9000")
        recording.init(RED_BOX, FIRST_NS, FIRST_NS + PERIOD_NS + 6_000_000)
        recording.image(scene(2), FIRST_NS + 2 * PERIOD_NS)
        recording.close()
        lines = tmp_path / "out.jsonl"
        arguments = ("--topic", TOPIC, "--inits", "/tracker/init_target", "--jsonl", lines)
        assert run(tmp_path / "bag", *arguments) == 0
        read = [json.loads(line) for line in lines.read_text().splitlines()]
        assert [line["frame"] for line in read] == [0, 2]
        assert [len(line["targets"]) for line in read] == [1, 1]

    def test_parameters_of_tracker_and_session(self, tmp_path: Path) -> None:
        bag = record(tmp_path / "bag", images=3)
        lines = tmp_path / "out.jsonl"
        arguments = (bag, "--box", "56,36,48,48", "--jsonl", lines)
        assert run(*arguments, "--set", "min_box_px=60") == 2
        assert run(*arguments, "--set", "min_box_px=40", "--set", "history_s=1") == 0


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_same_bag_gives_the_same_bytes_with_the_shipped_network(
    tmp_path: Path, storage: str
) -> None:
    bag = record(tmp_path / "bag", storage, images=12)
    contents = []
    for attempt in ("a", "b"):
        folder = tmp_path / attempt
        folder.mkdir()
        code = run(
            bag, "--box", "56,36,48,48", "--at", 0, "--box", "216,80,48,48", "--at", 0.2,
            "-o", folder / "out", "--jsonl", folder / "out.jsonl", "--video", folder / "out.mp4",
            "--engine", "onnxruntime",
        )  # fmt: skip
        assert code == 0
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert len(contents[0]) == 4  # the bag is two files
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("blob")
class TestBadInput:
    @pytest.fixture
    def bag(self, tmp_path: Path) -> Path:
        return record(tmp_path / "bag", images=3)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "nothing to follow: give --box x,y,w,h or --inits TOPIC"),
            (["--box", "1,2,3"], "box '1,2,3' is not four numbers"),
            (["--box", "5000,0,9,9"], "--box: init box x=5000 y=0 w=9 h=9 lies wholly outside"),
            (["--box", "1,2,30,40", "--at", "-1"], "--at -1 must be a number of seconds, 0 or"),
            (["--box", "1,2,30,40", "--at", "nan"], "--at nan must be a number of seconds"),
            (["--box", "1,2,30,40", "--at", "99"], "--at 99: the recording is shorter than that"),
            (["--box", "1,2,30,40", "--at", "1", "--at", "2"], "--at is given 2 times and --box 1"),
            (["--box", "1,2,30,40", "--topic", "/none"], "/none; image topics in this bag: /"),
            (["--inits", TOPIC], f"topic {TOPIC} is of sensor_msgs/msg/Image; topics of"),
            (["--box", "1,2,30,40", "--set", "lost_frames"], "must be NAME=VALUE"),
            (["--box", "1,2,30,40", "--set", "lost_frames=x"], "lost_frames is 'x'; it must be"),
            (["--box", "1,2,30,40", "--set", "nonsense=1"], "there is no setting 'nonsense'"),
        ],
    )  # fmt: skip
    def test_one_line_and_no_output(
        self, bag: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        out = bag.parent / "out"
        lines = bag.parent / "out.jsonl"
        lines.write_text("older")
        assert run(bag, *arguments, "-o", out, "--jsonl", lines) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
        assert sorted(p.name for p in bag.parent.iterdir()) == ["bag", "out.jsonl"]
        assert lines.read_text() == "older"

    def test_several_image_topics(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        recording = Recording(tmp_path / "two")
        for topic in ("/left", "/right"):
            recording.image(scene(0), FIRST_NS, topic=topic)
        recording.close()
        out = tmp_path / "o.jsonl"
        assert run(tmp_path / "two", "--box", "56,36,48,48", "--jsonl", out) == 2
        assert "give --topic; image topics in this bag: /left, /right" in capsys.readouterr().err

    def test_outputs_that_cannot_be_written(
        self, bag: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        box = ("--box", "56,36,48,48")
        for arguments, words in (
            ([], "nothing to write"),
            (["-o", bag], "exists already; give the name of a new folder"),
            (["--jsonl", bag / "none" / "o"], "none/o: No such file or directory"),
            (["--video", bag.parent / "o.avi"], "must end in .mp4"),
            (["--jsonl", bag.parent / "o", "--video", bag.parent / "o"], "two outputs in one"),
        ):
            assert run(bag, *box, *arguments) == 2
            error = capsys.readouterr().err
            assert words in error and len(error.splitlines()) == 1, error
        assert [p.name for p in bag.parent.iterdir()] == ["bag"]

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_damaged_bags(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str
    ) -> None:
        """Cut anywhere, overwritten anywhere: one line, never a traceback or an output."""
        bag = record(tmp_path / "good", storage, images=3)
        file = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
        whole = file.read_bytes()
        random = np.random.default_rng(1)
        damaged = [whole[:cut] for cut in (0, 1, 40, 2000, len(whole) // 2, len(whole) - 5)]
        for _ in range(25):
            data = np.frombuffer(whole, np.uint8).copy()
            at = random.integers(0, len(data), 40)
            at[:20] = random.integers(0, 2000, 20)  # headers
            data[at] = random.integers(0, 256, 40)
            damaged.append(data.tobytes())
        refused = 0
        for data in damaged:
            file.write_bytes(data)
            out = tmp_path / "o.jsonl"
            code = run(bag, "--topic", TOPIC, "--box", "56,36,48,48", "--jsonl", out)
            error = capsys.readouterr().err
            assert code in (0, 2) and "Traceback" not in error
            if code == 2:
                refused += 1
                lines = [one for one in error.splitlines() if not one.startswith("warning: ")]
                assert len(lines) - error.count("image refused") == 1, error
                assert not out.exists()
            out.unlink(missing_ok=True)
        assert refused >= 6  # pixels alone may have been hit, which no format notices
        (bag / "metadata.yaml").write_text("a: [")
        assert run(bag, "--box", "56,36,48,48", "--jsonl", tmp_path / "o.jsonl") == 2
        assert "cannot be read as a rosbag2" in capsys.readouterr().err


def unfinished(path: Path, images: int) -> tuple[Path, list[int]]:
    """An MCAP file of some images, and where its chunks of a few images end."""
    bag = record(path, "mcap", images)
    (file,) = bag.glob("*.mcap")
    data, at, ends = file.read_bytes(), 8, []
    while at < len(data) - 8:
        code, length = struct.unpack_from("<BQ", data, at)
        at += 9 + length
        ends += [at] * (code == 0x06)
    return file, ends


@pytest.mark.usefixtures("blob")
class TestAKilledRecorder:
    """It leaves an MCAP file without its end, and no metadata.yaml."""

    def test_is_read_as_far_as_it_goes(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, ends = unfinished(tmp_path / "bag", 20)
        assert len(ends) >= 3
        data = file.read_bytes()
        for place, (whole, folder) in enumerate([(2, True), (1, False), (2, False)]):
            file.write_bytes(data[: ends[whole] + 1000])
            out = tmp_path / f"{place}.jsonl"
            source = file.parent if folder else file
            assert run(source, "--box", "56,36,48,48", "--jsonl", out) == 0
            lines = len(out.read_text().splitlines())
            assert 0 < lines < 20
            error = capsys.readouterr().err
            assert "the recorder did not finish this file" in error
            assert re.search(
                rf"{lines} messages can be read, the last \d{{1,4}} bytes cannot", error
            )

    def test_without_metadata_the_only_file_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bag = record(tmp_path / "bag", "mcap", images=3)
        (bag / "metadata.yaml").unlink()
        out = tmp_path / "o.jsonl"
        assert run(bag, "--box", "56,36,48,48", "--jsonl", out) == 0
        assert len(out.read_text().splitlines()) == 3
        assert "has no metadata.yaml, which the recorder writes at its end; bag.mcap is read" in (
            capsys.readouterr().err
        )
        for copy in ("bag_1.mcap", "bag_2.mcap"):
            shutil.copy(bag / "bag.mcap", bag / copy)
        assert run(bag, "--box", "56,36,48,48", "--jsonl", out) == 2
        error = capsys.readouterr().err
        assert f"'ros2 bag reindex {bag}', or give one of its 3 files, such as" in error
        for file in bag.glob("*.mcap"):
            file.unlink()
        assert run(bag, "--box", "56,36,48,48", "--jsonl", out) == 2
        assert "there is no metadata.yaml, .mcap or .db3 file" in capsys.readouterr().err


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_ends_it_in_one_line_without_half_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_disk: Path, storage: str
) -> None:
    bag = record(tmp_path / "bag", storage, images=60)
    filler = small_disk / "filler"
    outputs: dict[str, Callable[[Path], list[object]]] = {
        "bag": lambda path: ["-o", path],
        "o.jsonl": lambda path: ["--jsonl", path],
        "o.mp4": lambda path: ["--video", path],
    }
    for name, arguments in outputs.items():
        for free in (0, 9000):
            filler.write_bytes(b"")
            size = shutil.disk_usage(small_disk).free - free
            filler.write_bytes(bytes(size))
            code = run(bag, "--box", "56,36,48,48", *arguments(small_disk / name))
            error = capsys.readouterr().err
            assert code == 2 and len(error.splitlines()) == 1, error
            assert str(small_disk / name) in error, error
            assert "space" in error or "full" in error, error
            assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_messages_are_those_of_the_node(tmp_path: Path) -> None:
    """A node's conversions, serialised by ROS, read by rosbags: the same as in a result bag."""
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    pytest.importorskip("siampolar_ros.msg", reason="needs the built messages (make setup)")
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from siampolar_ros import msg
    from siampolar_ros.messages.conversions import (
        message_from_answer,
        message_from_result,
        stamp_from_ns,
    )

    bag = record(tmp_path / "bag", images=3)
    run = Replay(Tracker(BlobEngine()), [TimedBox(RED_BOX), TimedBox(GREEN_BOX)])
    events = [(t, e) for t, e in feed(bag, run) if isinstance(e, (Targets, InitResult))]
    with bags.ResultBag(tmp_path / "out", "mcap") as written:
        for time_ns, event in events:
            (written.answer if isinstance(event, InitResult) else written.result)(time_ns, event)

    store = bags.typestore()
    for (_, event), (_, _, message) in zip(events, results_of(tmp_path / "out"), strict=True):
        ros_image = replace(
            event.image, header=Header(stamp=stamp_from_ns(event.image.stamp_ns), frame_id="camera")
        )
        convert = message_from_answer if isinstance(event, InitResult) else message_from_result
        data = serialize_message(convert(replace(event, image=ros_image)))
        kind = message.__msgtype__
        assert repr(store.deserialize_cdr(bytes(data), kind)) == repr(message)

    recording = Recording(tmp_path / "inits")
    recording.init(RED_BOX, FIRST_NS, FIRST_NS, id=3)
    recording.close()
    with BagReader(tmp_path / "inits") as reader:
        (message,) = reader.messages("/tracker/init_target")
    target = msg.InitTarget(id=3, x=56.0, y=36.0, width=48.0, height=48.0)
    target.header.stamp = stamp_from_ns(FIRST_NS)
    assert request_from_message(message.content) == request_from_message(target)


def test_a_failing_tracker_is_an_error(tmp_path: Path) -> None:
    class Broken(BlobEngine):
        def search(self, *_: object) -> Any:
            raise RuntimeError("out of memory")

    bag = record(tmp_path / "bag", images=2)
    with pytest.raises(ReplayError, match="the tracker failed: out of memory"):
        feed(bag, Replay(Tracker(Broken()), [TimedBox(RED_BOX)]))
