"""Several objects of one video, scored as DAVIS-2017 does, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siampolar_model.cli.evaluate import Contender, check_takes_mask
from siampolar_model.errors import BoxError, CommandError, DatasetError
from siampolar_model.evaluation.davis import open_masks
from siampolar_model.evaluation.evaluate import evaluate, evaluate_objects
from siampolar_model.evaluation.worst_frames import WorstFrames
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.region import bounds_of
from siampolar_model.results import Target, TargetState

# A diagonal of 250 px makes the tolerance of the boundary 2 px.
HEIGHT, WIDTH, FRAMES, SIDE = 150, 200, 5, 20

#: Left and top of the three squares on the first image; they move 4 px to the right per image.
PLACES = {1: (20, 20), 2: (60, 60), 3: (100, 100)}

SHIFT = 3

# A square shifted by 3 px shares 17 of 23 columns with itself. The boundary of a square of n px has
# 4 n pixels: a ring of n + 1 by n + 1. Of the shifted one, 20 of 21 lie within 2 px of the true one
# along the top and the bottom, of the left side the two next to each of them, and of the right side
# none: 44 of 80, in both directions.


def square(object: int, index: int, shift: int = 0) -> Box:
    x, y = PLACES[object]
    return Box.from_xywh(x + 4 * index + shift, y, SIDE, SIDE)


class Toy:
    """Object 1 exactly; object 2 three px too far right; object 3 lost from image 2 on."""

    def __init__(self) -> None:
        self.index, self.started = 0, 0
        self.boxes: list[tuple[float, ...]] = []  # with those of the warm-up

    def start(self, frame: Any, region: Any) -> int:
        self.started += 1
        self.boxes.append(bounds_of(region).as_xywh())
        return self.started

    def update(self, frame: Any, *, elapsed_s: float = 0.0) -> list[Target]:
        self.index += 1
        found = []
        for id in PLACES:
            box = square(id, self.index, SHIFT if id == 2 else 0)
            lost = id == 3 and self.index >= 2
            state = TargetState.LOST if lost else TargetState.TRACKING
            found.append(Target(id, state, 0.9, 0.8, box, box.corners_xy()))
        return found

    def reset(self) -> None:
        self.index = self.started = 0


@pytest.fixture
def toy_set(tmp_path: Path) -> Path:
    images, masks = (tmp_path / kind / "480p" / "toy" for kind in ("JPEGImages", "Annotations"))
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index in range(FRAMES):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for id in PLACES:
            x, y, width, height = (int(v) for v in square(id, index).as_xywh())
            labels[y : y + height, x : x + width] = id
        cv2.imwrite(str(images / f"{index:05d}.jpg"), cv2.cvtColor(labels * 80, cv2.COLOR_GRAY2BGR))
        cv2.imwrite(str(masks / f"{index:05d}.png"), labels)
    return tmp_path


#: Worked out by hand for images 1, 2 and 3, the ones that count: J, F, and J's recall and decay.
#: toy.1 is exact. toy.2 shares 17 of 23 columns on every image, and 44 of 80 pixels of the
#: boundary. toy.3 has J of 1, 0, 0: one image of three, and a decay from (1 + 0) / 2 to 0.
BY_HAND = {
    "toy.1": (1.0, 1.0, 1.0, 0.0),
    "toy.2": (0.739130, 0.55, 1.0, 0.0),
    "toy.3": (0.333333, 0.333333, 0.333333, 0.5),
}


def test_three_objects_by_hand(toy_set: Path) -> None:
    """Object 3 is lost on two of the images that count, and on the last one."""
    toy = Toy()
    result = evaluate(toy, toy_set, objects=True)
    assert toy.boxes[-3:] == [(20, 20, 20, 20), (60, 60, 20, 20), (100, 100, 20, 20)]
    assert list(result.sequences) == ["toy.1", "toy.2", "toy.3"]
    for name, by_hand in BY_HAND.items():
        one = result.sequences[name]
        found = (one.J_mean, one.F_mean, one.J_recall, one.J_decay)
        assert found == pytest.approx(by_hand, abs=1e-6), name
    assert result.J_mean == pytest.approx(0.690821, abs=1e-6)  # (1 + 17/23 + 1/3) / 3
    assert result.F_mean == pytest.approx(0.627778, abs=1e-6)  # (1 + 44/80 + 1/3) / 3
    assert result.lost_frames == 3 and "DAVIS-2017" in result.protocol


def test_three_objects_by_davisinteractive(toy_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authors' own code, image by image."""
    for old, new in (("int", int), ("float", float)):  # it uses names of old NumPy
        monkeypatch.setattr(np, old, new, raising=False)
    metrics = pytest.importorskip("davisinteractive.metrics", reason="needs davisinteractive")
    (sequence,) = open_masks(toy_set, objects=True).sequences
    ours = evaluate_objects(Toy(), sequence)
    toy, true, predicted = Toy(), [], []
    for index in range(1, FRAMES):
        true.append(sequence.read(index).labels)
        labels = np.zeros_like(true[-1])
        for target in toy.update(None):
            if target.state != TargetState.LOST:
                x, y, width, height = (int(v) for v in target.box.as_xywh())
                labels[y : y + height, x : x + width] = target.id
        predicted.append(labels)
    arguments = {"average_over_objects": False, "nb_objects": 3}
    j = metrics.batched_jaccard(np.array(true), np.array(predicted), **arguments)
    f = metrics.batched_f_measure(np.array(true), np.array(predicted), **arguments)
    for place, one in enumerate(ours):
        np.testing.assert_allclose(one.j[1:], j[:, place], atol=1e-6)
        np.testing.assert_allclose(one.f[1:], f[:, place], atol=1e-6)


