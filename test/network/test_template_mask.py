"""What of a template's box is the target, and what that changes in its description."""

from __future__ import annotations

import pytest

pytest.importorskip("timm")
import torch

from siampolar_model.network.correlation import (
    PARTS,
    TEMPLATE_NORM,
    PixelwiseCorrelation,
    describe,
    describe_masked,
    pool_box,
    weighted_mean,
)
from siampolar_model.network.template_mask import TemplateMask, coverage, target_share

BOX = torch.tensor([[16.0, 32.0, 96.0, 112.0]])


def test_coverage_is_the_share_of_each_cell() -> None:
    share = coverage(torch.tensor([[4.0, 0.0, 16.0, 10.0]]), 8, 2, 3)
    expected = torch.tensor([[0.5, 1.0, 0.0], [0.125, 0.25, 0.0]])
    torch.testing.assert_close(share[0, 0], expected)


def test_a_mask_of_the_whole_box_describes_nearly_as_no_mask() -> None:
    features = torch.randn(1, 8, 16, 16) + 1
    whole = describe_masked(features, coverage(BOX, 8, 16, 16), BOX, 8)
    plain = describe(pool_box(features, BOX, 8))
    torch.testing.assert_close(whole[:, :, PARTS], plain[:, :, PARTS], atol=0.02, rtol=0.1)
    # Every part is drawn to the mean a little.
    cosines = torch.cosine_similarity(whole[:, :, :PARTS], plain[:, :, :PARTS], dim=1)
    assert cosines.min() > 0.97
    norm = whole[:, :, :PARTS].flatten(1).norm(dim=1)
    torch.testing.assert_close(norm, torch.tensor([TEMPLATE_NORM]))


def test_only_the_target_enters_its_description_and_the_rest_the_background() -> None:
    features = torch.zeros(1, 2, 16, 16)
    features[:, 1] = 1.0  # water, in the box and outside
    mask = torch.zeros(1, 1, 16, 16)
    mask[:, :, 6:12, 3:9] = 1.0
    features[:, 0] = mask[:, 0]
    features[:, 1] -= mask[:, 0]
    described = describe_masked(features, mask, BOX, 8)
    assert described.shape == (1, 2, PARTS + 2)
    assert described[:, 1, : PARTS + 1].abs().max() < 1e-6
    assert described[:, 0, : PARTS + 1].min() > 0.5
    assert described[:, 0, PARTS + 1].abs().max() < 1e-6 < described[0, 1, PARTS + 1]


def test_an_empty_mask_means_the_whole_box() -> None:
    """Else the background, scaled as the parts are, has no bound: it spoilt a training."""
    features = torch.randn(1, 8, 16, 16) + 1
    box = coverage(BOX, 8, 16, 16)
    empty = target_share(torch.full((1, 1, 16, 16), -1e4)) * box
    described = describe_masked(features, empty, BOX, 8)
    mean = weighted_mean(features, box)
    cosine = torch.cosine_similarity(described[:, :, PARTS], mean)
    assert cosine > 0.999 and described.abs().max() < 10


def test_the_background_is_a_map_of_its_own() -> None:
    torch.manual_seed(0)
    module = PixelwiseCorrelation(6, background=True).eval()
    search, template = torch.randn(1, 6, 5, 5), torch.randn(1, 6, PARTS + 2)
    other = template.clone()
    other[:, :, -1] += 1
    assert (module(search, template) - module(search, other)).abs().max() > 1e-3


def test_likeness_sees_what_the_box_shares_with_its_surroundings() -> None:
    seen = torch.zeros(1, 2, 16, 16)
    seen[:, 1] = 1.0
    seen[:, :, 6:12, 3:9] = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    likest, inside, outside = TemplateMask._likeness(seen, coverage(BOX, 8, 16, 16))[0]
    torch.testing.assert_close(likest[5, 3], torch.tensor(1.0))  # water in the box
    torch.testing.assert_close(likest[8, 5], torch.tensor(0.0))  # the target
    torch.testing.assert_close(outside[8, 5], torch.tensor(0.0))
    assert inside[8, 5] > 0.4


@pytest.mark.parametrize("crop_px", [127, 159])
def test_its_map_has_the_finest_stride(crop_px: int) -> None:
    strides = (4, 8, 16)
    module = TemplateMask([6, 8, 10], strides).eval()
    sides = [-(-crop_px // stride) for stride in strides]
    features = [torch.randn(2, c, s, s) for c, s in zip((6, 8, 10), sides, strict=True)]
    assert module(features, BOX.repeat(2, 1)).shape == (2, 1, sides[0], sides[0])


def test_learns_to_tell_an_object_from_its_box() -> None:
    """On drawn features: discs of one texture on another; judged on others than it is taught."""
    torch.manual_seed(0)
    module = TemplateMask([8, 8], (4, 8))
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")

    def batch() -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        radius = torch.rand(8, 1, 1, 1) * 3 + 4
        mask = (((x - 16) ** 2 + (y - 16) ** 2) < radius**2).float()
        looks = torch.randn(2, 8, 8, 1, 1)
        fine = mask * looks[0] + (1 - mask) * looks[1] + 0.3 * torch.randn(8, 8, 32, 32)
        half = (radius.view(8, 1) + 2) * 4
        box = torch.cat([64 - half, 64 - half, 64 + half, 64 + half], 1)
        return [fine, torch.nn.functional.avg_pool2d(fine, 2)], box, mask

    for _ in range(60):
        features, box, mask = batch()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(module(features, box), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features, box, mask = batch()
    drawn = module.eval()(features, box) > 0
    iou = (drawn & mask.bool()).sum() / (drawn | mask.bool()).sum()
    assert iou > 0.8
