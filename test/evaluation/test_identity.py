"""Targets against boxes drawn by hand: what is read, and what counts as being on one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.boxes import BoxSequence
from siampolar_model.evaluation.identity import IdentityClip, OffTarget, follow, off_target
from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_model.tracking.tracker import Tracker

_DRAWN = Path(__file__).resolve().parents[1] / "data" / "identity"

_FRAMES = 31


@pytest.fixture
def clip(tmp_path: Path) -> tuple[IdentityClip, Path]:
    """Two objects on 31 images: "a" stays, "b" moves to the right and is hidden on frame 15."""
    folder = tmp_path / "video"
    folder.mkdir()
    for t in range(_FRAMES):
        cv2.imwrite(str(folder / f"{t:03}.png"), np.full((120, 200, 3), t, np.uint8))
    a = {"0": [10, 10, 30, 30], "15": [10, 10, 30, 30], "30": [10, 10, 30, 30]}
    b = {"0": [60, 60, 30, 30], "15": None, "30": [120, 60, 30, 30]}
    path = tmp_path / "clip.json"
    path.write_text(json.dumps({"video": "video", "objects": {"a": a, "b": b}}))
    return IdentityClip.read(path), folder


class Script:
    """A tracker whose targets stand where a test says, from a frame on; all are tracking."""

    def __init__(self, places: dict[int, list[tuple[Box, TargetState]]]) -> None:
        self._places, self._t = places, 0
        self._boxes: list[tuple[Box, TargetState]] = []

    @property
    def targets(self) -> list[Target]:
        return [Target(i, state, 0.9, 0.9, box, box.corners_xy())
                for i, (box, state) in enumerate(self._boxes, 1)]  # fmt: skip

    def start(self, image: np.ndarray, box: Box) -> None:
        self._boxes.append((box, TargetState.TRACKING))

    def update(self, image: np.ndarray, *, elapsed_s: float = 0.0) -> list[Target]:
        self._t += 1
        self._boxes = self._places.get(self._t, self._boxes)
        return self.targets

    def reset(self) -> None:
        self._boxes = []


A, B, MOVED = (Box.from_xywh(*xywh) for xywh in ((10, 10, 30, 30), (60, 60, 30, 30),
                                                 (120, 60, 30, 30)))  # fmt: skip
ON, OFF, GONE = TargetState.TRACKING, TargetState.UNCERTAIN, TargetState.LOST


@pytest.mark.parametrize(
    ("places", "ends", "on_own", "shared"),
    [
        ({20: [(A, ON), (MOVED, ON)]}, {"a": "own", "b": "own"}, 1.0, 0),
        ({1: [(A, ON), (A, ON)]}, {"a": "own", "b": "another"}, 0.0, 30),
        ({1: [(A, ON), (A, OFF)]}, {"a": "own", "b": "another"}, 1.0, 0),
        ({20: [(A, ON), (B, ON)]}, {"a": "own", "b": "elsewhere"}, 0.5, 0),
        ({20: [(A, ON), (B, GONE)]}, {"a": "own", "b": "lost"}, 1.0, 0),
        ({5: [(A, ON), (A, ON)], 9: [(A, ON), (B, ON)], 20: [(A, ON), (MOVED, ON)]},
         {"a": "own", "b": "own"}, 1.0, 4),
    ],
)  # fmt: skip
def test_where_targets_end_and_what_counts_as_their_own(
    clip: tuple[IdentityClip, Path],
    places: dict[int, list[tuple[Box, TargetState]]],
    ends: dict[str, str],
    on_own: float,
    shared: int,
) -> None:
    scores = follow(Script(places), *clip)  # type: ignore[arg-type]
    assert (dict(scores.ends), scores.on_own, scores.shared_frames) == (ends, on_own, shared)
    assert scores.own_or_lost == sum(end in ("own", "lost") for end in ends.values())


def test_a_contact_sheet_has_all_annotated_frames(
    clip: tuple[IdentityClip, Path], tmp_path: Path
) -> None:
    follow(Script({}), *clip, sheet=tmp_path / "sheet.jpg")  # type: ignore[arg-type]
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert sheet.shape == (288, 4 * 480, 3)
    assert all(sheet[100:200, x : x + 200].max() > 200 for x in (0, 480, 960))


def test_a_video_that_ends_early_and_a_broken_file_are_named(
    clip: tuple[IdentityClip, Path], tmp_path: Path
) -> None:
    annotated, folder = clip
    for t in range(20, _FRAMES):
        (folder / f"{t:03}.png").unlink()
    with pytest.raises(DatasetError, match="20 frames; annotated to frame 30"):
        follow(Script({}), annotated, folder)  # type: ignore[arg-type]
    path = tmp_path / "broken.json"
    for text in ("{", '{"video": "x"}', '{"video": "x", "objects": {"a": {"0": [1, 2]}}}'):
        path.write_text(text)
        with pytest.raises(DatasetError, match=r"broken\.json: no annotation of a video"):
            IdentityClip.read(path)
    path.write_text('{"video": "x", "objects": {"a": {"0": null}}}')
    with pytest.raises(DatasetError, match="a box on frame 0"):
        IdentityClip.read(path)


@pytest.mark.parametrize(("name", "objects"), [("blocks", 7), ("cups", 3)])
def test_the_annotated_clips_are_complete(name: str, objects: int) -> None:
    clip = IdentityClip.read(_DRAWN / f"{name}.json")
    assert len(clip.objects) == objects and clip.frames == tuple(range(0, 300, 15))
    for boxes in clip.objects.values():
        for box in boxes.values():
            assert box is None or (0 <= box.x1 < box.x2 <= 1280 and 0 <= box.y1 < box.y2 <= 720)


def test_only_frames_called_tracking_far_from_a_known_box_are_off_target(tmp_path: Path) -> None:
    images = [tmp_path / f"{t}.png" for t in range(6)]
    for path in images:
        cv2.imwrite(str(path), np.zeros((120, 200, 3), np.uint8))
    visible = np.array([True, True, True, True, False, True])
    sequence = BoxSequence("a", tuple(images), np.tile(A.as_xywh(), (6, 1)), visible, None)
    script = Script({1: [(A, ON)], 2: [(B, ON)], 3: [(B, OFF)], 4: [(B, ON)], 5: [(B, GONE)]})
    assert off_target(script, sequence) == OffTarget(4, 1, 2)  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_targets_never_share_a_cup_or_a_block(shared_data: Callable[[str], Path]) -> None:
    tracker = Tracker.from_pretrained()
    for name in ("blocks", "cups"):
        clip = IdentityClip.read(_DRAWN / f"{name}.json")
        scores = follow(tracker, clip, shared_data("clips") / clip.video)
        print(name, scores)
        assert scores.shared_frames <= 5, scores
