"""Data sets with boxes: their layouts, their files of boxes, and following them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.boxes import open_boxes, read_boxes
from siampolar_model.evaluation.evaluate import evaluate, open_dataset
from siampolar_model.evaluation.scores import BoxDatasetScores
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine

SIZE = 320, 200
RADIUS = 25


def center(index: int) -> tuple[int, int]:
    return 80 + 6 * index, 100 + 2 * index


def box(index: int) -> tuple[float, ...]:
    x, y = center(index)
    return x - RADIUS, y - RADIUS, 2 * RADIUS + 1, 2 * RADIUS + 1


def write_images(folder: Path, count: int, suffix: str = "jpg") -> None:
    """A red disc that moves over a noisy grey background."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        shape = SIZE[1], SIZE[0], 3
        image = np.random.default_rng(index).integers(90, 130, shape, dtype=np.uint8)
        cv2.circle(image, center(index), RADIUS, (30, 30, 220), cv2.FILLED)
        cv2.imwrite(str(folder / f"{index + 1:04d}.{suffix}"), image)


def lines(count: int, separator: str = ",") -> str:
    return "".join(separator.join(f"{v:g}" for v in box(i)) + "\n" for i in range(count))


@pytest.fixture
def otb(tmp_path: Path) -> Path:
    root = tmp_path / "otb"
    write_images(root / "Disc" / "img", 6)
    (root / "Disc" / "groundtruth_rect.txt").write_text(lines(6, "\t"))
    return root


class TestReadBoxes:
    @pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";"])
    def test_separators(self, tmp_path: Path, separator: str) -> None:
        (tmp_path / "b.txt").write_text(lines(3, separator) + "\n\n")
        np.testing.assert_array_equal(read_boxes(tmp_path / "b.txt"), [box(i) for i in range(3)])

    def test_a_rotated_box_becomes_the_upright_box_around_it(self, tmp_path: Path) -> None:
        (tmp_path / "b.txt").write_text("30,10,50,20.5,40,40,20,29\n1,2,3,4\n")
        np.testing.assert_array_equal(
            read_boxes(tmp_path / "b.txt"), [[20, 10, 30, 30], [1, 2, 3, 4]]
        )

    def test_unknown_boxes(self, tmp_path: Path) -> None:
        (tmp_path / "b.txt").write_text("1,2,3,4\nNaN,NaN,NaN,NaN\n")
        assert np.isnan(read_boxes(tmp_path / "b.txt")[1]).all()

    @pytest.mark.parametrize(
        "line", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "m0,0,10,10,4,5", "", "1,,3,4"]
    )
    def test_a_line_that_is_not_a_box_is_named(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "b.txt").write_text(f"1,2,3,4\n{line}\n5,6,7,8\n")
        with pytest.raises(DatasetError, match=r"b\.txt: line 2 is .*expected x,y,width,height"):
            read_boxes(tmp_path / "b.txt")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "b.txt").write_text("\n")
        with pytest.raises(DatasetError, match=r"b\.txt: no boxes"):
            read_boxes(tmp_path / "b.txt")


