"""What is drawn: where, in which colour, and how states differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siampolar_model.geometry import polar
from siampolar_model.geometry.box import Box
from siampolar_model.rendering import draw as drawing
from siampolar_model.rendering.draw import color_of, draw
from siampolar_model.results import Target, TargetState


def disc(
    width: int, height: int, state: TargetState = TargetState.TRACKING, target_id: int = 1
) -> Target:
    """A disc in the middle of the image, a quarter of its height in radius."""
    center = (width / 2, height / 2)
    rays = np.full(36, height / 4, np.float32)
    return Target(
        id=target_id, state=state, score=0.8, quality=0.7,
        box=Box.from_center(*center, height / 2, height / 2),
        polygon_xy=polar.clip_polygon(polar.polygon(center, rays), width, height),
    )  # fmt: skip


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_draws_in_place_and_only_near_the_target() -> None:
    image = grey(640, 480)
    assert draw(image, [disc(640, 480)]) is image
    changed = (image != 100).any(2)
    assert changed[240, 320]  # the fill
    assert not changed[:, :190].any() and not changed[:, 450:].any()
    assert not changed[:80].any() and not changed[370:].any()


def test_no_results_leave_the_image_alone() -> None:
    image = grey(64, 48)
    draw(image, [])
    assert (image == 100).all()


@pytest.mark.parametrize(("width", "height"), [(854, 480), (1280, 720), (3840, 2160)])
def test_lines_and_text_grow_with_the_image(width: int, height: int) -> None:
    image = grey(width, height)
    draw(image, [disc(width, height)])
    color = np.array(color_of(1))
    # Along the middle row from the left: the box's line, then the outline, both of full colour.
    row = (image[height // 2] == color).all(1)
    line_px = row[: width // 2].sum()
    assert line_px >= 1.9 * height / 480
    # The plate of the label, above the box: as high as readable text.
    column = (image[: height // 4, width // 2 - height // 4 + 1] == color).all(1)
    assert column.sum() >= 0.025 * height


def test_states_look_different() -> None:
    drawn = {}
    for state in TargetState:
        drawn[state] = draw(grey(640, 480), [disc(640, 480, state)])
    inside = {state: image[250, 320].astype(int) for state, image in drawn.items()}
    full = np.abs(inside[TargetState.TRACKING] - 100).sum()
    assert 0 < np.abs(inside[TargetState.UNCERTAIN] - 100).sum() < full
    assert (inside[TargetState.LOST] == 100).all()
    # A lost target's box is dashed: half of its lower side is left as it was.
    lower = {state: (image[358:362, 205:435] != 100).any((0, 2)) for state, image in drawn.items()}
    assert lower[TargetState.TRACKING].all()
    assert 0.3 < lower[TargetState.LOST].mean() < 0.8


def test_colours_are_stable_and_far_apart() -> None:
    colors = np.array([color_of(i) for i in range(1, 17)], int)
    assert (colors == [color_of(i) for i in range(1, 17)]).all()
    distance = np.abs(colors[:, None] - colors[None]).max(2) + 255 * np.eye(16, dtype=int)
    assert distance.min() >= 20
    neighbours = np.abs(np.diff(colors, axis=0)).max(1)
    assert neighbours.min() >= 100


@pytest.mark.parametrize(
    "box",
    [Box(-50, -50, 60, 40), Box(600, 440, 700, 500), Box(0, 0, 640, 480), Box(700, 9, 800, 99)],
)
@pytest.mark.parametrize("state", list(TargetState))
def test_targets_at_and_beyond_the_border(box: Box, state: TargetState) -> None:
    rays = np.full(36, 40, np.float32)
    outline = polar.clip_polygon(polar.polygon(box.center_xy, rays), 640, 480)
    result = Target(7, state, 0.1, 0.2, box, outline)
    image = draw(grey(640, 480), [result])
    assert image.shape == (480, 640, 3)
    assert (image == color_of(7)).all(2).any()  # at least the label says where it is


def test_image_smaller_than_the_label() -> None:
    image = draw(grey(24, 16), [disc(24, 16)])
    assert (image != 100).any()


def square(id: int, x: float, y: float, side: float) -> Target:
    box = Box.from_xywh(x, y, side, side)
    return Target(id, TargetState.TRACKING, 0.87, 0.8, box, box.corners_xy())


def plates_of(targets: list[Target], monkeypatch: pytest.MonkeyPatch) -> dict[int, Box]:
    """The plate of each target's label, by id."""
    plates: dict[int, Box] = {}
    one = drawing._draw_label

    def kept(image: np.ndarray, target: Target, *rest: Any) -> Box:
        plates[target.id] = one(image, target, *rest)
        return plates[target.id]

    monkeypatch.setattr(drawing, "_draw_label", kept)
    draw(grey(854, 480), targets)
    return plates


@pytest.mark.parametrize(
    ("state", "confidence", "label"),
    [
        (TargetState.TRACKING, 0.876, "3 tracking 88 %"),
        (TargetState.UNCERTAIN, 0.41, "3 uncertain 41 %"),
        (TargetState.LOST, 0.2, "3 lost"),
        (TargetState.TRACKING, 0.0, "3 tracking"),  # another tracker's, which gives none
    ],
)
def test_a_label_shows_the_confidence_by_which_the_state_was_decided(
    state: TargetState, confidence: float, label: str
) -> None:
    """Next to the raw score, a good one could stand beside *uncertain* and a poor one not."""
    box = Box(1, 1, 9, 9)
    assert Target(3, state, 0.99, 0.9, box, box.corners_xy(), confidence).label == label


def test_labels_do_not_cover_each_other_or_another_target(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = [square(1 + k, 300 + 36 * (k % 3), 200 + 36 * (k // 3), 32) for k in range(6)]
    alone = square(7, 600, 300, 90)
    plates = plates_of([*grid, alone], monkeypatch)
    for id, plate in plates.items():
        assert not any(plate.intersection(other) for key, other in plates.items() if key != id)
    # In the middle column there is room for the id alone, which hides no neighbour.
    for id in (2, 5):
        assert plates[id].width < 40 < plates[7].width
        assert not any(plates[id].intersection(target.box) for target in grid)


def test_a_part_keeps_its_label_apart_from_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, part = square(1, 100, 100, 300), square(2, 120, 105, 60)
    plates = plates_of([whole, part], monkeypatch)
    assert plates[1].intersection(plates[2]) == 0 == plates[1].intersection(part.box)
