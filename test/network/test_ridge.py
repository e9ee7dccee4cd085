"""The direction that tells a target from its surroundings: the ridge regression that it should be,
in torch and in what is exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("timm")
pytest.importorskip("onnxruntime")
import onnx
import onnxruntime
import torch
from torch import nn

from siampolar_model.export.onnx_export import export
from siampolar_model.network.config import MapConfig, NetworkConfig
from siampolar_model.network.correlation import PARTS, DepthwiseCorrelation, PixelwiseCorrelation
from siampolar_model.network.ridge import discriminants, scatter_and_difference, solve_by_products
from siampolar_model.network.siampolar import SiamPolar

CONFIG = NetworkConfig(
    name="tiny",
    search_backbone="resnet10t",
    template_backbone="resnet10t",
    levels=(8, 16, 32),
    width=8,
    correlation="pixelwise",
    map=MapConfig((8, 8), 1),
    template_mask=True,
    ridge=True,
)


def level(channels: int, side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (3, C, side, side) whose channels differ a hundredfold in size, and a soft mask."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, channels, side, side, generator=generator)
    features = features * torch.logspace(-1, 1, channels)[:, None, None] + 1
    mask = torch.zeros(3, 1, side, side)
    mask[:, :, side // 4 : side // 2, 1 : side // 2 + 1] = 1
    mask = (0.8 * mask + 0.2 * torch.rand(mask.shape, generator=generator)).clamp(0, 1)
    features[:, 0] += mask[:, 0]
    return features, mask


def test_it_is_the_weighted_ridge_regression() -> None:
    features, mask = level(6, 8)
    (found,) = discriminants([features], [mask])
    for one, share, (direction, offset) in zip(
        features, mask, ((f[:, 0], f[0, 1]) for f in found), strict=True
    ):
        x, m = one.flatten(1).t().double(), share.flatten().double()
        # Every cell counts as target and as background, by its share, and both sum to one half.
        rows = torch.cat([x, x])
        weight = torch.cat([m / m.sum(), (1 - m) / (1 - m).sum()]) / 2
        wanted = torch.cat([torch.ones_like(m), -torch.ones_like(m)])
        middle = (weight[:, None] * rows).sum(0)
        ridge = 0.05 * (weight[:, None] * (rows - middle).square()).sum() / 6
        known = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
        root = weight.sqrt()[:, None]
        # The offset is free: no ridge in its row.
        extra = torch.cat([ridge.sqrt() * torch.eye(6), torch.zeros(6, 1)], 1).double()
        expected = torch.linalg.lstsq(
            torch.cat([root * known, extra]),
            torch.cat([root * wanted[:, None], torch.zeros(6, 1).double()]),
        ).solution[:, 0]
        torch.testing.assert_close(direction.double(), expected[:6], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(offset.double(), expected[6], rtol=1e-3, atol=1e-4)


def test_target_and_surroundings_get_opposite_scores_however_small_the_target() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[:, :, 7, 7:9] = 1  # 2 of 256 cells
    features = 0.1 * torch.randn(1, 8, 16, 16) + mask * torch.randn(8, 1, 1)
    (found,) = discriminants([features], [mask])
    score = (found[0, :, 0] @ features[0].flatten(1) + found[0, 0, 1]).view(16, 16)
    inside = mask[0, 0] > 0
    assert score[inside].min() > 0.5 and score[~inside].mean() < -0.5


@pytest.mark.parametrize(("channels", "side"), [(96, 16), (96, 4), (128, 2)])
def test_products_alone_solve_as_a_solver_does(channels: int, side: int) -> None:
    """Also where there are far fewer cells than channels, which is the worst condition."""
    matrix, right, _ = scatter_and_difference(*level(channels, side))
    expected = torch.linalg.solve(matrix.double(), right.double())
    found = solve_by_products(matrix, right).double()
    assert (found - expected).norm() < 3e-4 * expected.norm()


def test_a_template_of_one_colour_has_no_direction() -> None:
    """Nothing to tell apart: zero, not a division by zero."""
    flat = torch.full((1, 8, 4, 4), 3.0)
    for mask in (torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)):
        (found,) = discriminants([flat], [mask])
        assert found.isfinite().all()
    assert found.abs().max() < 10


def test_gradients_reach_features_and_mask() -> None:
    features, mask = (part.requires_grad_() for part in level(8, 8))
    discriminants([features], [mask])[0].square().sum().backward()
    for part in (features, mask):
        assert part.grad is not None and part.grad.isfinite().all() and part.grad.abs().max() > 0


def test_bfloat16_autocast_solves_in_full_precision() -> None:
    features, mask = level(32, 8)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = discriminants([features], [mask])
    (expected,) = discriminants([features], [mask])
    torch.testing.assert_close(found, expected)


class _Told(nn.Module):
    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return discriminants([features, features[:, :, ::2, ::2]], [mask, mask[:, :, ::2, ::2]])[1]


def test_what_is_exported_is_matrix_products_and_gives_the_same(tmp_path: Path) -> None:
    example = level(32, 8)
    torch.onnx.export(
        _Told(),
        example,
        str(tmp_path / "told.onnx"),
        input_names=["features", "mask"],
        dynamic_axes={"features": {0: "N"}, "mask": {0: "N"}},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(str(tmp_path / "told.onnx")).graph
    assert not {"Inverse", "Det", "Einsum", "Loop", "If"} & {node.op_type for node in graph.node}
    session = onnxruntime.InferenceSession(
        str(tmp_path / "told.onnx"), providers=["CPUExecutionProvider"]
    )
    features, mask = level(32, 8, seed=1)
    for n in (1, 3):
        given = {"features": features[:n].numpy(), "mask": mask[:n].numpy()}
        (found,) = session.run(None, given)
        expected = _Told()(features[:n], mask[:n])
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("module", [PixelwiseCorrelation, DepthwiseCorrelation])
def test_the_score_along_it_is_the_last_map(module: type[nn.Module]) -> None:
    torch.manual_seed(0)
    correlation = module(6, background=True, ridge=True).eval()
    mixed: list[torch.Tensor] = []
    correlation.fuse.register_forward_pre_hook(lambda _, given: mixed.append(given[0]))
    search, template = torch.randn(2, 6, 5, 4), torch.randn(2, 6, PARTS + 4)
    template[:, :, -1] = template[:, :1, -1]
    correlation(search, template)
    expected = torch.einsum("nchw,nc->nhw", search, template[:, :, -2]) + template[:, 0, -1].view(
        2, 1, 1
    )
    torch.testing.assert_close(mixed[0][:, -1], expected)


def test_a_network_with_it_exports_and_is_compared(tmp_path: Path) -> None:
    """``export`` itself compares with torch, on other inputs than it was traced with."""
    torch.manual_seed(0)
    model = SiamPolar(CONFIG).eval()
    export(model, tmp_path)
    (features,) = onnx.load(str(tmp_path / "template.onnx")).graph.output
    shape = [d.dim_value for d in features.type.tensor_type.shape.dim[1:]]
    assert shape == [3, 8, PARTS + 4]


def test_a_level_more_leaves_trained_weights_what_they_are() -> None:
    """The template's mask is drawn from the same strides; the new level gives little at first."""
    wide, plain = SiamPolar(CONFIG), SiamPolar(replace(CONFIG, levels=(8, 16)))
    shapes = {key: value.shape for key, value in wide.state_dict().items()}
    assert all(shapes[key] == value.shape for key, value in plain.state_dict().items())
    scales = [correlation.fuse[1].weight.max().item() for correlation in wide.correlations]
    assert scales == pytest.approx([1, 1, 0.1])


def test_its_template_differs_by_two_columns_alone() -> None:
    model = SiamPolar(CONFIG).eval()
    plain = SiamPolar(replace(CONFIG, ridge=False)).eval()
    state = {k: v for k, v in model.state_dict().items() if "fuse.0" not in k}
    missing, unexpected = plain.load_state_dict(state, strict=False)
    assert all("fuse.0" in key for key in missing) and not unexpected
    image, box = torch.randn(1, 3, 127, 127), torch.tensor([[30.0, 40.0, 90.0, 80.0]])
    with torch.no_grad():
        ours, theirs = model.template(image, box), plain.template(image, box)
    torch.testing.assert_close(ours[..., :-2], theirs)
    torch.testing.assert_close(ours[..., -1], ours[:, :, :1, -1].expand_as(ours[..., -1]))
