"""A target started from a mask: what the template graph makes of it, in torch, in ONNX and in the
tracker."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")
pytest.importorskip("onnxruntime")
import torch

from siampolar_model.engines.base import EngineOptions
from siampolar_model.engines.onnxruntime_engine import OnnxRuntimeEngine
from siampolar_model.engines.torch_engine import NetworkEngine
from siampolar_model.errors import BoxError, ConfigError, EngineError
from siampolar_model.export.onnx_export import export
from siampolar_model.geometry.box import Box
from siampolar_model.models.folder import ModelFolder
from siampolar_model.models.spec import ModelSpec, mask_cells
from siampolar_model.network.config import MapConfig, NetworkConfig
from siampolar_model.network.siampolar import SiamPolar
from siampolar_model.network.template_mask import target_share, with_given
from siampolar_model.tracking.tracker import Tracker

CONFIG = NetworkConfig(
    name="tiny",
    search_backbone="resnet10t",
    template_backbone="resnet10t",
    levels=(8, 16),
    width=8,
    correlation="pixelwise",
    map=MapConfig((8, 8), 1),
    template_mask=True,
    given_mask=True,
    ridge=True,
    candidates=1,
)
SIZE = CONFIG.template_size
BOX = np.array([30, 40, 90, 80], np.float32)


@pytest.fixture(scope="module")
def model() -> SiamPolar:
    torch.manual_seed(0)
    return SiamPolar(CONFIG).eval()


@pytest.fixture(scope="module")
def folder(model: SiamPolar, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    path = tmp_path_factory.mktemp("tiny")
    export(model, path)
    return ModelFolder.open(str(path))


def disc(x: int = 55, y: int = 60) -> np.ndarray:
    rows, columns = np.ogrid[:SIZE, :SIZE]
    return ((columns - x) ** 2 + (rows - y) ** 2 < 15**2).astype(np.uint8)


def test_cells_are_shares_of_what_they_cover(model: SiamPolar) -> None:
    spec = NetworkEngine(model).spec
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:6, :2] = 1
    mask[-1, -1] = 1  # the last cell is 3 x 3
    cells = mask_cells(spec, mask)
    assert cells.shape == (32, 32) and cells.dtype == np.float32
    assert cells[0, 0] == 0.5 and cells[1, 0] == 0.25 and cells[-1, -1] == np.float32(1 / 9)
    assert cells.sum() == np.float32(0.75 + 1 / 9)
    assert (mask_cells(spec, None) == -1).all()


def test_what_is_not_known_is_drawn() -> None:
    drawn = target_share(torch.randn(2, 1, 4, 4))
    given = torch.full((2, 4, 4), -1.0)
    torch.testing.assert_close(with_given(drawn, given), drawn)
    given[0, 0] = torch.tensor([0.0, 0.5, 1.0, -1.0])
    both = with_given(drawn, given)
    # As an empty mask that is drawn means the whole box, so does one that is given.
    torch.testing.assert_close(both[0, 0, 0, :3], torch.tensor([0.01, 0.505, 1.0]))
    torch.testing.assert_close(both[0, 0, 0, 3], drawn[0, 0, 0, 3])
    torch.testing.assert_close(both[1], drawn[1])


def test_absent_it_changes_nothing(model: SiamPolar) -> None:
    plain = SiamPolar(replace(CONFIG, given_mask=False)).eval()
    plain.load_state_dict(model.state_dict())
    image, box = torch.randn(2, 3, SIZE, SIZE), torch.from_numpy(BOX).repeat(2, 1)
    with torch.no_grad():
        absent = model.template(image, box, torch.full((2, 32, 32), -1.0))
        torch.testing.assert_close(absent, plain.template(image, box))
        given = model.template(image, box, torch.zeros(2, 32, 32))
    assert not torch.allclose(given, absent)


def test_onnx_gives_what_torch_gives(folder: ModelFolder, model: SiamPolar) -> None:
    engines = [NetworkEngine(model), OnnxRuntimeEngine(folder, EngineOptions(precision="fp32"))]
    assert engines[0].spec == engines[1].spec and engines[0].spec.takes_mask
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    search = rng.integers(0, 255, (1, CONFIG.search_size, CONFIG.search_size, 3), dtype=np.uint8)
    prior = np.array([[0.3, 0.15, 60, 50, 127, 127]], np.float32)
    rays = []
    for mask in (None, disc(), disc(70)):
        found = []
        for engine in engines:
            engine.encode(0, crop, BOX, mask)
            found.append(engine.search([0], search, prior))
        np.testing.assert_allclose(found[0].score, found[1].score, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found[0].rays_px, found[1].rays_px, rtol=2e-2, atol=2e-2)
        rays.append(found[0].rays_px)
    assert not np.allclose(rays[0], rays[1]) and not np.allclose(rays[1], rays[2])


def test_a_tracker_starts_from_a_mask_of_the_image(model: SiamPolar) -> None:
    """What the engine gets is the mask as the template's crop shows it."""
    seen: list[np.ndarray] = []

    class Watched(NetworkEngine):
        def encode(
            self, slot: int, crop: np.ndarray, box: np.ndarray, mask: np.ndarray | None = None
        ) -> None:
            assert mask is not None
            seen.append(mask)
            x0, y0, x1, y1 = box
            rows, columns = np.nonzero(mask)
            assert abs(columns.min() - x0) < 1.5 and abs(columns.max() + 1 - x1) < 1.5
            assert abs(rows.min() - y0) < 1.5 and abs(rows.max() + 1 - y1) < 1.5
            super().encode(slot, crop, box, mask)

    tracker = Tracker(Watched(model))
    image = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    mask[90:130, 100:180] = 7
    tracker.start(image, mask)
    (target,) = tracker.update(image)
    assert len(seen) == 1 and set(np.unique(seen[0])) == {0, 1}
    assert np.isfinite(target.polygon_xy).all()
    # An outline says the same, and so does a mask of other numbers.
    tracker.start(image, Box(100, 90, 180, 130).corners_xy())
    tracker.start(image, mask != 0)
    assert len(seen) == 3 and all(np.array_equal(one, seen[0]) for one in seen)
    with pytest.raises(BoxError, match="a mask of 320x239 pixels; the image is 320x240"):
        tracker.start(image, mask[:-1])


def test_a_model_that_takes_none_says_so(model: SiamPolar) -> None:
    plain = SiamPolar(replace(CONFIG, given_mask=False)).eval()
    engine = NetworkEngine(plain)
    crop = np.zeros((SIZE, SIZE, 3), np.uint8)
    engine.encode(0, crop, BOX)
    with pytest.raises(EngineError, match="tiny takes no mask; it draws that of its target itself"):
        engine.encode(0, crop, BOX, disc())
    with pytest.raises(ConfigError, match="given_mask without template_mask"):
        replace(CONFIG, template_mask=False, ridge=False)


def test_older_models_take_none(tmp_path: Path) -> None:
    """Their model.json does not name the setting."""
    spec = {
        "name": "a", "template_size": 127, "search_size": 255, "search_factor": 1.7, "n_rays": 72,
        "max_targets": 16,
    }  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps({"spec": spec}))
    assert not ModelSpec.read(tmp_path / "model.json").takes_mask
