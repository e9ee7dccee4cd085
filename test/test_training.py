"""Targets, losses, synthetic pairs and clips: worked by hand, pure, and plausible."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")
import cv2
import torch

from siampolar_model.network.config import config_from_dict
from siampolar_model.network.head import BASE_PX, HeadMaps
from siampolar_training.clips import FRAMES, render_clip
from siampolar_training.losses import box_iou, focal, head_losses, polar_iou
from siampolar_training.pairs import PairSettings, SyntheticPairs
from siampolar_training.photos import DataError, Photo, held_out, load_photos
from siampolar_training.targets import MAX_POSITIVES, make_targets, no_target
from siampolar_training.train import TrainSettings, learning_rate_factor, load_settings, train

ROOT = Path(__file__).resolve().parent.parent
NETWORK = config_from_dict(
    {
        "name": "tiny",
        "search_backbone": "resnet18",
        "template_backbone": "resnet18",
        "levels": [16],
        "width": 16,
        "correlation": "pixelwise",
        "head": {"width": 16, "class_convs": 1, "box_convs": 1, "mask_convs": 1, "rays": 36},
    }
)


def photo(seed: int) -> Photo:
    """A drawn photograph with two objects on noise."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (320, 240))
    labels = np.zeros((240, 320), np.uint8)
    cv2.ellipse(labels, (90, 110), (50, 30), 20, 0, 360, 1, -1)
    cv2.rectangle(labels, (200, 60), (260, 180), 2, -1)
    for value in (1, 2):
        image[labels == value] = rng.integers(0, 255, 3)
    return Photo(f"{seed:05d}", image, labels, (1, 2))


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return [photo(seed) for seed in range(4)]


class TestTargets:
    def test_a_square_by_hand(self) -> None:
        mask = np.zeros((255, 255), np.uint8)
        mask[100:164, 92:156] = 1  # centroid (124, 132): exactly a cell of stride 8
        targets = make_targets(mask, 36, 8)
        middle = list(targets.cells).index(16 * 32 + 15)
        assert targets.weight[middle] > 0.95
        np.testing.assert_allclose(targets.ltrb_px[middle], 32)
        assert targets.rays_px[middle, 0] == pytest.approx(32, abs=1.5)
        diagonal = targets.rays_px[middle, 36 // 8 : 36 // 8 + 2].max()  # nearest to 45 degrees
        assert 40 < diagonal < 46
        positives = targets.weight > 0
        distance = [
            math.hypot((c % 32 + 0.5) * 8 - 124, (c // 32 + 0.5) * 8 - 132)
            for c in targets.cells[positives]
        ]
        assert max(distance) <= 12 and len(distance) == 9

    def test_quality_never_exceeds_one_and_padding_has_no_weight(self) -> None:
        for seed in range(20):
            mask = np.zeros((255, 255), np.uint8)
            cv2.ellipse(mask, (127, 127), (10 + 3 * seed, 20), 9.0 * seed, 0, 300, 1, -1)
            targets = make_targets(mask, 72, 8)
            assert targets.weight.max() <= 1 and len(targets.cells) == MAX_POSITIVES
            assert (targets.rays_px >= 1).all()

    def test_a_mask_outside_the_map_has_no_positive(self) -> None:
        assert not no_target(72).weight.any()


class TestLosses:
    def test_polar_iou_by_hand(self) -> None:
        rays, true = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 1.0]])
        assert polar_iou(rays, true).item() == pytest.approx(math.log(5 / 2))
        assert polar_iou(true, true).item() == 0

    def test_box_iou_by_hand(self) -> None:
        small, large = torch.ones(1, 4), torch.full((1, 4), 2.0)
        assert box_iou(small, large).item() == pytest.approx(1 - 4 / 16)
        assert box_iou(large, large).item() == pytest.approx(0)

    def test_focal_by_hand(self) -> None:
        # p = 0.5: alpha 0.5, (1 - 0.5)^2, -log 0.5, for a positive as for a negative.
        value = focal(torch.zeros(2), torch.tensor([1.0, 0.0])).item()
        assert value == pytest.approx(2 * 0.5 * 0.25 * math.log(2))

    def test_a_perfect_head_has_no_regression_loss(self) -> None:
        targets = {k: torch.from_numpy(v)[None] for k, v in vars(self.square()).items()}
        n, cells = 1, 32 * 32
        log_rays = torch.zeros(n, 36, cells)
        log_ltrb = torch.zeros(n, 4, cells)
        logit = torch.full((n, 1, cells), -20.0)
        for cell, rays, ltrb, weight in zip(
            *(targets[k][0] for k in ("cells", "rays_px", "ltrb_px", "weight")), strict=True
        ):
            if weight > 0:
                log_rays[0, :, cell] = torch.log(rays / BASE_PX)
                log_ltrb[0, :, cell] = torch.log(ltrb / BASE_PX)
                logit[0, 0, cell] = 20
        shape = (n, -1, 32, 32)
        maps = HeadMaps(
            logit.view(shape), logit.view(shape), log_ltrb.view(shape), log_rays.view(shape)
        )
        losses = head_losses(maps, targets)
        assert losses["mask"].item() == pytest.approx(0, abs=1e-5)
        assert losses["box"].item() == pytest.approx(0, abs=1e-5)
        assert losses["class"].item() == pytest.approx(0, abs=1e-5)

    def test_a_batch_without_positives_is_finite(self) -> None:
        targets = {k: torch.from_numpy(v)[None] for k, v in vars(no_target(36)).items()}
        zero = torch.zeros(1, 1, 8, 8, requires_grad=True)
        maps = HeadMaps(zero, zero, zero.repeat(1, 4, 1, 1), zero.repeat(1, 36, 1, 1))
        total = torch.stack(list(head_losses(maps, targets).values())).sum()
        total.backward()
        assert total.isfinite() and zero.grad is not None and zero.grad.isfinite().all()

    @staticmethod
    def square() -> object:
        mask = np.zeros((255, 255), np.uint8)
        mask[100:164, 92:156] = 1
        return make_targets(mask, 36, 8)


