"""siampolar track: any source, exports, later inits, and what is left after an interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siampolar_model.cli import main as cli
from siampolar_model.cli import select
from siampolar_model.cli.interrupts import sigterm_as_interrupt, uninterrupted
from siampolar_model.cli.summary import Summary
from siampolar_model.cli.tracking_run import TrackingRun
from siampolar_model.errors import CommandError
from siampolar_model.geometry.box import Box
from siampolar_model.images.frame import Frame
from siampolar_model.io.video import VideoReader, VideoWriter
from siampolar_model.results import Target, TargetState
from support.ball_frames import BOX, image, write_frames

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "frames")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_format_from_one_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"jsonl": "a.jsonl", "davis": "masks", "coco": "a.json", "mot": "a.txt", "csv": "a.csv"}
    exports = [f"--export={format}:{tmp_path / name}" for format, name in names.items()]
    output = tmp_path / "a.mp4"
    assert run("track", folder, "--box", BOX, "-o", output, *exports, "--engine=onnxruntime") == 0
    assert len(read(tmp_path / "a.jsonl")) == 6
    assert len(list((tmp_path / "masks").iterdir())) == 6
    assert len(json.loads((tmp_path / "a.json").read_text())["annotations"]) == 6
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 6
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 7
    error = capsys.readouterr().err
    assert "6 frames in " in error and "target 1: never lost" in error
    for path in (output, *(tmp_path / name for name in names.values())):
        assert f"wrote {path}\n" in error
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_quiet_prints_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("track", folder, "--box", BOX, "--jsonl", tmp_path / "a.jsonl", "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_notices_of_the_reader_are_warnings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with --quiet: 9.5 and 9.25 may be counters or decimal numbers."""
    for path, name in zip(sorted(folder.iterdir()), ("8.5", "8.75", "9.25", "9.5"), strict=False):
        path.rename(folder / f"{name}.png")
    assert run("track", folder, "--box", BOX, "--jsonl", tmp_path / "a.jsonl", "--quiet") == 0
    error = capsys.readouterr().err
    assert error.startswith(f"warning: {folder}: numbers with a point")
    assert len(error.splitlines()) == 1


def test_inits_on_later_frames_and_corrections(folder: Path, tmp_path: Path) -> None:
    inits, jsonl = tmp_path / "inits.json", tmp_path / "a.jsonl"
    entries = [
        {"frame": 4, "box": [73, 40, 60, 60], "id": 1},
        {"frame": 2, "box": [200, 100, 50, 60]},
        {"frame": 3, "box": [20, 100, 50, 60], "id": 7},
    ]
    inits.write_text(json.dumps(entries))
    assert run("track", folder, "--box", "10,10,40,40", "--inits", inits, "--jsonl", jsonl) == 0
    lines = read(jsonl)
    ids = [[target["id"] for target in line["targets"]] for line in lines]  # type: ignore[attr-defined]
    assert ids == [[1], [1], [1, 2], [1, 2, 7], [1, 2, 7], [1, 2, 7]]
    corrected = lines[4]["targets"][0]["box"]  # type: ignore[index]
    assert abs(corrected[0] - 73) < 15 and abs(corrected[1] - 40) < 15


