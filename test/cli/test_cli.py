"""The command line: what it writes, its errors, and sub-commands of other packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.cli import main as cli
from siampolar_model.io.video import VideoReader
from siampolar_model.models.folder import ModelFolder
from siampolar_model.session.settings import SessionSettings
from siampolar_model.settings import settings_of
from siampolar_model.tracking.settings import TrackerSettings
from support.ball_frames import BOX, image, write_frames


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "frames")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "davis"
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / "ball").mkdir(parents=True)
    for index in range(5):
        mask = np.zeros((200, 320), np.uint8)
        cv2.circle(mask, (90 + 3 * index, 70), 30, 255, cv2.FILLED)
        cv2.imwrite(str(root / "JPEGImages/480p/ball" / f"{index:05d}.jpg"), image(index))
        cv2.imwrite(str(root / "Annotations/480p/ball" / f"{index:05d}.png"), mask)
    return root


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    folder = tmp_path / "boxes" / "ball"
    (folder / "img").mkdir(parents=True)
    for index in range(5):
        cv2.imwrite(str(folder / "img" / f"{index + 1:04d}.jpg"), image(index))
    (folder / "groundtruth_rect.txt").write_text(
        "".join(f"{60 + 3 * index},40,61,61\n" for index in range(5))
    )
    return folder.parent


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


class TestTrack:
    def test_writes_video_and_lines(self, video: Path, tmp_path: Path) -> None:
        output, jsonl = tmp_path / "out.mp4", tmp_path / "out.jsonl"
        code = run(
            "track", video, "--box", BOX, "--box", "200,100,50,60", "-o", output, "--jsonl", jsonl,
            "--first", 1, "--last", 4, "--engine", "onnxruntime", "--threads", 1,
        )  # fmt: skip
        assert code == 0
        with VideoReader(output) as reader:
            frames = list(reader)
        assert len(frames) == 4 and frames[0].image.shape == (200, 320, 3)
        assert np.abs(frames[0].image.astype(int) - image(1)).max() > 100  # something is drawn
        lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
        assert [line["frame"] for line in lines] == [1, 2, 3, 4]
        assert lines[1]["stamp_ns"] == round(2e9 / 30)
        for line in lines:
            assert [target["id"] for target in line["targets"]] == [1, 2]
            for target in line["targets"]:
                assert set(target) == {
                    "id", "state", "score", "quality", "box", "polygon", "confidence", "velocity",
                    "predicted_box", "reason",
                }  # fmt: skip
                assert target["state"] in ("tracking", "uncertain", "lost")
                assert 0 <= target["score"] <= 1 and len(target["box"]) == 4
                polygon = np.array(target["polygon"])
                assert polygon.ndim == 2 and polygon.shape[1] == 2
                assert polygon.min() >= 0 and (polygon <= (320, 200)).all()
        first = lines[0]["targets"][0]["box"]
        assert abs(first[0] - 63) < 15 and abs(first[1] - 40) < 15  # where the ball is

    def test_lines_alone(self, video: Path, tmp_path: Path) -> None:
        assert run("track", video, "--box", BOX, "--jsonl", tmp_path / "a.jsonl") == 0
        assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 6

    def test_engines_agree(self, video: Path, tmp_path: Path) -> None:
        for module in ("onnxruntime", "torch", "timm", "safetensors"):
            pytest.importorskip(module)
        lines = {}
        for engine in ("onnxruntime", "torch"):
            path = tmp_path / f"{engine}.jsonl"
            assert run("track", video, "--box", BOX, "--jsonl", path, "--engine", engine) == 0
            lines[engine] = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines["torch"]) == 6
        for ours, theirs in zip(lines["torch"], lines["onnxruntime"], strict=True):
            (one,), (other,) = ours["targets"], theirs["targets"]
            assert one["state"] == other["state"]
            assert one["score"] == pytest.approx(other["score"], abs=0.01)
            assert one["box"] == pytest.approx(other["box"], abs=1)


class TestEval:
    def test_writes_the_figures(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, overlays = tmp_path / "out.json", tmp_path / "new" / "overlays"
        assert run("eval", "--data", dataset, "--json", out, "--overlays", overlays) == 0
        result = json.loads(out.read_text())
        assert result["data"] == "davis" and result["model"] == "siampolar_lite0"
        assert len(result["search_sha256"]) == 64
        assert result["versions"]["opencv"] == cv2.__version__
        assert 0 < result["J_mean"] <= 1 and 0 < result["box_iou_mean"] <= 1
        assert result["fps"] > 0 and result["sequences"]["ball"]["frames"] == 5
        assert (overlays / "ball.mp4").is_file()
        table = capsys.readouterr().out
        assert "ball" in table and f"{result['J_mean'] * 100:.1f}" in table

    def test_plot(self, dataset: Path, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        assert run("eval", "--data", dataset, "--plot", tmp_path / "plots") == 0
        assert (tmp_path / "plots" / "ball.png").is_file()

    def test_boxes_and_pace(
        self, boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("matplotlib")
        out, plots = tmp_path / "out.json", tmp_path / "plots"
        assert run("eval", "--data", boxes, "--json", out, "--plot", plots, "--fps", 1000) == 0
        result = json.loads(out.read_text())
        assert result["data"] == "boxes" and 0 <= result["AUC"] <= 1
        assert result["sequences"]["ball"]["late_frames"] == result["late_frames"] > 0
        assert "images arrive at 1000 per second" in result["protocol"]
        table = capsys.readouterr().out
        for column in ("AUC", "P 20", "P norm", "AO", "SR 50", "SR 75", "late", "lost"):
            assert column in table
        assert {path.name for path in plots.iterdir()} == {"ball.png", "curves.png"}

    def test_models_and_peers_in_one_table(
        self, boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("matplotlib")
        out, plots, sheet = tmp_path / "out.json", tmp_path / "plots", tmp_path / "worst.jpg"
        assert run(
            "eval", "--data", boxes, "--model", "siampolar_lite0", "--peer", "mil",
            "--json", out, "--plot", plots, "--sheet", sheet,
        ) == 0  # fmt: skip
        first, second = json.loads(out.read_text())["trackers"]
        assert (first["model"], second["model"]) == ("siampolar_lite0", "TrackerMIL")
        assert second["engine"] == "opencv" and 0 < second["AUC"] <= 1
        table = capsys.readouterr().out
        for one in (first, second):
            assert one["model"] in table and f"{one['AUC'] * 100:.1f}" in table
            assert (plots / one["model"] / "ball.png").is_file()
            picture = cv2.imread(str(tmp_path / one["model"] / "worst.jpg"))
            assert picture is not None and picture.std() > 10
        assert (plots / "curves.png").is_file()

    def test_a_sheet_of_the_worst_frames(self, dataset: Path, tmp_path: Path) -> None:
        sheet = tmp_path / "worst.png"
        assert run("eval", "--data", dataset, "--sheet", sheet, "--objects") == 0
        assert cv2.imread(str(sheet)) is not None

    def test_a_sequence_that_cannot_be_scored_is_named(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The others are scored and written, and the exit code tells."""
        for kind in ("JPEGImages", "Annotations"):
            shutil.copytree(dataset / kind / "480p" / "ball", dataset / kind / "480p" / "bad")
        (dataset / "Annotations/480p/bad/00002.png").unlink()
        out = tmp_path / "out.json"
        assert run("eval", "--data", dataset, "--json", out) == 1
        result = json.loads(out.read_text())
        assert list(result["sequences"]) == ["ball"] and list(result["skipped"]) == ["bad"]
        assert "bad is left out: " in capsys.readouterr().err

    def test_plot_without_matplotlib(
        self, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.setattr("siampolar_model.cli.console.find_spec", lambda name: None)
        assert run("eval", "--data", dataset, "--plot", tmp_path) == 2
        assert "pip install matplotlib" in capsys.readouterr().err


def test_bench_writes_the_figures(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert run("bench", video, "--box", BOX, "--threads", 1, "--json", out, "--last", 3) == 0
    result = json.loads(out.read_text())
    assert result["frames"] == 4 and result["threads"] == 1
    assert "infer" in capsys.readouterr().out


class TestErrors:
    """One line on stderr, exit code 2, nothing else."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["track", "{video}", "-o", "o.mp4"], "--box"),
            (["track", "{tmp}/none.mp4", "--box", BOX, "-o", "{tmp}/o.mp4"], "no such video file"),
            (["track", "{tmp}", "--box", BOX, "-o", "{tmp}/o.mp4"], "no images in this folder"),
            (["track", "{text}", "--box", BOX, "-o", "{tmp}/o.mp4"], "cannot be opened as a video"),
            (["track", "{video}", "--box", BOX], "nothing to write"),
            (["track", "{video}", "--box", "1,2,3", "-o", "{tmp}/o.mp4"], "not four numbers"),
            (["track", "{video}", "--box", "1,2,nan,9", "-o", "{tmp}/o.mp4"], "must be finite"),
            (["track", "{video}", "--box", "1,2,0,9", "-o", "{tmp}/o.mp4"], "above 0"),
            (["track", "{video}", "--box", "999,9,40,40", "-o", "{tmp}/o.mp4"], "wholly outside"),
            (["track", "{video}", "--box", BOX, "-o", "{tmp}/o.avi"], "must end in .mp4"),
            (["track", "{video}", "--box", BOX, "-o", "{tmp}/no/o.mp4"], "does not exist"),
            (["track", "{video}", "--box", BOX, "--jsonl", "{tmp}/no/o"], "its folder must exist"),
            (["track", "{video}", "--box", BOX, "--jsonl", "{tmp}"], "cannot be written"),
            (["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--first", "6"], "6 frames"),
            (["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--first", "x"], "--first"),
            (
                ["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--model", "nothing"],
                "model 'nothing' is neither shipped",
            ),
            (
                ["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--engine", "abacus"],
                "engine 'abacus' is unknown",
            ),
            (["eval", "--data", "{tmp}/none"], "expected JPEGImages/480p/SEQUENCE"),
            (["eval", "--data", "{data}", "--fps", "0"], "--fps 0 must be above 0"),
            (["eval", "--data", "{data}", "--sequence", "cat"], "480p/cat: no such folder"),
            (["eval", "--data", "{data}", "--json", "{tmp}/no/o.json"], "its folder must exist"),
            (["eval", "--data", "{data}", "--overlays", "{text}"], "File exists"),
            (["eval", "--data", "{data}", "--peer", "kcf"], "must be nano:FOLDER, vit:FOLDER, csr"),
            (["eval", "--data", "{data}", "--peer", "nano:{tmp}"], "0 files nanotrack_backbone*"),
            (["eval", "--data", "{data}", "--peer", "mil:{tmp}"], "mil needs no folder"),
            (["eval", "--data", "{data}", "--peer", "mil", "--peer", "mil"], "is given 2 times"),
            (["eval", "--data", "{data}", "--sheet", "{tmp}/a.gif"], "must end in .jpg or .png"),
            (["bench", "{video}", "--box", BOX, "--last", "0"], "needs at least 2"),
            (["bench", "{video}", "--box", BOX, "--peer", "{tmp}"], "must be nano:FOLDER, with"),
            (["bench", "{video}", "--box", BOX, "--peer", "nano:"], "must be nano:FOLDER, with"),
            (["bench", "{video}", "--box", BOX, "--threads", "0"], "--threads"),
            (
                ["bench", "{video}", "--box", BOX, "--set", "lost_frames=0"],
                "lost_frames is 0; it must be a whole number from 1 to 1000",
            ),
            (
                ["eval", "--data", "{data}", "--set", "research_crops=2"],
                "research_crops was renamed; its name is now redetect_crops",
            ),
            (
                ["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--set", "min_box_px=90"],
                "both sides must be at least 90 px",
            ),
            (["frobnicate"], "frobnicate"),
            (["--frobnicate"], "--frobnicate"),
        ],
    )  # fmt: skip
    def test_one_line(
        self,
        arguments: list[str],
        message: str,
        video: Path,
        dataset: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        text = tmp_path / "notes.txt"
        text.write_text("not a video\n" * 50)
        places = {"video": video, "data": dataset, "tmp": tmp_path, "text": text}
        assert run(*(argument.format(**places) for argument in arguments)) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        # Which engine was taken, and why, may have been reported before.
        assert [line.startswith("error: ") for line in lines].count(True) == 1, captured.err
        assert lines[-1].startswith("error: ") and message in lines[-1] and len(lines) <= 2
        assert "Traceback" not in captured.out + captured.err

    @pytest.mark.parametrize(
        "arguments",
        [
            ["track", "{tmp}/a.mp4", "--box", BOX, "-o", "{tmp}/a.mp4"],
            ["track", "{tmp}/a.mp4", "--box", BOX, "--jsonl", "{tmp}/a.mp4"],
            ["track", "{tmp}/link.mp4", "--box", BOX, "--jsonl", "{video}/../a.mp4"],
            ["track", "{video}", "--box", BOX, "--jsonl", "{video}/00003.png"],
            ["bench", "{tmp}/a.mp4", "--box", BOX, "--json", "{tmp}/a.mp4"],
            ["bench", "{video}", "--box", BOX, "--json", "{video}/00003.png"],
            [
                "bench", "{video}", "--box", BOX, "--peer", "nano:{tmp}",
                "--json", "{tmp}/nanotrack_head.onnx",
            ],
            ["eval", "--data", "{data}", "--json", "{data}/JPEGImages/480p/ball/00001.jpg"],
            ["eval", "--data", "{data}", "--json", "{data}/Annotations/480p/ball/00001.png"],
        ],
    )  # fmt: skip
    def test_output_must_not_replace_the_input(
        self,
        arguments: list[str],
        video: Path,
        dataset: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "a.mp4").write_bytes(b"precious")
        (tmp_path / "link.mp4").symlink_to("a.mp4")
        (tmp_path / "nanotrack_head.onnx").write_bytes(b"precious")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        places = {"video": video, "data": dataset, "tmp": tmp_path}
        assert run(*(argument.format(**places) for argument in arguments)) == 2
        error = capsys.readouterr().err
        assert "would replace the input" in error and len(error.splitlines()) == 1
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before

    @pytest.mark.parametrize(
        "arguments",
        [
            ["track", "{video}", "--box", BOX, "-o", "{tmp}/o.mp4", "--jsonl", "{tmp}/o.mp4"],
            ["eval", "--data", "{data}", "--overlays", "{tmp}", "--json", "{tmp}/ball.mp4"],
        ],
    )
    def test_two_outputs_in_one_file(
        self,
        arguments: list[str],
        video: Path,
        dataset: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        places = {"video": video, "data": dataset, "tmp": tmp_path}
        assert run(*(argument.format(**places) for argument in arguments)) == 2
        assert "two outputs in one file" in capsys.readouterr().err
        assert not list(tmp_path.glob("*.mp4"))

    def test_a_failed_start_leaves_outputs_as_they_were(self, video: Path, tmp_path: Path) -> None:
        output, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
        jsonl.write_text("of an earlier run")
        outside = ("track", video, "--box", "999,9,40,40", "-o", output, "--jsonl", jsonl)
        assert run(*outside) == 2
        assert run(*outside, "--model", "nothing") == 2
        assert run("track", tmp_path, "--box", BOX, "--jsonl", jsonl) == 2
        assert not output.exists() and jsonl.read_text() == "of an earlier run"

    @pytest.mark.parametrize(
        ("command", "module"),
        [
            ("track", "cv2"), ("eval", "cv2"), ("bench", "cv2"),
            ("track", "av"), ("bench", "av"),  # eval needs it for masks with a palette only
        ],
    )  # fmt: skip
    def test_missing_libraries(
        self, command: str, module: str, video: Path, dataset: Path, tmp_path: Path
    ) -> None:
        message = {
            "cv2": "OpenCV is missing: apt install python3-opencv, or pip install",
            "av": "PyAV is missing: apt install python3-av, or pip install av",
        }[module]
        arguments = {
            "track": ["track", video, "--box", BOX, "-o", tmp_path / "o.mp4"],
            "eval": ["eval", "--data", dataset],
            "bench": ["bench", video, "--box", BOX],
        }[command]
        code = (
            f"import sys; sys.modules[{module!r}] = None\n"
            "from siampolar_model.cli.main import main; main(sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False,
        )  # fmt: skip
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.startswith(f"error: {message}")
        assert len(done.stderr.splitlines()) == 1

    def test_altered_model(
        self, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = Path(shutil.copytree(ModelFolder.open("siampolar_lite0").path, tmp_path / "model"))
        with (model / "search.onnx").open("ab") as file:
            file.write(b"!")
        jsonl = tmp_path / "o.jsonl"
        assert run("track", video, "--box", BOX, "--jsonl", jsonl, "--model", model) == 2
        error = capsys.readouterr().err
        assert f"{model / 'search.onnx'} was altered: SHA-256 is" in error
        assert len(error.splitlines()) == 1 and not jsonl.exists()

    def test_our_own_bugs_keep_their_traceback(
        self, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr("siampolar_model.cli.tracking_run.draw", broken)
        with pytest.raises(ValueError, match="a bug"):
            cli.main(["track", str(video), "--box", BOX, "-o", str(tmp_path / "o.mp4")])


class TestPlugins:
    @pytest.fixture
    def plugins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "plugin_of_a_test.py").write_text(
            "import typer\n"
            "from siampolar_model.errors import CommandError\n"
            "app = typer.Typer(help='Two commands.')\n"
            "@app.command()\n"
            "def good(n: int) -> None:\n"
            "    typer.echo(f'good {n}')\n"
            "@app.command()\n"
            "def bad() -> None:\n"
            "    raise CommandError('bad luck')\n"
            "helpful = typer.Typer(no_args_is_help=True)\n"
            "helpful.command()(good)\n"
            "helpful.command()(bad)\n"
            "def hello(name: str = 'you') -> None:\n"
            "    '''Greets.'''\n"
            "    typer.echo(f'hello {name}')\n"
        )
        (tmp_path / "broken_plugin_of_a_test.py").write_text("import no_such_module\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        for module in ("plugin_of_a_test", "broken_plugin_of_a_test"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        points = [
            EntryPoint("group", "plugin_of_a_test:app", cli.ENTRY_POINT_GROUP),
            EntryPoint("help-first", "plugin_of_a_test:helpful", cli.ENTRY_POINT_GROUP),
            EntryPoint("hello", "plugin_of_a_test:hello", cli.ENTRY_POINT_GROUP),
            EntryPoint("broken", "broken_plugin_of_a_test:app", cli.ENTRY_POINT_GROUP),
        ]
        monkeypatch.setattr(cli, "entry_points", lambda group: points)

    @pytest.mark.usefixtures("plugins")
    def test_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("hello", "--name", "Bo") == 0
        assert run("group", "good", 3) == 0
        assert capsys.readouterr().out == "hello Bo\ngood 3\n"

    @pytest.mark.usefixtures("plugins")
    def test_errors(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("group", "bad") == 2
        assert capsys.readouterr().err == "error: bad luck\n"
        assert run("group", "good", "x") == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert run("broken", "--any", "thing") == 2
        error = capsys.readouterr().err
        assert error == "error: broken cannot be loaded: No module named 'no_such_module'\n"

    @pytest.mark.usefixtures("plugins")
    def test_a_group_without_its_command_shows_its_help(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("help-first") == 2
        shown = capsys.readouterr()
        assert "good" in shown.out and shown.err == ""

    @pytest.mark.usefixtures("plugins")
    def test_help_lists_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        for arguments in ([], ["--help"]):
            assert run(*arguments) == 0
            out = capsys.readouterr().out
            for text in ("track", "eval", "bench", "hello", "Greets", "group", "Two commands"):
                assert text in out
            assert "cannot be loaded" in out

    @pytest.mark.parametrize(
        ("module", "words"),
        [("rosbags", "pip install '.[replay]'"), ("rclpy", "source /opt/ros/DISTRO/setup.bash")],
    )
    def test_help_says_what_a_command_needs(
        self,
        module: str,
        words: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "needy_plugin_of_a_test.py").write_text(f"import {module}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setitem(sys.modules, module, None)
        points = [EntryPoint("needy", "needy_plugin_of_a_test:app", cli.ENTRY_POINT_GROUP)]
        monkeypatch.setattr(cli, "entry_points", lambda group: points)
        assert run("--help") == 0
        assert words in " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert run("needy") == 2
        assert words in capsys.readouterr().err

    @pytest.mark.usefixtures("plugins")
    def test_not_imported_unless_called(self, tmp_path: Path) -> None:
        run("track", tmp_path / "none", "--box", BOX, "-o", "a.mp4")
        assert "plugin_of_a_test" not in sys.modules


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"siampolar {version('siampolar_ros')}\n"


def test_help_of_set_names_every_setting_with_its_range(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run("replay", "--help") == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for one in (*settings_of(TrackerSettings), *settings_of(SessionSettings)):
        assert f"{one.name}={one.default}: " in out and f"Allowed: {one.allowed}." in out


def test_module_in_a_process_of_its_own() -> None:
    arguments = ["track", "none.mp4", "--box", BOX, "-o", "a.mp4"]
    done = subprocess.run(
        [sys.executable, "-m", "siampolar_model.cli.main", *arguments],
        capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: none.mp4: no such video file or folder of images\n"
    assert done.stdout == ""


def test_importing_needs_neither_ros_nor_torch() -> None:
    code = (
        "import sys, siampolar_model.bench, siampolar_model.cli.main;"
        "import siampolar_model.evaluation.evaluate;"
        "print(sorted({'torch', 'rclpy', 'onnxruntime', 'matplotlib', 'siampolar_ros',"
        "'siampolar_training'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        cwd=Path(__file__).resolve().parents[2], check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
