"""Folders of pictures: their order, and that no file is left out in silence."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from siampolar_model.errors import VideoError
from siampolar_model.io.image_folder import image_files, image_folder

PNG = b"\x89PNG\r\n\x1a\n"


def fill(folder: Path, names: list[str]) -> Path:
    for name in random.Random(1).sample(names, len(names)):
        (folder / name).write_bytes(PNG)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["frame1.png", "frame2.png", "frame10.png", "frame100.png"],
        ["img.png", "img (1).png", "img (2).png", "img (10).png"],
        ["a\u0661.png", "a\u0662.png", "a\u0661\u0660.png"],  # Arabic-Indic 1, 2, 10
        ["a\u00b2.png", "b\u00b3.png"],  # superscripts are no numbers
        ["1714555800.1.png", "1714555800.1337.png", "1714555800.2.png", "1714555801.0.png"],
        ["v1.8.png", "v1.9.png", "v1.10.png", "v2.1.png"],
        ["t_0.5.png", "t_0.75.png", "t_1.25.png", "t_10.0.png"],
    ],
)
def test_numbers_sort_by_their_value(tmp_path: Path, names: list[str]) -> None:
    assert [path.name for path in image_files(fill(tmp_path, names))] == names


def test_a_recorder_that_prints_no_trailing_zeros(tmp_path: Path) -> None:
    times = itertools.accumulate(itertools.repeat(0.0337, 60), initial=1714555800.1)
    names = [f"{round(time, 4)}.png" for time in times]
    assert len({len(name) for name in names}) > 1
    assert [path.name for path in image_files(fill(tmp_path, names))] == names


def test_the_order_taken_is_reported_where_there_was_a_choice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert image_folder(fill(tmp_path / "a", ["0.1.png", "0.2.png"])).notices == ()
    (notice,) = image_folder(fill(tmp_path / "b", ["5.9.png", "5.11.png", "5.2.png"])).notices
    assert "read as decimal numbers, not as counters" in notice and "5.11.png, 5.2.png" in notice


def test_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "._1.png", ".hidden.jpg"])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["1.png"]


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "3.png"])
    (tmp_path / "2.png").symlink_to("nowhere.png")
    with pytest.raises(VideoError, match=r"2\.png, a link to nowhere\.png: No such file"):
        image_files(tmp_path)
    (tmp_path / "4.png").touch()
    with pytest.raises(VideoError, match=r"\(2 such files in this folder\)"):
        image_files(tmp_path)


def test_pictures_of_a_kind_that_is_not_read_are_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path, ["1.png", "2.GIF", "3.png", "4.heic", "5.gif", "boxes.txt"])
    read = image_folder(folder)
    assert [path.name for path in read.files] == ["1.png", "3.png"]
    assert read.notices == (f"{folder}: 3 pictures left out (.gif, .heic)",)