class TestPairs:
    def test_a_sample_is_a_pure_function_of_seed_and_index(self, photos: list[Photo]) -> None:
        a, b = (SyntheticPairs(photos, NETWORK, length=8, seed=5) for _ in range(2))
        b[7]
        for key, value in a[3].items():
            np.testing.assert_array_equal(value, b[3][key], err_msg=key)
        other = SyntheticPairs(photos, NETWORK, length=8, seed=6)[3]
        assert (other["search"] != a[3]["search"]).any()

    def test_shapes_and_shares(self, photos: list[Photo]) -> None:
        pairs = SyntheticPairs(photos, NETWORK, length=120, seed=1)
        samples = [pairs[i] for i in range(len(pairs))]
        for sample in samples:
            assert sample["template"].shape == (127, 127, 3)
            assert sample["search"].shape == (255, 255, 3)
            assert sample["template"].dtype == sample["search"].dtype == np.uint8
        negative = np.mean([not s["weight"].any() for s in samples])
        assert 0.04 < negative < 0.3  # 12 % by choice, a few more by occlusion

    def test_the_box_of_the_template_holds_the_object(self, photos: list[Photo]) -> None:
        plain = PairSettings(negative=0, box_jitter=0, distractor=0, occluder=0, background=0)
        pairs = SyntheticPairs(photos, NETWORK, length=10, seed=2, settings=plain)
        for index in range(len(pairs)):
            box = pairs[index]["box_xyxy"]
            assert (box[2:] > box[:2]).all()
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, 63.5, atol=0.01)

    def test_validation_photographs_are_held_out_in_groups(self) -> None:
        names = [f"{n:05d}" for n in range(2000)]
        held = [n for n in names if held_out(n)]
        assert len(held) == 100
        assert {int(n) // 10 for n in held} == {7 + 20 * k for k in range(10)}

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no photographs in .*expected JPEGImages/photos"):
            load_photos(tmp_path, validation=False)


def test_a_clip_is_pure_and_its_object_moves(photos: list[Photo]) -> None:
    clip, again = render_clip(photos, 3), render_clip(photos, 3)
    assert len(clip.frames) == FRAMES
    np.testing.assert_array_equal(clip.frames[20], again.frames[20])
    assert clip.masks[0].any()
    assert (clip.masks[0] != clip.masks[-1]).any()


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[10] == 1 and rates[100] == pytest.approx(0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_unknown_training_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("network: a\nphotos: b\nout: c\npairs: 1\nbatchsize: 3\n")
    with pytest.raises(ValueError, match="unknown key 'batchsize'"):
        load_settings(path)


def test_the_committed_training_configuration_is_valid() -> None:
    settings = load_settings(ROOT / "config" / "training" / "siampolar_lite0.yaml")
    assert (ROOT / settings.network).is_file()


def test_training_resumes_where_it_was_killed(
    photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after two steps and started again, a run ends with the weights of a whole one."""
    root = tmp_path / "photos"
    for folder in ("JPEGImages/photos", "Annotations/photos"):
        (root / folder).mkdir(parents=True)
    for p in photos:
        cv2.imwrite(str(root / f"JPEGImages/photos/{p.name}.jpg"), p.image)
        cv2.imwrite(str(root / f"Annotations/photos/{p.name}.png"), p.labels)
    network = tmp_path / "tiny.yaml"
    network.write_text(
        "name: tiny\nsearch_backbone: resnet10t\ntemplate_backbone: resnet10t\nlevels: [32]\n"
        "width: 8\ncorrelation: pixelwise\nhead: {width: 8, class_convs: 0, box_convs: 0,"
        " mask_convs: 0, rays: 36}\n"
    )

    def settings(out: str) -> TrainSettings:
        return TrainSettings(
            str(network), str(root), str(tmp_path / out), pairs=8, batch=2, workers=0, threads=1,
            backbone_weights="none", warmup_steps=1, checkpoint_every=2,
        )  # fmt: skip

    whole = torch.load(train(settings("whole")), weights_only=True)

    class Killed(BaseException):
        pass

    real = SyntheticPairs.__getitem__

    def dying(self: SyntheticPairs, index: int) -> dict[str, np.ndarray]:
        if index == 5:
            raise Killed
        return real(self, index)

    monkeypatch.setattr(SyntheticPairs, "__getitem__", dying)
    with pytest.raises(Killed):
        train(settings("resumed"))
    monkeypatch.setattr(SyntheticPairs, "__getitem__", real)
    resumed = torch.load(train(settings("resumed")), weights_only=True)
    assert resumed["step"] == whole["step"] == 4
    for part in ("model", "ema"):
        for key, value in whole[part].items():
            torch.testing.assert_close(resumed[part][key], value, msg=f"{part} {key}")
