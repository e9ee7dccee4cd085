"""Outlines of COCO files: what is safe for pycocotools passes unchanged, the rest is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools")

from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from siampolar_model.errors import DatasetError
from siampolar_training.data.readers.coco import Coco
from siampolar_training.data.readers.coco_outline import (
    OutlineError,
    _decompressed,
    checked_outline,
)

H, W = 24, 32
SQUARE = [4, 4, 20, 4, 20, 20, 4, 20]


@given(st.binary(min_size=H * W // 8, max_size=H * W // 8))
@settings(max_examples=200, deadline=None)
def test_compressed_run_lengths_are_those_of_the_reference(bits: bytes) -> None:
    mask = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(H, W, order="F")
    runs = coco_mask.encode(np.asfortranarray(mask))
    text = runs["counts"].decode()
    changes = np.flatnonzero(np.diff(mask.ravel("F"), prepend=0)).tolist()
    expected = np.diff([0, *changes, H * W]).tolist()
    assert _decompressed(text) == expected
    assert checked_outline({"counts": text, "size": [H, W]}, H, W)


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        ([[*SQUARE[:-1], float("nan")]], "a corner lies at nan"),
        (
            [[4, 4, 3.5e8, 4, 3.5e8, 20, 4, 20]],
            r"a corner lies at 3.5e\+08; it must be from -64 to 96",
        ),
        ([[*SQUARE, 5]], "9 numbers"),
        (SQUARE, "list of polygons"),
        ([[str(v) for v in SQUARE]], "a corner has '4'"),
        ("polygon", "segmentation is str"),
        ({"counts": [10, 20], "size": [H, W]}, "add up to 30 pixels; the image has 768"),
        ({"counts": [H * W], "size": [W, H]}, r"of size \[32, 24\]; the image is \[24, 32\]"),
        ({"counts": [-1, H * W + 1], "size": [H, W]}, "at least 0"),
        ({"counts": "@@@@", "size": [H, W]}, "at least 0"),
        ({"counts": "o", "size": [H, W]}, "cut off or damaged"),
        ({"counts": "\u00ff", "size": [H, W]}, "cut off or damaged"),
        ({"size": [H, W]}, "text or whole numbers"),
        ([[]], "no polygon has three points"),
        ([[1, 2]], "no polygon has three points"),
        ([[1, 2, 3, 4], []], "no polygon has three points"),
        ([[40, 4, 50, 4, 50, 20]], "all polygons lie outside the image"),
        ([[4, -9, 20, -9, 20, 0], [4, 24, 20, 24, 20, 30]], "all polygons lie outside the image"),
    ],
)
def test_a_damaged_outline_is_refused_with_its_value(outline: Any, message: str) -> None:
    with pytest.raises(OutlineError, match=message):
        checked_outline(outline, H, W)


def test_no_outline_is_none() -> None:
    assert checked_outline(None, H, W) is None and checked_outline([], H, W) is None


def test_a_part_that_encloses_nothing_is_left_out() -> None:
    assert checked_outline([[1, 2, 3, 4], SQUARE], H, W) == [SQUARE]


def test_corners_a_little_outside_are_kept() -> None:
    outside = [[-20, -20, 10, -20, 10, 10, -20, 10]]
    assert checked_outline(outside, H, W) == outside


def test_damaged_annotations_are_left_out_and_named(tmp_path: Path) -> None:
    def one(id: int, outline: Any) -> dict[str, Any]:
        return {"id": id, "image_id": 1, "category_id": 1, "segmentation": outline}

    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((H, W, 3), np.uint8))
    data = {
        "images": [{"id": 1, "file_name": "1.png", "width": W, "height": H}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [one(7, [SQUARE]), one(8, [[4, 4, 1e12, 4, 4, 20]]), one(9, {"size": []})],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.warns(UserWarning, match=r"2 damaged annotations are left out; annotation 8: a c"):
        reader = Coco(path, tmp_path, validation=None)
    assert reader.read(0).objects == (1,) and (reader.read(0).labels > 0).sum() == 256
    data["annotations"] = data["annotations"][1:]
    path.write_text(json.dumps(data))
    with pytest.raises(DatasetError, match=r"no instances with an outline \(2 are damaged; annot"):
        Coco(path, tmp_path, validation=None)


def coco_file(folder: Path, change: Any) -> Path:
    cv2.imwrite(str(folder / "1.png"), np.zeros((H, W, 3), np.uint8))
    one = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}
    data: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "1.png", "width": W, "height": H}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [one, {**one, "id": 2}],
    }
    change(data)
    (folder / "a.json").write_text(json.dumps(data))
    return folder / "a.json"


def test_annotations_without_an_outline_are_counted(tmp_path: Path) -> None:
    path = coco_file(tmp_path, lambda d: d["annotations"][1].update(segmentation=[]))
    with pytest.warns(UserWarning, match=r"1 annotations without an outline are .* annotation 2"):
        reader = Coco(path, tmp_path, validation=None)
    assert reader.read(0).objects == (1,)


def test_an_image_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    """Its annotations would belong to one of the two entries alone."""
    path = coco_file(tmp_path, lambda d: d["images"].append(d["images"][0]))
    with pytest.raises(DatasetError, match=r"a.json: image 1 is listed 2 times"):
        Coco(path, tmp_path, validation=None)


def test_no_mask_is_drawn_in_a_size_that_its_image_does_not_have(tmp_path: Path) -> None:
    """A height of 350 million pixels would take all memory."""
    path = coco_file(tmp_path, lambda d: d["images"][0].update(height=3.5e8))
    reader = Coco(path, tmp_path, validation=None)
    with pytest.raises(DatasetError, match=r"1.png: is 32x350000000 px; its image is 32x24"):
        reader.read(0)


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As programs on Windows write it."""
    path = coco_file(tmp_path, lambda d: None)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Coco(path, tmp_path, validation=None).read(0).objects == (2,)
