"""What a user calls: boxes as plain numbers, the verbs of the tracker, masks, videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siampolar_model.errors import BoxError, VideoError
from siampolar_model.geometry.box import Box
from siampolar_model.io.jsonl import json_line
from siampolar_model.io.source import read_video
from siampolar_model.io.video import VideoWriter
from siampolar_model.results import Target, TargetState
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine


def picture() -> np.ndarray:
    image = np.full((240, 320, 3), 90, np.uint8)
    image[40:80, 60:120] = (0, 0, 220)
    return image


class TestBoxes:
    @pytest.mark.parametrize(
        "box", [(60, 40, 60, 40), [60.0, 40.0, 60.0, 40.0], np.array([60, 40, 60, 40])]
    )
    def test_four_numbers_are_as_good_as_a_box(self, box: Any) -> None:
        one, other = Tracker(BlobEngine()), Tracker(BlobEngine())
        one.start(picture(), Box.from_xywh(60, 40, 60, 40))
        other.start(picture(), box)
        assert one.targets[0].box == other.targets[0].box == Box(60, 40, 120, 80)

    @pytest.mark.parametrize("box", [None, 5, (1, 2, 3), (1, 2, 3, 4, 5), ("a", 1, 2, 3), {}])
    def test_anything_else_is_one_clear_error(self, box: Any) -> None:
        tracker = Tracker(BlobEngine())
        with pytest.raises(BoxError, match=r"^box .* is not four numbers x,y,w,h in pixels"):
            tracker.start(picture(), box)
        assert tracker.targets == []


class TestTracker:
    def test_targets_are_the_last_results(self) -> None:
        tracker = Tracker(BlobEngine())
        assert tracker.targets == []
        tracker.start(picture(), (60, 40, 60, 40), id=7)
        tracker.start(picture(), (60, 40, 60, 40), id=3)
        assert [target.id for target in tracker.targets] == [3, 7]
        results = tracker.update(picture())
        assert all(a is b for a, b in zip(results, tracker.targets, strict=True))
        (after,) = tracker.update(picture(), [7])
        assert tracker.targets[0] is results[0] and tracker.targets[1] is after
        tracker.reset()
        assert tracker.targets == []

    @pytest.mark.parametrize(("old", "new"), [("init", "start"), ("track", "update")])
    def test_the_old_verbs_name_the_new_ones(self, old: str, new: str) -> None:
        tracker = Tracker(BlobEngine())
        with pytest.raises(AttributeError, match=f"^Tracker.{old} is called Tracker.{new} now$"):
            getattr(tracker, old)
        with pytest.raises(AttributeError, match="'Tracker' object has no attribute 'fly'"):
            tracker.fly  # noqa: B018


class TestTarget:
    def test_mask_is_the_area_of_the_outline(self) -> None:
        tracker = Tracker(BlobEngine())
        image = picture()
        tracker.start(image, (60, 40, 60, 40))
        (target,) = tracker.update(image)
        mask = target.mask(240, 320)
        assert mask.dtype == bool and mask.shape == (240, 320)
        truth = (image == (0, 0, 220)).all(2)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9

    def test_mask_of_an_outline_outside_the_image_is_empty(self) -> None:
        nothing = np.zeros((0, 2), np.float32)
        target = Target(1, TargetState.LOST, 0.1, 0.0, Box(0, 0, 9, 9), nothing)
        assert not target.mask(4, 5).any() and target.mask(4, 5).shape == (4, 5)

    def test_to_dict_is_what_a_line_of_json_holds(self) -> None:
        box = Box(1, 2, 31.123456, 42)
        target = Target(4, TargetState.UNCERTAIN, 0.123456, 0.5, box, box.corners_xy())
        fields = target.to_dict()
        assert fields["state"] == "uncertain" and fields["score"] == 0.1235
        assert fields["box"] == [1.0, 2.0, 30.12, 40.0] and len(fields["polygon"]) == 4
        assert json.loads(json_line(0, 5, [target]))["targets"] == [fields]


class TestReadVideo:
    def test_frames_have_images_and_their_place(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", fps=10) as out:
            for _ in range(4):
                out.write(picture())
        frames = list(read_video(tmp_path / "a.mp4", first=1, last=2))
        assert [frame.index for frame in frames] == [1, 2]
        assert [frame.stamp_ns for frame in frames] == [100_000_000, 200_000_000]
        assert frames[0].image.shape == (240, 320, 3) and frames[0].image.dtype == np.uint8

    def test_no_such_file_is_one_clear_error(self) -> None:
        with pytest.raises(VideoError, match=r"nothing\.mp4: no such video"):
            next(read_video("nothing.mp4"))

    @pytest.mark.parametrize("source", [0, "rtsp://nowhere/stream", "-"])
    def test_live_sources_have_no_range_of_frames(self, source: str | int) -> None:
        with pytest.raises(VideoError, match="first and last choose frames of a file or folder"):
            next(read_video(source, last=9))

    def test_number_of_a_camera_that_is_not_there(self) -> None:
        with pytest.raises(VideoError, match="99"):
            next(read_video(99))
