"""``siampolar data``: what it writes holds the truth, and bad input ends in one line."""

from __future__ import annotations

import contextlib
import io
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools")
import cv2
from pycocotools.coco import COCO

from siampolar_model.cli import main as cli
from siampolar_training.data.readers.coco import Coco
from siampolar_training.data.readers.davis import Davis
from siampolar_training.data.readers.segtrack import SegTrack
from siampolar_training.data.readers.videos import VideoReader
from support import drawn_sets


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is there whether or not the package is installed."""
    point = EntryPoint("data", "siampolar_training.cli.data:app", cli.ENTRY_POINT_GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group: [point])


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


class TestToCoco:
    def check(self, path: Path, reader: VideoReader) -> COCO:
        """Every mask as pycocotools reads it equals the one of our reader, object by object."""
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(path))
        masks = {}
        for one in coco.dataset["annotations"]:
            file = coco.imgs[one["image_id"]]["file_name"]
            masks[file, one["instance_id"]] = (coco.annToMask(one), one)
        seen = 0
        for sequence, video in enumerate(reader.videos):
            for frame, image in enumerate(video.images):
                read = reader.read(sequence, frame)
                for value in read.objects:
                    mask, one = masks[image.relative_to(reader.root).as_posix(), value]
                    np.testing.assert_array_equal(mask > 0, read.mask(value) > 0)
                    rows, columns = np.nonzero(mask)
                    assert one["area"] == len(rows)
                    assert one["bbox"] == [
                        columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1,
                    ]  # fmt: skip
                    assert coco.cats[one["category_id"]]["name"] == video.name
                    seen += 1
        assert seen == len(masks) > 0
        return coco

    def test_davis_2017(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bus", "bear"], "val": ["camel"]})
        out = tmp_path / "out.json"
        assert run("to-coco", "davis", root, out, "--year", 2017) == 0
        assert "2 sequences, 6 images, 10 annotations" in capsys.readouterr().out
        coco = self.check(out, Davis(root))
        images = coco.dataset["images"]
        # 0-based, so that images[first_frame] is the sequence's first.
        assert [one["first_frame"] for one in images] == [0, 0, 0, 3, 3, 3]
        assert images[3]["file_name"] == "JPEGImages/480p/bear/00000.jpg"
        again = Coco(out, root, validation=None)
        np.testing.assert_array_equal(
            again.read(1).labels > 0, Davis(root).read(0, 1).labels > 0  # type: ignore[operator]
        )  # fmt: skip

    def test_davis_2016(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear"], "val": ["camel"]}, year=2016)
        out = tmp_path / "out.json"
        assert run("to-coco", "davis", root, out, "--split", "val") == 0
        coco = self.check(out, Davis(root, year=2016, split="val"))
        assert {one["instance_id"] for one in coco.dataset["annotations"]} == {1}

    @pytest.mark.parametrize("version", ["write_segtrack", "write_segtrack_v2"])
    def test_segtrack(self, tmp_path: Path, version: str) -> None:
        root = getattr(drawn_sets, version)(tmp_path)
        out = tmp_path / "out.json"
        assert run("to-coco", "segtrack", root, out) == 0
        self.check(out, SegTrack(root))

    def test_frames_without_objects_are_left_out(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear", "bus"]})
        empty = np.zeros((drawn_sets.HEIGHT, drawn_sets.WIDTH), np.uint8)
        drawn_sets.write_index(root / "Annotations/480p/bear/00000.png", empty)
        out = tmp_path / "out.json"
        assert run("to-coco", "davis", root, out, "--year", 2017) == 0
        images = json.loads(out.read_text())["images"]
        assert [one["first_frame"] for one in images] == [0, 0, 2, 2, 2]
        assert images[0]["file_name"].endswith("bear/00001.jpg")

    def test_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out.json"
        for arguments, words in (
            (("davis", tmp_path, out), "JPEGImages/480p: no such folder; expected JPEGImages"),
            (("davis", tmp_path, tmp_path), "cannot be written; its folder must exist"),
            (("davis", tmp_path, tmp_path / "x" / "y"), "cannot be written; its folder must exist"),
            (("segtrack", tmp_path / "none", out), "none: no such folder; expected SEQUENCE"),
            (("coco", tmp_path, out), "'coco' is not one of 'davis', 'segtrack'"),
            (("davis", tmp_path, out, "--year", 2018), "Invalid value for '--year'"),
        ):
            assert run("to-coco", *arguments) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ") and words in line
        assert not out.exists()


class TestPreview:
    NETWORK = "name: t\nsearch_backbone: resnet18\ntemplate_backbone: resnet18\n"

    @pytest.fixture
    def config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        drawn_sets.write_photos(tmp_path / "photos", [0, 1, 2, 3])
        monkeypatch.chdir(tmp_path)
        Path("net.yaml").write_text(self.NETWORK)
        path = tmp_path / "run.yaml"
        path.write_text(
            "seed_everything: 3\nmodel: {network: net.yaml, learning_rate: 1}\n"
            "data: {pairs: 100, sources: [{kind: photos, root: photos}]}\n"
        )
        return path

    def test_a_sheet_of_the_first_samples(self, config: Path, tmp_path: Path) -> None:
        sheets = []
        for name in ("a.png", "b.png"):
            assert run("preview", config, tmp_path / name, "--samples", 5) == 0
            sheets.append(cv2.imread(str(tmp_path / name)))
        assert sheets[0].shape == (2 * 261 + 6, 4 * 394 + 6, 3)
        np.testing.assert_array_equal(*sheets)
        # As a run writes down what was not given.
        config.write_text(config.read_text().replace("}]}", "}], video: null}"))
        assert run("preview", config, tmp_path / "b.png", "--samples", 5) == 0
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "b.png")), sheets[0])
        config.write_text(config.read_text().replace("everything: 3", "everything: 4"))
        assert run("preview", config, tmp_path / "c.png", "--samples", 5) == 0
        assert (cv2.imread(str(tmp_path / "c.png")) != sheets[0]).any()

    def test_one_line(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good, out = config.read_text(), tmp_path / "out.png"
        for text, words in (
            ("a: [", "run.yaml: not YAML"),
            ("model: 3", "run.yaml: not a training configuration; it must hold model.network"),
            (good.replace("sources", "source"), "run.yaml, data: the key 'sources' is missing"),
            (good.replace("root: photos", "root: x"), "no photographs in x; expected JPEGImages"),
            (good.replace("kind: photos", "kind: x"), "run.yaml, data, sources, 1: kind 'x' is"),
            (good.replace("net.yaml", "x.yaml"), "x.yaml: No such file or directory"),
        ):
            config.write_text(text)
            assert run("preview", config, out) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ") and words in line
        config.write_text(good)
        assert run("preview", config, tmp_path / "out.jpg") == 2
        assert "out.jpg: must end in .png" in capsys.readouterr().err
        assert run("preview", config, tmp_path / "x" / "out.png") == 2
        assert "its folder must exist" in capsys.readouterr().err
        assert not out.exists()


def test_help_needs_nothing_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "convert data sets" in capsys.readouterr().out