def test_all_objects_together_stay_davis_2016(toy_set: Path) -> None:
    class Union(Toy):
        def start(self, frame: Any, region: Any) -> int:
            assert region.as_xywh() == (20, 20, 100, 100)
            return 1

        def update(self, frame: Any, *, elapsed_s: float = 0.0) -> list[Target]:
            self.index += 1
            box = square(1, self.index)
            return [Target(1, TargetState.TRACKING, 0.9, 0.8, box, box.corners_xy())]

    result = evaluate(Union(), toy_set)
    assert list(result.sequences) == ["toy"]
    assert result.J_mean == pytest.approx(1 / 3)


def test_an_object_that_cannot_start_is_lost(toy_set: Path) -> None:
    class Picky(Toy):
        def start(self, frame: Any, region: Any) -> int:
            id = super().start(frame, region)
            if id == 1:
                raise BoxError("too small")
            return id

    result = evaluate(Picky(), toy_set, objects=True)
    assert result.sequences["toy.1"].J_mean == 0
    assert result.sequences["toy.1"].lost_frames == FRAMES
    assert result.sequences["toy.2"].J_mean == pytest.approx(0.739130, abs=1e-6)


def test_masks_are_given_where_they_are_asked_for(toy_set: Path) -> None:
    given = []

    class Keeps(Toy):
        def start(self, frame: Any, region: Any) -> int:
            given.append(getattr(region, "pixels", None))
            return super().start(frame, region)

    evaluate(Keeps(), toy_set, objects=True, from_mask=True)
    assert [int(mask.sum()) for mask in given[-3:]] == [SIDE * SIDE] * 3
    boxes = toy_set / "boxes" / "a"
    boxes.mkdir(parents=True)
    for index in range(2):
        cv2.imwrite(str(boxes / f"{index}.jpg"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (boxes / "groundtruth.txt").write_text("20,20,20,20\n" * 2)
    for options in ({"objects": True}, {"from_mask": True}):
        with pytest.raises(DatasetError, match="has boxes; objects and first masks need masks"):
            evaluate(Toy(), boxes.parent, **options)


def test_the_list_of_davis_2017(toy_set: Path) -> None:
    for year, name in (("2016", "other"), ("2017", "toy")):
        (toy_set / "ImageSets" / year).mkdir(parents=True)
        (toy_set / "ImageSets" / year / "val.txt").write_text(f"{name}\n")
    assert [one.name for one in open_masks(toy_set, objects=True).sequences] == ["toy"]
    with pytest.raises(DatasetError, match="other"):
        open_masks(toy_set)


def test_the_worst_frames_of_every_sequence(tmp_path: Path) -> None:
    worst, drawn = WorstFrames(), []

    def picture(name: str, index: int) -> Any:
        def draw() -> np.ndarray:
            drawn.append((name, index))
            return np.full((60, 80, 3), 40 + index, np.uint8)

        return draw

    for index in range(60):
        worst.take("a", index, index / 60, picture("a", index))
        worst.take("b", index, 0.2 + (60 - index) / 100, picture("b", index))
    worst.write(tmp_path / "sheet.png")
    chosen = [(one.sequence, one.index) for one in worst.chosen()]
    assert chosen == [("a", 0), ("a", 10), ("b", 59), ("b", 49), ("a", 20), ("b", 39)]
    assert len(drawn) < 70  # not every frame is drawn
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 4 * 326
    assert abs(int(sheet[100, 10, 0]) - 40) <= 1  # frame 0 of a, the worst, comes first


def test_a_tracker_without_masks_is_refused_in_one_line() -> None:
    with pytest.raises(CommandError, match="--from-mask: toy starts from boxes only"):
        check_takes_mask(Contender("toy", Toy(), {}))
