"""The network in torch: what it is made of, and that the template decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")
import torch

from siampolar_model.errors import ConfigError
from siampolar_model.models.folder import ModelFolder
from siampolar_model.network.backbones import Backbone
from siampolar_model.network.checkpoint import load_network, with_config
from siampolar_model.network.config import HeadConfig, config_from_dict, load_config
from siampolar_model.network.correlation import (
    CORRELATION_MODULES,
    KERNEL,
    DepthwiseCorrelation,
    PixelwiseCorrelation,
    RepeatedCorrelation,
    describe,
    pool_box,
)
from siampolar_model.network.graphs import SearchGraph
from siampolar_model.network.head import HeadMaps, PolarHead
from siampolar_model.network.neck import top_down
from siampolar_model.network.siampolar import SiamPolar, cell_centers

CONFIGS = Path(__file__).resolve().parents[2] / "config" / "network"


def test_pool_box_averages_the_parts_of_the_box() -> None:
    columns = torch.arange(16.0).repeat(1, 1, 16, 1)  # value = column
    pooled = pool_box(columns, torch.tensor([[32.0, 0.0, 112.0, 128.0]]), 8)
    # 8 px a cell: the box spans columns 4 to 14, two a part, whose mean is column + 0.5.
    expected = torch.tensor([4.5, 6.5, 8.5, 10.5, 12.5]).expand(KERNEL, -1)
    torch.testing.assert_close(pooled[0, 0], expected)


def test_nothing_outside_the_box_enters_the_template() -> None:
    features = torch.randn(1, 4, 16, 16)
    box = torch.tensor([[32.0, 32.0, 96.0, 96.0]])
    changed = features.clone()
    changed[..., :4, :] += 100
    changed[..., 12:] -= 100
    torch.testing.assert_close(pool_box(features, box, 8), pool_box(changed, box, 8))


def test_template_parts_have_a_fixed_norm_together() -> None:
    features = describe(torch.randn(3, 8, KERNEL, KERNEL) * 7)
    assert features.shape == (3, 8, KERNEL**2 + 1)
    torch.testing.assert_close(features[:, :, :-1].flatten(1).norm(dim=1), torch.full((3,), 5.0))


def test_depthwise_correlation_equals_a_grouped_convolution() -> None:
    search, parts = torch.randn(2, 6, 9, 11), torch.randn(2, 6, KERNEL**2)
    ours = DepthwiseCorrelation(6).correlate(search, parts)
    kernel = parts.view(12, 1, KERNEL, KERNEL)
    theirs = torch.conv2d(search.view(1, 12, 9, 11), kernel, padding=2, groups=12)
    torch.testing.assert_close(ours, theirs.view(2, 6, 9, 11), atol=1e-4, rtol=1e-4)


def test_pixelwise_correlation_is_a_dot_product() -> None:
    search, parts = torch.randn(2, 6, 4, 5), torch.randn(2, 6, KERNEL**2)
    maps = PixelwiseCorrelation(6).correlate(search, parts)
    assert maps[1, 7, 2, 3].item() == pytest.approx(
        float(search[1, :, 2, 3] @ parts[1, :, 7]), 1e-4
    )


def test_repeated_correlation_highlights_where_the_template_is() -> None:
    torch.manual_seed(0)
    module = RepeatedCorrelation(8)
    search = torch.randn(1, 8, 15, 15)
    patch = search[:, :, 5:10, 6:11].reshape(1, 8, -1)
    out = module(search, torch.cat([patch, patch.mean(2, keepdim=True)], 2))
    gain = ((out / search) - module.alpha.detach()).mean(1)[0]
    assert divmod(int(gain.argmax()), 15) == (7, 8)
    # The attention has mean 1: beta on average.
    assert gain.mean().item() == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("name", [n for n in CORRELATION_MODULES if n != "constant"])
def test_another_template_changes_the_output(name: str) -> None:
    torch.manual_seed(0)
    module = CORRELATION_MODULES[name](8).eval()
    search = torch.randn(1, 8, 9, 9)
    a, b = (torch.randn(1, 8, KERNEL**2 + 1) for _ in range(2))
    assert (module(search, a) - module(search, b)).abs().max() > 1e-2


def test_the_authors_constant_correlation_ignores_the_template() -> None:
    module = CORRELATION_MODULES["constant"](8)
    search = torch.randn(1, 8, 9, 9)
    a, b = (torch.randn(1, 8, KERNEL**2 + 1) for _ in range(2))
    torch.testing.assert_close(module(search, a), module(search, b))


def test_top_down_sums_at_the_finest_size() -> None:
    fine, coarse = torch.ones(1, 1, 4, 4), torch.tensor([[[[1.0, 2], [3, 4]]]])
    expected = torch.tensor([[2.0, 2, 3, 3], [2, 2, 3, 3], [4, 4, 5, 5], [4, 4, 5, 5]])
    torch.testing.assert_close(top_down([fine, coarse])[0, 0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_configurations_build_and_run_forward_and_backward(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    model = SiamPolar(config).train()
    t, s = config.template_size, config.search_size
    box = torch.tensor([[30.0, 30.0, 90.0, 90.0]])
    maps = model(torch.randn(2, 3, t, t), box.repeat(2, 1), torch.randn(2, 3, s, s))
    cells = config.map_size
    assert maps.class_logit.shape == (2, 1, cells, cells)
    assert maps.log_ltrb.shape == (2, 4, cells, cells)
    if config.map is None:
        assert maps.log_rays.shape == (2, config.head.rays, cells, cells)
    else:
        side = -(-s // config.map_stride)
        assert maps.log_rays is None and maps.mask_logit.shape == (2, 1, side, side)
    assert (maps.presence_logit is not None) == config.presence
    parts = [part for part in vars(maps).values() if part is not None]
    torch.stack([p.square().mean() for p in parts]).sum().backward()
    silent = {
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    }
    # The authors' correlation hears nothing of the template.
    deaf = ("template_",) if config.correlation == "constant" else ()
    assert silent == {n for n, _ in model.named_parameters() if n.startswith(deaf)}


def test_the_papers_variants_are_configured() -> None:
    r101, light = (load_config(CONFIGS / f"siampolar_{n}.yaml") for n in ("r101", "light"))
    assert (r101.search_backbone, r101.template_backbone) == ("resnet101", "resnet50")
    assert (r101.levels, r101.correlation, r101.head.rays) == ((8, 16, 32), "repeated", 36)
    assert (light.levels, light.head.mask_convs) == ((32,), 0)
    for head in (r101.head, light.head):
        assert (head.ray_rule, head.quality) == ("farthest_point", "ratio")


def test_a_configuration_may_change_another_one(tmp_path: Path) -> None:
    whole = "name: a\nsearch_backbone: b\ntemplate_backbone: b\nhead: {rays: 36, width: 64}\n"
    (tmp_path / "a.yaml").write_text(whole)
    (tmp_path / "c.yaml").write_text("base: a.yaml\nname: c\nhead: {width: 32}\n")
    config = load_config(tmp_path / "c.yaml")
    assert config == replace(
        load_config(tmp_path / "a.yaml"), name="c", head=HeadConfig(rays=36, width=32)
    )
    for base, words in {
        "../a.yaml": "base is '../a.yaml'; it must be another file of its folder",
        "3": "base is 3; it must be another file",
        "d.yaml": "base is 'd.yaml'; it must be another file",
        "c.yaml": "base 'c.yaml' must be a whole network",
    }.items():
        (tmp_path / "d.yaml").write_text(f"base: {base}\nname: d\n")
        with pytest.raises(ConfigError, match=words):
            load_config(tmp_path / "d.yaml")


def test_an_fpn_smooths_the_sum_of_its_levels() -> None:
    config = load_config(CONFIGS / "siampolar_lite0.yaml")
    plain, fpn = SiamPolar(config).eval(), SiamPolar(replace(config, neck="fpn")).eval()
    missing, unexpected = fpn.load_state_dict(plain.state_dict(), strict=False)
    assert (set(missing), unexpected) == ({"smooth.weight", "smooth.bias"}, [])
    image = torch.randn(1, 3, config.search_size, config.search_size)
    columns = KERNEL**2 + 2 + 2 * config.ridge
    template = torch.randn(1, len(config.levels), config.width, columns)
    with torch.no_grad():
        before = plain.search(image, template).class_logit
        assert not torch.allclose(before, fpn.search(image, template).class_logit)
        # A 3x3 that only passes on what it gets.
        torch.nn.init.dirac_(fpn.smooth.weight)
        torch.nn.init.zeros_(fpn.smooth.bias)
        torch.testing.assert_close(before, fpn.search(image, template).class_logit)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"correlation": "cross"}, "'cross' is not one of"),
        ({"levels": [16, 8]}, "ascending"),
        ({"levels": [4]}, r"strides of \(8, 16, 32\)"),
        ({"levels": [8.0]}, r"levels \[8.0\] must be"),
        ({"levels": 8}, r"levels 8 must be a list of ascending strides of \(8, 16, 32\)"),
        ({"levels": ["a"]}, r"levels \['a'\] must be"),
        ({"levels": []}, r"levels \[\] must be"),
        ({"neck": "bifpn"}, "neck 'bifpn' is not one of"),
        ({"head": {"ray_rule": "nearest"}}, "head: ray_rule 'nearest' is not one of"),
        ({"head": {"quality": "iou"}}, "head: quality 'iou' is not one of"),
        ({"head": {"rays": 72.0}}, "head: rays 72.0 is not one of"),
        ({"head": {"rays": 48}}, "head: rays 48 is not one of"),
        ({"head": {"depth": 3}}, "head: unknown key 'depth'; allowed: width, class_convs"),
        ({"head": {"box_convs": -1}}, "head: box_convs is -1; it must be a whole number from 0"),
        ({"head": None}, "head: is None; it must be a group of width, class_convs"),
        ({"backbone": "x"}, "unknown key 'backbone'"),
        ({"search_factor": 0.5}, "search_factor is 0.5; it must be a number from 1.1 to 4"),
        ({"search_factor": "2"}, "search_factor is '2'; it must be a number"),
        ({"search_size": -1}, "search_size is -1; it must be a whole number from 32 to 1024"),
        ({"width": "a"}, "width is 'a'; it must be a whole number"),
        ({"width": True}, "width is True; it must be a whole number"),
        ({"candidates": 0}, "candidates is 0; it must be a whole number from 1 to 1024"),
        ({"search_size": 64, "candidates": 80}, "candidates is 80; .* from 1 to 64"),
        ({"detail": 1}, "detail is 1; it must be true or false"),
        ({"presence": "yes"}, "presence is 'yes'; it must be true or false"),
        ({"ridge": 1}, "ridge is 1; it must be true or false"),
        ({"ridge": True}, "ridge with template_mask False and correlation 'depthwise'; it needs a"),
        (
            {"ridge": True, "template_mask": True, "correlation": "repeated"},
            r"correlation 'repeated'; it needs a mask and one of \('depthwise', 'pixelwise'\)",
        ),
        ({"map": 3}, "map: is 3; it must be a group of widths, convs"),
        ({"map": {"widths": []}}, r"map: widths \[\] must be a list of 1 to 5 whole numbers"),
        ({"map": {"widths": 48}}, "map: widths 48 must be a list"),
        ({"map": {"widths": [48, 0]}}, r"map: widths \[48, 0\] must be"),
        ({"map": {"convs": 0}}, "map: convs is 0; it must be a whole number from 1 to 16"),
        ({"map": {"widths": [9, 9, 9, 9]}}, "map: 4 widths end at stride 8 / 8; it must be 2"),
        ({"name": ""}, "name is ''; it must be a name"),
        ({"search_backbone": 18}, "search_backbone is 18; it must be a name"),
    ],
)
def test_configurations_are_refused_by_name(values: dict, words: str) -> None:
    base = {"name": "x", "search_backbone": "resnet18", "template_backbone": "resnet18"}
    with pytest.raises(ConfigError, match=words):
        config_from_dict({**base, **values})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nsearch_backbone: resnet18\n", "the key 'template_backbone' is missing"),
        ("", "is None; it must be a group of name, search_backbone"),
        ("- 3", r"is \[3\]; it must be a group of"),
        ("name: [", "not YAML"),
        ("[" * 9000, "not YAML"),
        ("name: a\nwidth: 8\nname: b\n", r"not YAML \(the key 'name' is given 2 times"),
        ("head: {rays: 36, rays: 72}\n", r"not YAML \(the key 'rays' is given 2 times"),
        (
            "name: !!python/object/apply:os.getcwd []\n",
            r"not YAML \(could not determine a constructor",
        ),
    ],
)
def test_configuration_files_are_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"a.yaml: {words}") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "strides", "words"),
    [
        ("resnet19", (8, 16), "'resnet19' is not a network of timm"),
        ("convnext_atto", (8, 16, 32), r"'convnext_atto' lacks one of strides \(8, 16, 32\)"),
        ("vgg11", (4, 8), r"'vgg11' has strides \(2, 4\), not \(4, 8\)"),
    ],
)
def test_backbones_that_do_not_serve(name: str, strides: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Backbone(name, strides)


class TestDecode:
    """The prior picks among cells; raw values come out."""

    config = config_from_dict(
        {
            "name": "x",
            "search_backbone": "resnet18",
            "template_backbone": "resnet18",
            "levels": [16],
        }
    )

    def graph(self) -> SearchGraph:
        graph = SearchGraph.__new__(SearchGraph)
        torch.nn.Module.__init__(graph)
        graph.model = type("Model", (), {"config": self.config})()  # only the config is read
        graph.centers = cell_centers(self.config)
        graph.reader, graph.outlines = None, False
        return graph

    def maps(self, peaks: dict[tuple[int, int], float]) -> HeadMaps:
        n = self.config.map_size
        logit = torch.full((1, 1, n, n), -8.0)
        for (row, column), value in peaks.items():
            logit[0, 0, row, column] = value
        zeros = torch.zeros(1, 1, n, n)
        return HeadMaps(logit, zeros, zeros.repeat(1, 4, 1, 1), zeros.repeat(1, 72, 1, 1))

    def test_without_prior_the_best_score_wins(self) -> None:
        prior = torch.tensor([[0.0, 0.0, 64.0, 64.0, 127.5, 127.5]])
        score, quality, box, center, rays = self.graph().decode(
            self.maps({(2, 3): 1.0, (8, 8): 0.5}), prior
        )
        assert center[0, 0].tolist() == [3.5 * 16, 2.5 * 16]
        assert score[0, 0].item() == pytest.approx(1 / (1 + np.exp(-1)))
        assert quality[0, 0].item() == pytest.approx(0.5)
        assert box[0, 0].tolist() == pytest.approx([24, 8, 88, 72])
        assert rays.shape == (1, 8, 72) and rays[0, 0, 0].item() == pytest.approx(32)

    def test_the_window_prefers_the_expected_place_but_leaves_the_score_raw(self) -> None:
        prior = torch.tensor([[0.4, 0.0, 64.0, 64.0, 8.5 * 16, 8.5 * 16]])
        score, _, _, center, _ = self.graph().decode(self.maps({(2, 3): 1.0, (8, 8): 0.5}), prior)
        assert center[0, 0].tolist() == [8.5 * 16, 8.5 * 16]
        assert score[0, 0].item() == pytest.approx(1 / (1 + np.exp(-0.5)))

    def test_the_scale_penalty_prefers_the_old_size(self) -> None:
        maps = self.maps({(2, 3): 1.0, (8, 8): 0.5})
        maps.log_ltrb[0, :, 2, 3] = 1.5  # the better score has a box 4.5 times as large
        prior = torch.tensor([[0.0, 0.5, 64.0, 64.0, 127.5, 127.5]])
        _, _, _, center, _ = self.graph().decode(maps, prior)
        assert center[0, 0].tolist() == [8.5 * 16, 8.5 * 16]


@pytest.mark.parametrize("rays", [36, 72, 180])
def test_the_head_draws_as_many_rays_as_asked(rays: int) -> None:
    head = PolarHead(8, HeadConfig(8, 1, 1, 1, rays))
    maps = head(torch.randn(2, 8, 4, 4))
    assert maps.log_rays.shape == (2, rays, 4, 4)


def test_the_shipped_weights_are_those_of_the_configuration() -> None:
    shipped = load_network(ModelFolder.open("siampolar_lite0").path / "weights.safetensors")
    assert shipped.config == load_config(CONFIGS / "siampolar_lite0.yaml")


def test_weights_go_into_a_configuration_that_needs_the_same() -> None:
    trained = load_network(ModelFolder.open("siampolar_lite0").path / "weights.safetensors")
    other = with_config(trained, replace(trained.config, name="other", candidates=2))
    assert other.config.name == "other" and not other.training
    assert torch.equal(other.head.class_out.weight, trained.head.class_out.weight)
    with pytest.raises(ConfigError, match=r"wider needs other weights than siampolar_lite0: \d+"):
        with_config(trained, replace(trained.config, name="wider", width=100))
