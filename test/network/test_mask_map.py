"""Rays read from a dense map, its loss, and the judgement of presence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("timm")
import torch

from siampolar_model.geometry import polar
from siampolar_model.geometry.soft_mask import LEVEL
from siampolar_model.network.mask_map import MaskMap, OutlineReader, RayReader
from siampolar_model.network.presence import Presence
from siampolar_training.run.losses import map_loss

SIZE, STRIDE = 256, 4


def logits(mask: np.ndarray) -> torch.Tensor:
    """A confident map of a mask (SIZE, SIZE): its mean over cells, as logits."""
    share = cv2.resize(mask.astype(np.float32), (SIZE // STRIDE,) * 2, interpolation=cv2.INTER_AREA)
    return torch.logit(torch.from_numpy(share).clamp(0.002, 0.998))[None, None]


def distances(mask: np.ndarray, center_xy: tuple[float, float]) -> torch.Tensor:
    ys, xs = np.nonzero(mask)
    (x, y), box = center_xy, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    return torch.tensor([[[x - box[0], y - box[1], box[2] - x, box[3] - y]]], dtype=torch.float32)


def read(mask: np.ndarray, center_xy: tuple[float, float], rays: int = 72) -> np.ndarray:
    reader = RayReader(rays, SIZE)
    lengths = reader(
        torch.sigmoid(logits(mask)),
        torch.tensor([[center_xy]]),
        distances(mask, center_xy),
        torch.ones(1, 1),
    )
    return lengths[0, 0].numpy()


def test_a_disc_is_read_to_a_fraction_of_a_cell() -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (120 * 16, 130 * 16), 40 * 16, 1, -1, shift=4)
    assert np.abs(read(mask, (120.5, 130.5)) - 40.5).max() < 1.0


def test_rays_follow_the_best_overlap_rule_on_a_shape_with_legs() -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(mask, (128, 110), (60, 25), 0, 0, 360, 1, -1)
    for x in (85, 115, 145, 170):
        cv2.rectangle(mask, (x, 110), (x + 10, 190), 1, -1)
    center = (128.0, 112.0)
    profiles = polar.sample_profiles(mask, np.array([center]), 72, 120, 1.0)
    expected, _ = polar.best_overlap_rays(profiles, 1.0, float(mask.sum()))

    def iou(rays: np.ndarray) -> float:
        drawn = polar.fill(polar.polygon(center, rays), SIZE, SIZE)
        return float((drawn & mask).sum() / (drawn | mask).sum())

    assert iou(read(mask, center)) > iou(expected[0]) - 0.05 > 0.6


def test_another_object_outside_the_box_is_not_reached() -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (80, 128), 30, 1, -1)
    alone = distances(mask, (80.5, 128.5))
    cv2.circle(mask, (160, 128), 40, 1, -1)
    seen = torch.sigmoid(logits(mask))
    rays = RayReader(36, SIZE)(seen, torch.tensor([[[80.5, 128.5]]]), alone, torch.ones(1, 1))
    assert rays.max() < 41


def test_an_empty_map_draws_nothing() -> None:
    rays = RayReader(36, SIZE)(
        torch.zeros(1, 1, 64, 64),
        torch.full((1, 2, 2), 99.0),
        torch.full((1, 2, 4), 30.0),
        torch.ones(1, 2),
    )
    assert rays.shape == (1, 2, 36) and (rays == 1).all()


class TestOutline:
    def outline(self, mask: np.ndarray, cell_xy: tuple[float, float]) -> np.ndarray:
        ys, xs = np.nonzero(mask)
        box = torch.tensor([[[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]]).float()
        center, *_ = OutlineReader(72, SIZE, STRIDE)(logits(mask), torch.tensor([[cell_xy]]), box)
        return center[0, 0].numpy()

    def test_a_cell_inside_draws(self) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.circle(mask, (120, 130), 40, 1, -1)
        assert self.outline(mask, (108.0, 124.0)).tolist() == [108, 124]

    def test_a_cell_beside_the_object_hands_over_to_a_point_inside(self) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.ellipse(mask, (128, 128), (70, 70), 0, 0, 180, 1, 20)  # an arc: its middle is empty
        x, y = self.outline(mask, (128.0, 150.0)).astype(int)
        assert mask[y, x] == 1

    def test_a_faint_target_is_drawn_as_large_as_a_clear_one(self) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.circle(mask, (120, 130), 40, 1, -1)
        clear, cell, box = logits(mask), torch.tensor([[[120.5, 130.5]]]), [[[80.0, 90, 161, 171]]]
        faint = torch.logit(torch.sigmoid(clear) * 0.4)  # below the threshold everywhere
        reader = OutlineReader(72, SIZE, STRIDE)
        (_, a, strong, one), (_, b, weak, more) = (
            reader(m, cell, torch.tensor(box)) for m in (clear, faint)
        )
        assert (a - b).abs().max() < 1.5 and b.min() > 38
        # The map itself, multiplied with its gain, covers the same cells.
        assert weak.shape == (1, SIZE // STRIDE, SIZE // STRIDE) and weak.max() < LEVEL
        areas = [
            (mask[0] * gain[0, 0] > LEVEL).sum() for mask, gain in ((strong, one), (weak, more))
        ]
        assert areas[1] == pytest.approx(float(areas[0]), rel=0.05)


@pytest.mark.parametrize(("widths", "sides"), [((8,), ()), ((8, 6), (32,)), ((8, 6, 4), (32, 63))])
def test_the_map_is_as_fine_as_its_widths(widths: tuple[int, ...], sides: tuple[int, ...]) -> None:
    finer = [torch.randn(2, 5, side, side) for side in sides]
    module = MaskMap(12, [5] * len(sides), widths, 1)
    out = module(torch.randn(2, 12, 16, 16), finer)
    side = (16, *sides)[len(sides)]
    assert out.shape == (2, 1, side, side)


def test_map_loss_by_hand() -> None:
    mask = torch.zeros(2, 7, 7, dtype=torch.uint8)
    mask[0, :4, :4] = 1  # exactly one cell of four; the second sample is empty: left out
    logit = torch.zeros(2, 1, 2, 2)
    logit[1] = 9.0
    # p = 0.5 everywhere: cross-entropy log 2; dice 1 - 2*0.5 / (4*0.25 + 1) = 0.5.
    expected = 4 * np.log(2) + 0.5
    assert map_loss(logit, mask).item() == pytest.approx(expected, rel=1e-5)


def test_the_cells_at_the_border_are_the_mean_of_what_they_cover() -> None:
    mask = torch.ones(1, 7, 7, dtype=torch.uint8)
    assert map_loss(torch.full((1, 1, 2, 2), 12.0), mask).item() < 1e-3


def test_presence_depends_on_the_template() -> None:
    torch.manual_seed(0)
    module = Presence(6)
    maps = [torch.randn(3, 6, 5, 5) for _ in range(2)]
    class_logit = torch.randn(3, 1, 5, 5)
    a, b = (module(class_logit, *maps, torch.randn(3, 6)) for _ in range(2))
    assert a.shape == (3,)
    assert not torch.allclose(a, b)
