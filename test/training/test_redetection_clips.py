"""Finding a lost target again: what the generated clips promise, and the figures to reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs the extra train")

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.metrics import mask_box
from siampolar_model.results import TargetState
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from siampolar_training.clips.redetection import (
    BEFORE,
    FAR_PX,
    FOUND_FRAMES,
    HIDDEN,
    RATE_HZ,
    HidingClip,
    judge,
    measure,
    render_clip,
)
from siampolar_training.data.readers.photos import Photos
from support.blob_engine import BlobEngine
from support.commands import run
from support.drawn_photos import photo, write_photos


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Drawn photographs on the held-out side of the split, and two on the other."""
    root = tmp_path_factory.mktemp("photos")
    write_photos(root, [photo(number) for number in (1, 2, *range(70, 76))])
    return Photos(root, validation=True)


@pytest.mark.parametrize("distractor", [False, True])
def test_the_object_is_hidden_for_two_seconds_and_comes_back_elsewhere(
    reader: Photos, distractor: bool
) -> None:
    clips = [render_clip(reader, seed, distractor=distractor) for seed in range(5)]
    for clip in clips:
        seen = [clip.frame(t)[1].any() for t in range(len(clip))]
        assert HIDDEN == 2 * RATE_HZ
        assert not any(seen[BEFORE : BEFORE + HIDDEN])
        if not distractor:  # which may pass in front of it
            assert all(seen[:BEFORE]) and all(seen[BEFORE + HIDDEN :])
    away = [np.linalg.norm(c.after.place_xy[0] - c.before.place_xy[1]) for c in clips]
    assert min(away) >= FAR_PX / 2 and np.median(away) >= FAR_PX
    sizes = [c.after.side_px[0] / c.before.side_px[0] for c in clips]
    assert all(0.7 < size < 1.4 for size in sizes) and len(set(sizes)) == len(sizes)


def test_a_clip_is_a_pure_function_of_photographs_and_seed(reader: Photos) -> None:
    clip, again, another = (render_clip(reader, seed, distractor=True) for seed in (3, 3, 4))
    for t in (0, 60, 120):
        for mine, same in zip(clip.frame(t), again.frame(t), strict=True):
            np.testing.assert_array_equal(mine, same)
    assert not np.array_equal(clip.frame(0)[0], another.frame(0)[0])


def test_a_distractor_is_in_sight_all_the_time_and_is_another_object(reader: Photos) -> None:
    clip = render_clip(reader, 1, distractor=True)
    plain = render_clip(reader, 1, distractor=False)
    assert clip.distractor is not None and plain.distractor is None
    assert clip.distractor.instance.source.sequence != clip.before.instance.source.sequence
    for t in (0, BEFORE + 10, len(clip) - 1):
        assert (clip.frame(t)[0] != plain.frame(t)[0]).any()


class Oracle:
    """A tracker that knows the clip, with delays and mistakes that a test orders."""

    def __init__(self, clip: HidingClip, found_after: int, false: int) -> None:
        self._clip, self._found_after, self._false = clip, found_after, false

    def reset(self) -> None:
        self._t = 0

    def start(self, frame: np.ndarray, box: object) -> None:
        self._box = box

    def update(self, frame: np.ndarray, *, elapsed_s: float) -> list[object]:
        self._t += 1
        since = self._t - BEFORE
        tracking = since < self._false or since - HIDDEN >= self._found_after
        self._box = mask_box(self._clip.frame(self._t)[1]) or self._box
        state = TargetState.TRACKING if tracking else TargetState.LOST
        return [SimpleNamespace(state=state, box=self._box)]


@pytest.mark.parametrize(
    ("found_after", "false", "expected"),
    [
        (0, 0, (1.0, 0.0, 0)),
        (7, 6, (1.0, 0.1, 7)),
        (FOUND_FRAMES - 1, 60, (1.0, 1.0, FOUND_FRAMES - 1)),
        (FOUND_FRAMES, 0, (1.0, 0.0, None)),
    ],
)
def test_what_counts_as_found_and_as_false(
    reader: Photos, found_after: int, false: int, expected: tuple[float, float, int | None]
) -> None:
    clip = render_clip(reader, 2, distractor=False)
    outcome = judge(Oracle(clip, found_after, false), clip)  # type: ignore[arg-type]
    assert (outcome.tracked_before, outcome.false, outcome.found_after) == expected


def test_the_command_prints_both_figures(
    reader: Photos, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str, *, engine: str, settings: TrackerSettings) -> Tracker:
        assert (name, engine, settings.redetect_crops) == ("folder", "auto", 8)
        return Tracker(BlobEngine(), settings)

    monkeypatch.setattr(Tracker, "from_pretrained", load)
    arguments = ["train", "redetection", "folder", "--photos", str(reader.root), "--clips", "1"]
    assert run(monkeypatch, *arguments, "--set", "redetect_crops=8") == 0
    without, with_another = capsys.readouterr().out.splitlines()
    words = "another object of similar colours in view: found again within 1.5 s"
    assert without.startswith(f"without {words}") and with_another.startswith(f"with {words}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        Photos(tmp_path, validation=True)


@pytest.mark.slow
@pytest.mark.parametrize("distractor", [False, True])
def test_a_lost_target_is_found_again(shared_data: Callable[[str], Path], distractor: bool) -> None:
    """The shipped network and settings, on 20 clips of held-out photographs."""
    tracker = Tracker.from_pretrained()
    reader = Photos(shared_data("photos"), validation=True)
    figures = measure(tracker, reader, 20, distractor=distractor)
    print(figures)
    assert figures.found >= 0.80, figures
    assert figures.false <= (0.10 if distractor else 0.02), figures