class TestLayouts:
    def test_otb_with_several_targets_in_one_video(self, otb: Path) -> None:
        for number in (1, 2):
            (otb / "Pair").mkdir(exist_ok=True)
            (otb / "Pair" / f"groundtruth_rect.{number}.txt").write_text(lines(4))
        write_images(otb / "Pair" / "img", 4)
        found = open_boxes(otb)
        assert [one.name for one in found.sequences] == ["Disc", "Pair.1", "Pair.2"]
        assert [len(one.images) for one in found.sequences] == [6, 4, 4]
        assert [one.name for one in open_boxes(otb, ["Pair.2"]).sequences] == ["Pair.2"]

    def test_a_part_of_a_video_of_otb(self, tmp_path: Path) -> None:
        """Football1 has boxes for its first 74 images only."""
        write_images(tmp_path / "Football1" / "img", 80)
        (tmp_path / "Football1" / "groundtruth_rect.txt").write_text("10,10,20,20\n" * 74)
        (sequence,) = open_boxes(tmp_path).sequences
        assert [sequence.images[0].name, sequence.images[-1].name] == ["0001.jpg", "0074.jpg"]

    def test_got10k(self, tmp_path: Path) -> None:
        """Images next to the boxes, and the visible share of the target on every frame."""
        folder = tmp_path / "val" / "GOT-10k_Val_000001"
        write_images(folder, 4)
        (folder / "groundtruth.txt").write_text(lines(4))
        (folder / "cover.label").write_text("8\n8\n0\n3\n")
        (sequence,) = open_boxes(tmp_path).sequences
        assert sequence.name == "GOT-10k_Val_000001"
        assert sequence.visible.tolist() == [True, True, False, True]
        assert [one.name for one in open_boxes(tmp_path / "val").sequences] == [sequence.name]

    def test_lasot(self, tmp_path: Path) -> None:
        folder = tmp_path / "disc" / "disc-1"
        write_images(folder / "img", 4)
        (folder / "groundtruth.txt").write_text(lines(4))
        (folder / "full_occlusion.txt").write_text("0,0,1,0")
        (folder / "out_of_view.txt").write_text("0,0,0,1")
        (sequence,) = open_boxes(tmp_path).sequences
        assert sequence.visible.tolist() == [True, True, False, False]
        (folder / "out_of_view.txt").write_text("0,0,0")
        with pytest.raises(
            DatasetError, match=r"out_of_view.txt: 3 numbers; expected one for each"
        ):
            open_boxes(tmp_path)

    def test_vot(self, tmp_path: Path) -> None:
        folder = tmp_path / "sequences" / "disc"
        write_images(folder / "color", 3)
        (folder / "groundtruth.txt").write_text("30,10,50,20,40,40,20,30\n" * 3)
        (sequence,) = open_boxes(tmp_path).sequences
        np.testing.assert_array_equal(sequence.boxes, [[20, 10, 30, 30]] * 3)

    def test_the_layout_is_told_by_the_files(self, otb: Path, tmp_path: Path) -> None:
        assert len(open_dataset(otb).sequences) == 1
        (tmp_path / "other" / "thing").mkdir(parents=True)
        with pytest.raises(
            DatasetError, match=r"no annotated sequences; expected JPEGImages.* or "
        ):
            open_dataset(tmp_path / "other")
        with pytest.raises(DatasetError, match="nowhere: no such folder; expected JPEGImages"):
            open_dataset(tmp_path / "nowhere")

    def test_a_file_of_boxes_that_is_empty_or_missing_costs_only_its_sequence(
        self, otb: Path
    ) -> None:
        for name in ("Empty", "Link"):
            write_images(otb / name / "img", 3)
        (otb / "Empty" / "groundtruth_rect.txt").touch()
        (otb / "Link" / "groundtruth.txt").symlink_to("nowhere")
        (otb / "Disc" / "groundtruth_rect.1.txt").touch()  # as of Human4
        found = open_boxes(otb)
        assert [one.name for one in found.sequences] == ["Disc"]
        reasons = {one.name: one.reason for one in found.skipped}
        assert "groundtruth_rect.txt: no boxes" in reasons["Empty"]
        assert "groundtruth.txt: No such file" in reasons["Link"]

    def test_two_folders_of_one_name(self, otb: Path) -> None:
        write_images(otb / "more" / "Disc" / "img", 3)
        (otb / "more" / "Disc" / "groundtruth.txt").write_text(lines(3))
        found = open_boxes(otb)
        assert [(one.name, len(one.images)) for one in found.sequences] == [
            ("Disc", 6),
            ("more.Disc", 3),
        ]

    def test_images_and_boxes_are_counted(self, otb: Path) -> None:
        write_images(otb / "Short" / "img", 3)
        (otb / "Short" / "groundtruth.txt").write_text(lines(4))
        found = open_boxes(otb)
        assert [one.name for one in found.sequences] == ["Disc"]
        assert "Short/groundtruth.txt: 4 boxes for 3 images" in found.skipped[0].reason
        with pytest.raises(DatasetError, match="4 boxes for 3 images"):
            open_boxes(otb, ["Short"])
        with pytest.raises(DatasetError, match="no sequence Cat; expected SEQUENCE/groundtruth"):
            open_boxes(otb, ["Cat"])

    @pytest.mark.parametrize(
        ("first", "message"),
        [("0,0,0,0", "the first box is 0,0,0,0"), ("NaN,NaN,NaN,NaN", "the first box is nan")],
    )
    def test_no_first_box(self, otb: Path, first: str, message: str) -> None:
        path = otb / "Disc" / "groundtruth_rect.txt"
        path.write_text(first + "\n" + lines(6).split("\n", 1)[1])
        with pytest.raises(DatasetError, match=message):
            open_boxes(otb)


class TestEvaluate:
    def test_a_followed_disc(self, otb: Path) -> None:
        scores = evaluate(Tracker(BlobEngine()), otb)
        assert isinstance(scores, BoxDatasetScores)
        assert scores.AUC > 0.8 and scores.AO > 0.85 and scores.precision_20px == 1
        assert scores.SR_50 == 1 and scores.frames == 6 and scores.late_frames is None
        fields = scores.to_dict()
        json.dumps(fields, allow_nan=False)
        assert fields["sequences"]["Disc"]["AUC"] == pytest.approx(scores.AUC)

    def test_a_first_box_that_no_target_can_start_from(self, otb: Path) -> None:
        write_images(otb / "Tiny" / "img", 3)
        (otb / "Tiny" / "groundtruth.txt").write_text("10,10,2,2\n" * 3)
        scores = evaluate(Tracker(BlobEngine()), otb)
        assert isinstance(scores, BoxDatasetScores) and list(scores.sequences) == ["Disc"]
        (bad,) = scores.skipped
        assert bad.name == "Tiny" and "0001.jpg: init box" in bad.reason
        with pytest.raises(DatasetError, match="at least 4 px"):
            evaluate(Tracker(BlobEngine()), otb, ["Tiny"])

    def test_a_start_that_takes_longer_than_the_video(self, otb: Path) -> None:
        """The given box counts on all images, so no rate is reported."""

        class Slow(BlobEngine):
            def encode(self, *args: Any) -> None:
                time.sleep(0.02)
                super().encode(*args)

        scores = evaluate(Tracker(Slow()), otb, fps=1000)
        assert scores.late_frames == 5 and scores.fps is None
        json.dumps(scores.to_dict(), allow_nan=False)

    def test_the_overlay_and_a_damaged_image(self, otb: Path, tmp_path: Path) -> None:
        write_images(otb / "Bad" / "img", 4)
        (otb / "Bad" / "groundtruth.txt").write_text(lines(4))
        (otb / "Bad" / "img" / "0003.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
        scores = evaluate(Tracker(BlobEngine()), otb, overlays=tmp_path)
        assert (tmp_path / "Disc.mp4").stat().st_size > 1000
        assert [one.name for one in scores.skipped] == ["Bad"]
        assert "0003.jpg: not a readable image" in scores.skipped[0].reason


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "groundtruth.txt").write_bytes(b"\xef\xbb\xbf1,2,3,4\r\n5\t6\t7\t8.5\r\n")
    assert read_boxes(tmp_path / "groundtruth.txt").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]