def test_a_target_for_each_label_of_a_mask(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.zeros((200, 320), np.uint8)
    cv2.circle(labels, (90, 70), 30, 4, cv2.FILLED)
    cv2.rectangle(labels, (200, 100), (249, 159), 2, cv2.FILLED)
    mask, jsonl = tmp_path / "first.png", tmp_path / "a.jsonl"
    cv2.imwrite(str(mask), labels)
    assert run("track", folder, "--mask", mask, "--jsonl", jsonl) == 0
    first = read(jsonl)[0]["targets"]
    assert len(first) == 2  # type: ignore[arg-type]
    assert abs(first[0]["box"][0] - 200) < 15 and abs(first[1]["box"][0] - 60) < 15  # type: ignore[index]
    for values, message in (
        (labels[:100], "is 320x100 px; the frames are 320x200"),
        (labels * 0, "is empty; it must be above 0 on the object"),
        (np.eye(200, 320, dtype=np.uint8)[:] * (np.arange(320) < 3), "must be at least 4 px"),
    ):
        cv2.imwrite(str(mask), values)
        assert run("track", folder, "--mask", mask, "--jsonl", jsonl) == 2
        assert message in capsys.readouterr().err
    assert run("track", folder, "--mask", tmp_path / "no.png", "--jsonl", jsonl) == 2
    assert "--mask" in capsys.readouterr().err


class TestSelect:
    @pytest.fixture(autouse=True)
    def no_display(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(select, "entry_points", lambda group: ())

    def test_without_a_display_it_says_what_to_do(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("track", folder, "--select", "--jsonl", tmp_path / "a.jsonl") == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert "there is no display; give --box x,y,w,h, or pip install" in error
        assert run("track", "-", "--select", "--jsonl", tmp_path / "a.jsonl") == 2
        assert "does not go with motion JPEG" in capsys.readouterr().err

    def test_a_page_is_taken_where_a_package_has_one(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On the very first frame."""
        seen = []

        def page(picture: np.ndarray) -> list[tuple[float, ...]]:
            seen.append(picture)
            return [(60, 40, 60, 60), (200, 100, 50, 60), (9, 9, 0, 0)]

        entry = SimpleNamespace(load=lambda: page)
        monkeypatch.setattr(select, "entry_points", lambda group: (entry,))
        jsonl = tmp_path / "a.jsonl"
        assert run("track", folder, "--select", "--jsonl", jsonl) == 0
        np.testing.assert_array_equal(seen[0], image(0))
        lines = read(jsonl)
        assert [len(line["targets"]) for line in lines] == [2] * 6  # type: ignore[arg-type]

    def test_a_window_where_there_is_a_display(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISPLAY", ":0")
        drawn = np.array([[60, 40, 60, 60]])
        for name, stand_in in (
            ("namedWindow", lambda *_: None), ("destroyWindow", lambda *_: None),
            ("destroyAllWindows", lambda: None), ("selectROIs", lambda *_, **__: drawn),
        ):  # fmt: skip
            monkeypatch.setattr(cv2, name, stand_in)
        (init,) = select.select_boxes(image(0))
        assert init.region == Box.from_xywh(60, 40, 60, 60) and init.frame is None
        monkeypatch.setattr(cv2, "selectROIs", lambda *_, **__: ())
        with pytest.raises(CommandError, match="no box was drawn"):
            select.select_boxes(image(0))

    def test_an_opencv_without_windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISPLAY", ":0")

        def refuse(*_: object) -> None:
            raise cv2.error("not implemented")

        monkeypatch.setattr(cv2, "namedWindow", refuse)
        with pytest.raises(CommandError, match="this OpenCV has no windows"):
            select.select_boxes(image(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a list such as"),
        ('{"frame": 1}', "must be a list such as"),
        ('[{"frame": 1}]', "entry 1: must have frame and one of box, point, polygon"),
        ('[{"frame": 1, "box": [1, 1, 9, 9], "point": [1, 1]}]', "entry 1: must have frame and"),
        ('[{"frame": 1, "point": [1]}]', "entry 1: point [1] must be two numbers [x, y]"),
        ('[{"frame": 1, "point": [1, true]}]', "must be two numbers [x, y]"),
        ('[{"frame": 1, "polygon": [1, 2]}]', "must be points [[x, y], ...], at least three"),
        ('[{"frame": 1, "polygon": [[1, 2], [3]]}]', "must be points [[x, y], ...]"),
        ('[{"frame": 1, "polygon": [[1, 2], [3, 4]]}]', "an outline of 2 points"),
        ('[{"frame": 1, "point": [999, 1]}]', "lies outside the"),
        ('[{"frame": 1, "box": [1, 1, 9, 9], "ids": 1}]', "entry 1: must have frame and one"),
        ('[{"frame": -1, "box": [1, 1, 50, 50]}]', "frame -1 must be a whole number"),
        ('[{"frame": true, "box": [1, 1, 50, 50]}]', "frame True must be a whole number"),
        ('[{"frame": 1.5, "box": [1, 1, 50, 50]}]', "frame 1.5 must be a whole number"),
        ('[{"frame": 1, "box": [1, 1, 50, 50], "id": 0}]', "id 0 must be a whole number, 1"),
        ('[{"frame": 1, "box": "1,1,50,50"}]', "must be four numbers"),
        ('[{"frame": 1, "box": [1, 1, 50, "50"]}]', "must be four numbers"),
        ('[{"frame": 1, "box": [1, 1, 50, NaN]}]', "must be finite"),
        ('[{"frame": 1, "box": [1, 1, 50, 1' + "0" * 400 + "]}]", "not four numbers"),
        ('[{"frame": 6, "box": [1, 1, 50, 50]}]', "frame 6 is not read; read are 0 to 5"),
        ('[{"frame": 1, "box": [900, 1, 50, 50]}]', "wholly outside the 320x200 image"),
        (json.dumps([{"frame": 1, "box": [1, 1, 50, 50]}] * 99), "targets are followed already"),
    ],
)  # fmt: skip
def test_inits_are_checked_before_work(
    text: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inits = tmp_path / "inits.json"
    inits.write_text(text)
    assert run("track", folder, "--inits", inits, "-o", tmp_path / "a.mp4") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {inits}") and message in error
    assert len(error.splitlines()) == 1  # no engine was loaded
    assert not (tmp_path / "a.mp4").exists()


def test_all_errors_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "masks").mkdir()
    code = run(
        "track", tmp_path / "none.mp4", "--box", "1,2,3", "-o", tmp_path / "a.avi",
        "--export", "tiff:x", "--export", f"davis:{tmp_path / 'masks'}",
        "--jsonl", tmp_path / "no" / "a.jsonl",
    )  # fmt: skip
    assert code == 2
    (error,) = capsys.readouterr().err.splitlines()
    for text in ("none.mp4: no such", "not four numbers", "must end in .mp4", "formats: jsonl",
                 "masks: exists already", "its folder must exist"):  # fmt: skip
        assert text in error


def test_a_source_that_breaks_off_keeps_what_was_tracked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(folder / "00004.png"), image(4)[:100])
    output, jsonl = tmp_path / "a.mp4", tmp_path / "a.jsonl"
    assert run("track", folder, "--box", BOX, "-o", output, "--jsonl", jsonl) == 2
    assert len(read(jsonl)) == 4
    with VideoReader(output) as reader:
        assert len(list(reader)) == 4
    error = capsys.readouterr().err.splitlines()
    assert "frame 4 is 320x100 px" in error[-1] and f"wrote {jsonl}" in error


class Clock:
    """A tracker that notes how much time passes between its images."""

    def __init__(self) -> None:
        self.elapsed_s: list[float] = []

    def update(self, frame: Frame, *, elapsed_s: float) -> list[Target]:
        self.elapsed_s.append(elapsed_s)
        return []


@pytest.mark.parametrize("fps", [15, 60])
def test_the_tracker_is_told_the_time_between_frames(fps: int, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps) as out:
        for index in range(6):
            out.write(image(index))
    clock = Clock()
    with VideoReader(tmp_path / "clip.mp4") as reader:
        run = TrackingRun(
            clock, reader, reader, [], video=None, exports=[], on_notice=print  # type: ignore[arg-type]
        )  # fmt: skip
        run.work(lambda: None)
    # To the first frame there is no time.
    assert clock.elapsed_s == pytest.approx([1 / 30, *[1 / fps] * 5], rel=1e-3)


def jpegs(count: int) -> bytes:
    return b"".join(cv2.imencode(".jpg", image(i % 20))[1].tobytes() for i in range(count))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "siampolar_model.cli.main", *map(str, arguments)]


def test_motion_jpeg_on_standard_input(tmp_path: Path) -> None:
    jsonl = tmp_path / "a.jsonl"
    done = subprocess.run(
        command("track", "-", "--box", BOX, "--jsonl", jsonl, "--engine", "onnxruntime"),
        input=jpegs(5), capture_output=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line["frame"] for line in read(jsonl)] == [0, 1, 2, 3, 4]
    assert b"5 frames in " in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """Standard input stays open, so only the signal can end it."""
    output, jsonl = tmp_path / "a.mp4", tmp_path / "a.jsonl"
    output.write_bytes(b"old")
    jsonl.write_text("old")
    process = subprocess.Popen(
        command(
            "track", "-", "--box", BOX, "-o", output, "--jsonl", jsonl, "--engine", "onnxruntime"
        ),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(jpegs(40))
        process.stdin.flush()
        end = time.monotonic() + 30
        while not list(tmp_path.glob(".a.mp4.*/a.mp4")):  # a frame was written
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        assert output.read_bytes() == b"old"  # nothing lies in place before it is whole
        process.send_signal(number)
        assert process.wait(20) == code
        error = process.stderr.read().decode()
    finally:
        process.kill()
        process.stdin.close()  # type: ignore[union-attr]
        process.stderr.close()  # type: ignore[union-attr]
        process.wait()
    lines = read(jsonl)
    with VideoReader(output) as reader:
        frames = len(list(reader))
    assert frames == len(lines) > 0
    assert f"{frames} frame" in error and f"wrote {output}" in error and "Traceback" not in error
    assert not list(tmp_path.glob(".*"))


def test_signals_wait_for_a_write_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_as_interrupt() as came:
        done = []
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            done.append(True)
        assert done and came == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)  # a second one changes nothing
    assert signal.getsignal(signal.SIGTERM) == before


def test_summary_names_lost_spans() -> None:
    summary = Summary()
    states = "tlltttltl"
    for index, state in enumerate(states, 10):
        name = TargetState.LOST if state == "l" else TargetState.TRACKING
        box = Box(0, 0, 9, 9)
        summary.take(index, [Target(3, name, 1.0, 1.0, box, box.corners_xy())])
    assert summary.lines(2.0, [Path("a.mp4")]) == [
        "9 frames in 2.0 s (4.5 per second)",
        "target 3: lost on frames 11-12, 16, 18",
        "wrote a.mp4",
    ]
