"""Exports, read back by the library that owns each format."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.errors import CommandError
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.polar import fill
from siampolar_model.geometry.rle import encode_rle
from siampolar_model.images.frame import Frame
from siampolar_model.io.exports.base import Exports, FrameResult
from siampolar_model.io.exports.formats import FORMATS, parse_export
from siampolar_model.results import Target, TargetState, to_supervision
from siampolar_model.session.history import StampedImage
from siampolar_model.session.targets import Targets

W, H = 80, 60


def disc(id: int, x: float, y: float, radius: float, state: TargetState) -> Target:
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
    box = Box(x - radius, y - radius, x + radius, y + radius)
    tracked = state == TargetState.TRACKING
    return Target(
        id,
        state,
        score=0.75,
        quality=0.5,
        box=box,
        polygon_xy=outline.astype(np.float32),
        confidence=0.875,
        velocity_xy=(125.0, -2.5),
        predicted_box=Box(x, y, x + 4, y + 6) if tracked else None,
        reason="" if tracked else "looks, like another",
    )


FRAMES = [
    FrameResult(
        index,
        index * 40_000_000,
        W,
        H,
        (
            disc(3, 20 + 5 * index, 20, 8, TargetState.TRACKING),
            disc(9, 60, 40, 6, TargetState.LOST if index == 2 else TargetState.UNCERTAIN),
        ),
        np.full((H, W, 3), 40 * index, np.uint8),
    )
    for index in range(4)
]


def export(path: Path, name: str) -> Path:
    with Exports([(FORMATS[name], path)]) as exports:
        for frame in FRAMES:
            exports.write(frame)
    return path


def mask_of(frame: FrameResult, place: int) -> np.ndarray:
    return fill(frame.targets[place].polygon_xy, H, W)


def test_davis_masks_by_pillow(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs pillow")
    folder = export(tmp_path / "masks", "davis")
    assert sorted(p.name for p in folder.iterdir()) == [f"{i:05d}.png" for i in range(4)]
    for frame in FRAMES:
        with image_module.open(folder / f"{frame.index:05d}.png") as image:
            index = np.array(image)
            assert image.mode == "P" and image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        np.testing.assert_array_equal(index == 1, mask_of(frame, 0) > 0)
        lost = frame.targets[1].state == TargetState.LOST
        np.testing.assert_array_equal(index == 2, (mask_of(frame, 1) > 0) & (not lost))


def test_coco_by_pycocotools(tmp_path: Path) -> None:
    coco_module = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    coco = coco_module.COCO(str(export(tmp_path / "a.json", "coco")))
    assert len(coco.imgs) == 4 and len(coco.anns) == 7
    for one in coco.anns.values():
        frame = FRAMES[one["image_id"] - 1]
        place = [target.id for target in frame.targets].index(one["track_id"])
        mask = coco.annToMask(one)
        np.testing.assert_array_equal(mask, mask_of(frame, place))
        assert one["area"] == mask.sum() and coco.imgs[one["image_id"]]["height"] == H
        told = frame.targets[place].to_dict()
        assert one["bbox"] == told["box"]
        for name in (
            "state", "reason", "confidence", "score", "quality", "velocity", "predicted_box",
        ):  # fmt: skip
            assert one[name] == told[name]


def test_mot_by_motmetrics(tmp_path: Path) -> None:
    motmetrics = pytest.importorskip("motmetrics", reason="needs motmetrics")
    table = motmetrics.io.loadtxt(str(export(tmp_path / "a.txt", "mot")), fmt="mot15-2D")
    assert len(table) == 7 and set(table.index.get_level_values("Id")) == {3, 9}
    row = table.loc[(2, 3)]  # its frames count from 1; it counts pixels from 0
    assert row[["X", "Y", "Width", "Height"]].tolist() == [17, 12, 16, 16]
    assert row["Confidence"] == 0.875


def test_rerun_by_its_own_reader(tmp_path: Path) -> None:
    reading = pytest.importorskip("rerun.chunk", reason="needs rerun-sdk 0.41 or later")
    path = export(tmp_path / "a.rrd", "rerun")
    logged: dict[str, list[str]] = {}
    frames: set[int] = set()
    told: list[str] = []
    for chunk in reading.RrdReader(path).stream():
        batch = chunk.to_record_batch()
        names = [field.name for field in batch.schema]
        logged.setdefault(chunk.entity_path, []).extend(names)
        if "frame" in names:
            frames.update(batch.column("frame").to_pylist())
        if chunk.entity_path == "/log":
            told += [text for (text,) in batch.column("TextLog:text").to_pylist()]
    assert {0, 1, 2, 3} <= frames
    for entity, what in (
        ("/video", "EncodedImage:blob"), ("/video/target_3", "LineStrips2D:strips"),
        ("/video/target_9/box", "Boxes2D:half_sizes"), ("/score/target_3", "Scalars:scalars"),
        ("/confidence/target_9", "Scalars:scalars"), ("/quality/target_9", "Scalars:scalars"),
    ):  # fmt: skip
        assert any(what in name for name in logged[entity]), (entity, logged)
    assert told == [
        "target 3: tracking",
        "target 9: uncertain (looks, like another)",
        "target 9: lost (looks, like another)",
        "target 9: uncertain (looks, like another)",
    ]


def test_csv_by_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.read_csv(export(tmp_path / "a.csv", "csv"), keep_default_na=False)
    assert len(table) == 8
    assert table.loc[2].to_dict() == {
        "frame": 1, "stamp_s": 0.04, "id": 3, "state": "tracking", "reason": "",
        "confidence": 0.875, "score": 0.75, "quality": 0.5,
        "x": 17, "y": 12, "width": 16, "height": 16, "velocity_x": 125, "velocity_y": -2.5,
        "predicted_x": "25.0", "predicted_y": "20.0", "predicted_width": "4.0",
        "predicted_height": "6.0", "mask_area_px": mask_of(FRAMES[1], 0).sum(),
    }  # fmt: skip
    lost = table.loc[5]
    assert lost["state"] == "lost" and lost["mask_area_px"] == 0 and lost["x"] == 54
    assert lost["reason"] == "looks, like another" and lost["predicted_x"] == ""


def test_a_row_of_csv_has_the_fields_of_the_message(tmp_path: Path) -> None:
    message = (Path(__file__).parents[2] / "msg" / "Target.msg").read_text()
    fields = {name for _, name in re.findall(r"^(\w+) (\w+)$", message, re.MULTILINE)}
    with export(tmp_path / "a.csv", "csv").open(newline="") as file:
        assert set(next(csv.reader(file))) >= fields


def test_json_lines_are_what_targets_tell(tmp_path: Path) -> None:
    lines = [json.loads(one) for one in export(tmp_path / "a.jsonl", "jsonl").open()]
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert lines[2]["targets"] == [target.to_dict() for target in FRAMES[2].targets]


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_by_pycocotools(seed: int) -> None:
    coco_mask = pytest.importorskip("pycocotools.mask", reason="needs pycocotools")
    rng = np.random.default_rng(seed)
    mask = (cv2.GaussianBlur(rng.random((47, 91)), (0, 0), 1 + seed / 3) > 0.5).astype(np.uint8)
    if seed < 2:
        mask[:] = seed
    runs = encode_rle(mask)
    assert runs["counts"] == coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    np.testing.assert_array_equal(coco_mask.decode(runs), mask)


def test_exports_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    old = tmp_path / "a.csv"
    old.write_text("old")
    wanted = [(FORMATS["csv"], old), (FORMATS["davis"], tmp_path / "masks")]
    with pytest.raises(ZeroDivisionError), Exports(wanted) as exports:
        exports.write(FRAMES[0])
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"] and old.read_text() == "old"
    with pytest.raises(KeyboardInterrupt), Exports(wanted) as exports:
        exports.write(FRAMES[0])
        raise KeyboardInterrupt
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "masks"]
    assert len(old.read_text().splitlines()) == 3


def test_an_export_is_a_format_and_a_path() -> None:
    assert parse_export("mot:out/a:b.txt") == (FORMATS["mot"], Path("out/a:b.txt"))
    for text in ("mot", "mot:", "gif:a.gif", ":a"):
        with pytest.raises(CommandError, match="must be FORMAT:PATH; formats: jsonl, davis"):
            parse_export(text)


def test_supervision_takes_what_is_not_lost() -> None:
    supervision = pytest.importorskip("supervision", reason="needs supervision")
    found = to_supervision(FRAMES[1].targets, H, W)
    assert isinstance(found, supervision.Detections) and len(found) == 2
    np.testing.assert_array_equal(found.xyxy[0], FRAMES[1].targets[0].box.as_xyxy())
    np.testing.assert_array_equal(found.mask[1], mask_of(FRAMES[1], 1) > 0)
    assert found.tracker_id.tolist() == [3, 9] and found.confidence.tolist() == [0.875, 0.875]
    assert found.data["state"].tolist() == ["tracking", "uncertain"]
    assert found.data["reason"].tolist() == ["", "looks, like another"]
    assert found.data["score"].tolist() == [0.75, 0.75]
    assert found[1].data["velocity"].tolist() == [[125.0, -2.5]]
    image = StampedImage(0, Frame.from_bgr(np.zeros((H, W, 3), np.uint8)), None)
    assert len(Targets(image, tuple(FRAMES[2].targets)).to_supervision()) == 1
    assert len(to_supervision([], H, W)) == 0
    drawn = supervision.MaskAnnotator().annotate(np.zeros((H, W, 3), np.uint8), found)
    assert drawn[20, 25].any() and not drawn[0, 0].any()


def test_shapely_has_the_area_of_the_outline() -> None:
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    target = FRAMES[0].targets[0]
    shape = target.to_shapely(H, W)
    assert shape.is_valid and shape.area == pytest.approx(36 / 2 * 64 * np.sin(2 * np.pi / 36))
    assert shape.contains(shapely.Point(20, 20)) and not shape.contains(shapely.Point(29, 20))
    box = Box(0, 0, 4, 4)
    # A bow tie crosses itself, and an outline outside the image has no points.
    tie = np.array([(0, 0), (4, 4), (4, 0), (0, 4)], np.float32)
    assert Target(1, TargetState.TRACKING, 1, 1, box, tie).to_shapely(H, W).area == 8
    none = np.empty((0, 2), np.float32)
    assert Target(1, TargetState.TRACKING, 1, 1, box, none).to_shapely(H, W).is_empty
