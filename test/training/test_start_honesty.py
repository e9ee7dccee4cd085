"""Boxes on nothing and inexact boxes: where they lie, and what their measures count."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs the extra train")

from siampolar_model.geometry.box import Box
from siampolar_model.results import Target, TargetState
from siampolar_training.data.readers.base import LabelledImage, Reader
from siampolar_training.identity import inexact, nothing


class Drawn(Reader):
    """Two videos of 60 frames with a square that stands still."""

    def __len__(self) -> int:
        return 2

    def name(self, sequence: int) -> str:
        return f"video{sequence}"

    def frames(self, sequence: int) -> int:
        return 60

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        labels = np.zeros((240, 320), np.uint8)
        labels[60:140, 60:140] = 1
        image = np.full((240, 320, 3), frame, np.uint8)
        return LabelledImage(self.name(sequence), sequence, image, labels, (1,))


class Script:
    """A tracker that stays in its box, warns as told and is uncertain from a frame on."""

    settings = SimpleNamespace(max_targets=16)

    def __init__(self, warning: str = "", doubt_from: int = 1000) -> None:
        self._warning, self._doubt_from, self._t = warning, doubt_from, 0
        self._box = Box(0, 0, 1, 1)

    def reset(self) -> None:
        self._t = 0

    def start(self, image: np.ndarray, box: Box) -> int:
        self._t, self._box = 0, box
        return 1

    def start_warning(self, image: np.ndarray, id: int) -> str:
        return self._warning

    def update(self, image: np.ndarray, **_: object) -> Sequence[Target]:
        self._t += 1
        doubted = self._t >= self._doubt_from
        state = TargetState.UNCERTAIN if doubted else TargetState.TRACKING
        return [Target(1, state, 0.9, 0.9, self._box, self._box.corners_xy())]


def test_boxes_on_nothing_are_away_from_objects_and_always_the_same() -> None:
    boxes = nothing.nothing_boxes(Drawn(), 10)
    assert [one.sequence for one in boxes] == [0] * 5 + [1] * 5
    assert boxes == nothing.nothing_boxes(Drawn(), 10)
    assert boxes != nothing.nothing_boxes(Drawn(), 10, seed=1)
    for one in boxes:
        assert one.box.intersection(Box(52, 52, 148, 148)) == 0
        assert one.box.clip(320, 240) == one.box and 20 < one.box.area**0.5 < 141


@pytest.mark.parametrize(
    ("tracker", "honest", "warned"),
    [
        (Script(), 0.0, 0.0),
        (Script(warning="little to hold on to"), 1.0, 1.0),
        (Script(doubt_from=48), 1.0, 0.0),
        (Script(doubt_from=49), 0.0, 0.0),
    ],
)
def test_a_warning_counts_and_so_does_doubt_within_two_seconds(
    tracker: Script, honest: float, warned: float
) -> None:
    figures = nothing.measure(tracker, Drawn(), 4)  # type: ignore[arg-type]
    assert (figures.boxes, figures.honest, figures.warned, figures.objects) == (
        4, honest, warned, 2,
    )  # fmt: skip
    assert len(figures.false_warnings) == 2 * warned


def test_inexact_boxes_cost_what_their_outlines_lose() -> None:
    falls = {fall.way.name: fall for fall in inexact.measure(Script(), Drawn(), 5)}  # type: ignore[arg-type]
    assert len(falls) == 6 and all(fall.exact == 1.0 for fall in falls.values())
    assert falls["25 % too small"].inexact == pytest.approx(0.75**2)
    assert falls["25 % too large"].inexact == pytest.approx(1 / 1.25**2)
    assert falls["15 % up"].inexact == pytest.approx(0.85 / 1.15)
