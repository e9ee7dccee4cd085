"""Masks are read by index, whatever their palette; undecided pixels are told from objects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.davis import find_sequences
from siampolar_model.evaluation.pictures import has_void, read_labels

Image = pytest.importorskip("PIL.Image", reason="needs Pillow to write palettes")


def labels(top: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, top + 1, (37, 53), dtype=np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_indices_of_a_palette_whose_colours_are_all_black(tmp_path: Path, bits: int) -> None:
    drawn = labels(2**bits - 1)
    image = Image.fromarray(drawn).convert("P")
    image.putpalette([0, 0, 0] * 2**bits)
    image.putdata(drawn.ravel().tolist())
    image.save(tmp_path / "mask.png", bits=bits)
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png"), drawn)


def test_grey_images_and_one_colour(tmp_path: Path) -> None:
    drawn = labels(3)
    cv2.imwrite(str(tmp_path / "grey.png"), drawn)
    np.testing.assert_array_equal(read_labels(tmp_path / "grey.png"), drawn)
    colour = (drawn > 1)[..., None] * np.array([0, 0, 200], np.uint8)
    cv2.imwrite(str(tmp_path / "red.png"), colour)
    np.testing.assert_array_equal(read_labels(tmp_path / "red.png"), drawn > 1)


def test_what_is_not_a_mask(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), colours)
    cv2.imwrite(str(tmp_path / "deep.png"), labels(9).astype(np.uint16))
    Image.fromarray(labels(9)).convert("P").save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    for name, message in (
        ("photo", "has several colours"),
        ("deep", "has uint16 values; a mask has 8 bits"),
        ("half", "not a readable image"),
        ("empty", "not a readable image"),
        ("none", "No such file"),
    ):
        with pytest.raises(DatasetError, match=rf"{name}\.png: {message}"):
            read_labels(tmp_path / f"{name}.png")


@pytest.mark.parametrize(
    ("found", "void"),
    [({0, 255}, False), ({0, 1}, False), ({0, 1, 255}, True), ({2, 255}, True), ({0}, False)],
)
def test_255_is_undecided_only_where_objects_have_other_labels(found: set[int], void: bool) -> None:
    assert has_void(found) == void


def test_a_frame_of_undecided_pixels_alone_has_no_object(tmp_path: Path) -> None:
    """Which meaning 255 has is a matter of the whole sequence."""
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p" / "a").mkdir(parents=True)
    for index, label in enumerate((1, 255, 1)):
        mask = np.zeros((20, 30), np.uint8)
        mask[5:15, 5:15] = label
        cv2.imwrite(str(tmp_path / f"Annotations/480p/a/{index}.png"), mask)
        cv2.imwrite(str(tmp_path / f"JPEGImages/480p/a/{index}.jpg"), np.full((20, 30, 3), 90))
    (sequence,) = find_sequences(tmp_path)
    frame = sequence.read(1)
    assert not frame.mask.any() and frame.void is not None and frame.void.sum() == 100
    assert sequence.read(2).mask.sum() == 100


def test_a_mask_in_a_jpeg_file_is_refused(tmp_path: Path) -> None:
    """Its labels are others along every edge, each of which would count as an object."""
    training = pytest.importorskip("siampolar_training.data.readers.decode")
    square = np.zeros((48, 64), np.uint8)
    square[10:30, 20:45] = 2
    path = tmp_path / "mask.jpg"
    cv2.imwrite(str(path), square * 100)
    for read in (read_labels, training.read_labels):
        with pytest.raises(DatasetError, match=r"mask.jpg: is a JPEG file, which changes labels"):
            read(path)
