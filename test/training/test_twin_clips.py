"""Identical objects that cross: what the generated clips promise, and what their measure counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs the extra train")

from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.results import TargetState
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from siampolar_training.clips.twins import (
    COPIES,
    FRAMES,
    HIDDEN_S,
    RATE_HZ,
    TwinClip,
    judge,
    render_clip,
    summarize,
)
from siampolar_training.data.readers.photos import Photos
from support.blob_engine import BlobEngine
from support.commands import run
from support.drawn_photos import photo, write_photos


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    root = tmp_path_factory.mktemp("photos")
    write_photos(root, [photo(number) for number in (1, 2, *range(70, 76))])
    return Photos(root, validation=True)


@pytest.fixture(scope="module")
def clip(reader: Photos) -> TwinClip:
    return render_clip(reader, 3)


def test_copies_are_apart_in_sight_at_both_ends_and_some_are_hidden(reader: Photos) -> None:
    for seed in range(3):
        clip = render_clip(reader, seed)
        assert COPIES[0] <= len(clip.copies) <= COPIES[1]
        assert min(clip.in_sight(t).min() for t in (0, FRAMES - 1)) >= 0.8
        hidden = sum(clip.in_sight(t) < 0.02 for t in range(0, FRAMES, 3)) * 3
        for screen in clip.screens:
            assert 0.5 * HIDDEN_S[0] * RATE_HZ <= hidden[screen.copy] <= 2 * RATE_HZ


def test_a_clip_is_a_pure_function_of_photographs_and_seed(reader: Photos, clip: TwinClip) -> None:
    again, another = render_clip(reader, 3), render_clip(reader, 4)
    for mine, same in zip(clip.frame(50), again.frame(50), strict=True):
        np.testing.assert_array_equal(mine, same)
    assert not np.array_equal(clip.frame(0)[0], another.frame(0)[0])


class Oracle:
    """A tracker that follows every copy, but from frame 60 on the first target sits on the second
    copy, and is doubted for ``doubted`` frames; later it is in the state ``last``."""

    def __init__(self, clip: TwinClip, doubted: int, last: TargetState) -> None:
        self._clip, self._doubted, self._last = clip, doubted, last

    def reset(self) -> None:
        self._t, self._boxes = 0, []

    def start(self, frame: np.ndarray, box: object) -> int:
        self._boxes.append(box)
        return len(self._boxes)

    def update(self, frame: np.ndarray, *, elapsed_s: float) -> list[object]:
        self._t += 1
        masks = self._clip.frame(self._t)[1]
        self._boxes = [mask_box(m) or b for m, b in zip(masks, self._boxes, strict=True)]
        states = [TargetState.TRACKING] * len(masks)
        boxes = list(self._boxes)
        if self._t >= 60:
            boxes[0] = boxes[1]
            states[0] = TargetState.UNCERTAIN if self._t < 60 + self._doubted else self._last
        return [SimpleNamespace(state=s, box=b) for s, b in zip(states, boxes, strict=True)]


@pytest.mark.parametrize(
    ("doubted", "last", "end", "called"),
    [
        (0, TargetState.TRACKING, "another", False),
        (3, TargetState.TRACKING, "another", True),
        (0, TargetState.UNCERTAIN, "another", True),
        (0, TargetState.LOST, "lost", True),
    ],
)
def test_what_counts_as_another_copy_and_as_called(
    clip: TwinClip, doubted: int, last: TargetState, end: str, called: bool
) -> None:
    outcomes = judge(Oracle(clip, doubted, last), clip)  # type: ignore[arg-type]
    assert (outcomes[0].end, outcomes[0].called) == (end, called)
    assert all(one.end == "own" for one in outcomes[1:])
    figures = summarize(outcomes)
    assert figures.another == (end == "another") / len(outcomes)
    assert np.isnan(figures.called) if end == "lost" else figures.called == called


def test_the_command_prints_the_figures(
    reader: Photos, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str, *, engine: str, settings: TrackerSettings) -> Tracker:
        assert (name, engine, settings.lost_frames) == ("folder", "auto", 9)
        return Tracker(BlobEngine(), settings)

    monkeypatch.setattr(Tracker, "from_pretrained", load)
    arguments = ["train", "identity", "twins", "folder", "--photos", str(reader.root)]
    assert run(monkeypatch, *arguments, "--clips", "1", "--set", "lost_frames=9") == 0
    assert " targets among twins: at the end " in capsys.readouterr().out
