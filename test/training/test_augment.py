"""Augmentations: each changes what it says and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")
import cv2

from siampolar_model.geometry.crops import CropWindow
from siampolar_model.images.resample import BORDER_BGR
from siampolar_training.data.augment import border, compose, light, motion, occluder, sharpness
from siampolar_training.data.augment.view import look_up

SIZE = 96


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Smooth noise in full colour."""
    coarse = rng().integers(30, 220, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    drawn = np.zeros((120, 160), np.uint8)
    cv2.circle(drawn, (80, 60), 30, 255, cv2.FILLED)
    return drawn


def placed(
    zoom: float = 1.0, linear: np.ndarray | None = None, at: tuple[float, float] = (80.5, 60.5)
) -> motion.Placement:
    identity = np.eye(2) if linear is None else linear
    return motion.Placement(np.full(2, SIZE / 2), np.array(at), identity, zoom)


def mean_level(picture: np.ndarray) -> float:
    return float(picture.mean())


class TestMotion:
    def test_affine_keeps_the_area(self) -> None:
        for seed in range(20):
            matrix = motion.affine(rng(seed), 0.5, 0.3, 0.4)
            assert np.linalg.det(matrix) == pytest.approx(1)
        np.testing.assert_allclose(motion.affine(rng(), 0, 0, 0), np.eye(2))

    def test_a_placement_alone_is_a_similarity(self) -> None:
        grid = motion.source_grid(placed(2.0), SIZE)
        np.testing.assert_allclose(grid[48, 48], (80.75, 60.75))
        np.testing.assert_allclose(grid[0, 95] - grid[0, 0], (95 / 2, 0), atol=1e-4)
        mirrored = motion.source_grid(placed(2.0, np.diag([-1.0, 1.0])), SIZE)
        np.testing.assert_allclose(mirrored[0, 95] - mirrored[0, 0], (-95 / 2, 0), atol=1e-4)

    def test_perspective_shrinks_what_is_farther(self) -> None:
        grid = motion.source_grid(placed(), SIZE, tilt=np.array([0.25, 0.0]))
        left = grid[48, 1, 0] - grid[48, 0, 0]
        right = grid[48, -1, 0] - grid[48, -2, 0]
        # To the right, depth is 1.25: photograph pixels are packed less densely there, to the
        # left, at depth 0.75, more so: d(x / (1 + t x)) = 1 / (1 + t x)^2.
        assert right == pytest.approx(1 / 1.25**2, abs=0.02)
        assert left == pytest.approx(1 / 0.75**2, abs=0.06)
        straight = grid[:, 70] - grid[:1, 70]
        slope = straight[1:, 0] / straight[1:, 1]
        np.testing.assert_allclose(slope, slope[0], atol=1e-3)  # lines stay lines
        assert np.abs(motion.perspective(rng(), 9.0)).max() == 0.25

    def test_bending_is_smooth_and_as_strong_as_asked(self) -> None:
        fields = np.stack([motion.bend(rng(seed), SIZE, 3.0) for seed in range(60)])
        assert fields.shape[1:] == (SIZE, SIZE, 2)
        assert 1.5 < fields.std() < 3.5
        assert np.abs(np.diff(fields, axis=1)).max() < 1.5
        grid = motion.source_grid(placed(), SIZE, field_px=fields[0])
        np.testing.assert_allclose(
            grid - motion.source_grid(placed(), SIZE), fields[0], atol=1e-3
        )  # fmt: skip


class TestLookUp:
    def test_identity(self, image: np.ndarray, mask: np.ndarray) -> None:
        view = look_up(image, mask, motion.source_grid(placed(), SIZE))
        part = (slice(12, 12 + SIZE), slice(32, 32 + SIZE))
        # The middle (80.5, 60.5) lies at 48.0: half a pixel between.
        expected = cv2.blur(image, (2, 2), anchor=(0, 0))[part]
        assert np.abs(view.image.astype(int) - expected)[1:-1, 1:-1].max() <= 2
        assert view.covered.all()
        assert abs(int((view.alpha >= 0.5).sum()) - int((mask > 0).sum())) < 60

    def test_outside_is_the_border(self, image: np.ndarray, mask: np.ndarray) -> None:
        view = look_up(image, mask, motion.source_grid(placed(0.5), SIZE))
        assert not view.covered[:15].any() and view.covered[20:76, 10:86].all()
        assert (view.image[:15] == BORDER_BGR).all() and not view.alpha[:15].any()
        nothing = look_up(image, mask, motion.source_grid(placed(at=(900, 900)), SIZE))
        assert (nothing.image == BORDER_BGR).all()
        assert not nothing.alpha.any() and not nothing.covered.any()

    def test_shrinking_averages(self) -> None:
        """Stripes of one pixel become even grey, not moire; also cut out of a large image."""
        stripes = np.zeros((400, 400, 3), np.uint8)
        stripes[:, ::2] = 200
        for zoom in (0.25, 0.4):
            grid = motion.source_grid(placed(zoom, at=(200, 200)), SIZE)
            view = look_up(stripes, stripes[..., 0], grid)
            seen = view.image[view.covered]
            assert abs(mean_level(seen) - 100) < 2 and seen.std() < 12

    def test_a_part_looks_like_the_whole(self, image: np.ndarray) -> None:
        """Only the part that is seen is read; its edges must not be mistaken for the image's."""
        large = cv2.resize(image, (900, 700))
        mask = np.full(large.shape[:2], 255, np.uint8)
        for zoom in (0.2, 0.3, 0.7, 2.0):
            where = motion.Placement(
                np.full(2, SIZE / 2), np.array([450.0, 350.0]), np.eye(2), zoom
            )
            view = look_up(large, mask, motion.source_grid(where, SIZE))
            assert view.covered.all() and view.alpha.min() == 1


class TestCompose:
    def test_blend(self) -> None:
        under, over = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 200, np.uint8)
        alpha = np.array([[0, 1], [0.5, 0.25]], np.float32)
        np.testing.assert_array_equal(
            compose.blend(under, over, alpha)[..., 1], [[100, 200], [150, 125]]
        )
        np.testing.assert_array_equal(
            compose.blend(over, under, alpha)[..., 0], [[200, 100], [150, 175]]
        )

    def test_soft_edges_keep_the_area(self) -> None:
        alpha = np.zeros((60, 60), np.float32)
        alpha[20:40, 20:40] = 1
        soft = compose.soften(alpha, 1.5)
        assert soft.sum() == pytest.approx(400, rel=1e-3)
        assert 0.4 < soft[20, 30] < 0.7 and alpha[20, 30] == 1

    def test_surroundings_fade_out_beyond_their_reach(self) -> None:
        alpha = np.zeros((60, 60), np.float32)
        alpha[20:40, 20:40] = 1
        kept = compose.with_surroundings(alpha, 4, 8)
        assert (kept[alpha > 0] == 1).all()
        # 1, 4, 8, 12 and 15 px above the object.
        np.testing.assert_allclose(kept[[19, 16, 12, 8, 5], 30], [1, 1, 0.5, 0, 0], atol=0.02)

    def test_background_part(self, image: np.ndarray) -> None:
        parts = [compose.background_part(rng(seed), image, 50) for seed in range(6)]
        assert all(part.shape == (50, 50, 3) for part in parts)
        assert len({part.tobytes() for part in parts}) == 6
        assert compose.background_part(rng(), image[:1, :1], 8).shape == (8, 8, 3)

    def test_a_distractor_leaves_the_target(self, image: np.ndarray) -> None:
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[30:60, 30:60] = 1
        other = np.full_like(image, 7)
        drawn = compose.put_behind(image, mask, other, np.ones(mask.shape, np.float32))
        np.testing.assert_array_equal(drawn[mask > 0], image[mask > 0])
        assert (drawn[mask == 0] == 7).all()

    def test_an_occluder_takes_from_the_mask(self, image: np.ndarray) -> None:
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[30:60, 30:60] = 1
        cover = np.zeros(mask.shape, np.float32)
        cover[:, :42] = 1
        covered = compose.put_in_front(image, mask, np.full_like(image, 7), cover, 450)
        assert covered is not None
        drawn, left = covered
        assert left.sum() == 30 * 18 and not left[:, :42].any()
        assert (drawn[:, :42] == 7).all()
        np.testing.assert_array_equal(drawn[:, 42:], image[:, 42:])
        assert compose.put_in_front(image, mask, drawn, cover, 541) is None

    def test_recolouring_moves_the_mean(self, image: np.ndarray) -> None:
        alpha = np.zeros(image.shape[:2], np.float32)
        alpha[20:90, 30:120] = 1
        drawn = compose.in_colours_of(image, alpha, np.array([120.0, 100.0, 140.0]))
        mean = compose.mean_colour(drawn, (alpha * 255).astype(np.uint8))
        np.testing.assert_allclose(mean, (120, 100, 140), atol=3)  # what saturates is lost
        nothing = np.zeros_like(alpha)
        assert compose.in_colours_of(image, nothing, np.zeros(3)) is image


class TestOccluders:
    @pytest.mark.parametrize("kind", [occluder.bar, occluder.foliage])
    def test_covers_a_part(self, kind: object) -> None:
        shares = []
        for seed in range(40):
            alpha = kind(rng(seed), SIZE, np.full(2, SIZE / 2))  # type: ignore[operator]
            assert alpha.shape == (SIZE, SIZE) and alpha.min() >= 0 and alpha.max() <= 1
            shares.append(alpha.mean())
            assert alpha[SIZE // 3 : -SIZE // 3, SIZE // 3 : -SIZE // 3].any()
        assert 0.01 < np.mean(shares) < 0.25 and np.std(shares) > 0.005


class TestBorder:
    def test_half_cut_the_target_and_none_too_much(self) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[30:70, 40:60] = 1
        left, sides = [], set()
        for seed in range(300):
            beyond = border.border(rng(seed), mask, 0.6 * mask.sum())
            left.append((mask * ~beyond).sum() / mask.sum())
            if beyond.any():
                rows, columns = beyond.all(1), beyond.all(0)
                assert rows.any() != columns.any()  # a straight line across the view
                sides.add((bool(rows[0]), bool(rows[-1]), bool(columns[0]), bool(columns[-1])))
        assert len(sides) == 4 and min(left) >= 0.6
        assert 0.3 < np.mean(np.array(left) < 1) < 0.55

    def test_without_a_target(self) -> None:
        nothing = np.zeros((SIZE, SIZE), np.uint8)
        shares = [border.border(rng(seed), nothing, 0).mean() for seed in range(40)]
        assert 0 < max(shares) <= 0.51

    def test_outside_of_a_window(self) -> None:
        window = CropWindow(cx=10, cy=30, side=40, size=80)  # from (-10, 10) to (30, 50)
        beyond = border.outside(window, width=100, height=45)
        assert beyond[:, :20].all() and beyond[70:].all() and not beyond[:70, 20:].any()

    def test_painting(self, image: np.ndarray) -> None:
        beyond = np.zeros(image.shape[:2], bool)
        assert border.paint(image, beyond) is image
        beyond[:5] = True
        painted = border.paint(image, beyond)
        assert (painted[:5] == BORDER_BGR).all()
        np.testing.assert_array_equal(painted[5:], image[5:])


class TestLight:
    def test_tables(self, image: np.ndarray) -> None:
        table = light.colour_table(rng(), 0.25)
        assert table.shape == (256, 3) and (np.diff(table.astype(int), axis=0) >= 0).all()
        identity = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
        np.testing.assert_array_equal(light.apply_table(image, identity), image)
        np.testing.assert_array_equal(light.colour_table(rng(), 0), identity)
        second = light.colour_table(rng(1), 0.25)
        np.testing.assert_array_equal(
            light.apply_table(image, light.chain(table, second)),
            light.apply_table(light.apply_table(image, table), second),
        )

    def test_saturation_and_grey(self, image: np.ndarray) -> None:
        assert np.ptp(light.grey(image), axis=2).max() == 0
        assert np.ptp(light.saturation(image, 0.0), axis=2).max() <= 1
        np.testing.assert_array_equal(light.saturation(image, 1.0), image)
        vivid = light.saturation(image, 1.4)
        assert np.ptp(vivid, axis=2).mean() > 1.2 * np.ptp(image, axis=2).mean()

    def test_shade_is_a_ramp_about_one(self) -> None:
        plain = np.full((80, 100, 3), 100, np.uint8)
        for seed in range(10):
            gain = light.shade(rng(seed), plain, 0.6)[..., 0] / 100
            assert gain.mean() == pytest.approx(1, abs=0.02)
            assert 0.1 < gain.max() - gain.min() <= 1.21

    def test_a_shadow_only_darkens_a_part(self) -> None:
        plain = np.full((80, 100, 3), 100, np.uint8)
        for seed in range(20):
            shaded = light.shadow(rng(seed), plain)
            assert shaded.max() == 100 and 34 <= shaded.min() <= 71
            assert 0.05 < (shaded < 90).mean() < 0.95

    def test_night_is_dark_and_pale_but_not_black(self, image: np.ndarray) -> None:
        for seed in range(10):
            dark = light.night(rng(seed), image)
            assert 0.1 * mean_level(image) < mean_level(dark) < 0.65 * mean_level(image)
            assert dark.std() > 4  # something is left to see
            darker = light.night(rng(seed), dark // 2)
            assert mean_level(darker) > 0.5 * mean_level(dark // 2)

    def test_noise(self) -> None:
        plain = np.full((80, 100, 3), 100, np.uint8)
        grainy = light.noise(rng(), plain, 5.0).astype(int) - 100
        assert abs(grainy.mean()) < 0.3 and grainy.std() == pytest.approx(5, abs=0.3)
        assert np.ptp(grainy, axis=2).max() == 0


class TestSharpness:
    @pytest.mark.parametrize(
        "change",
        [
            lambda image: sharpness.blur(image, 1.5),
            lambda image: sharpness.motion_blur(image, 7, 0.4),
            lambda image: sharpness.far_away(image, 0.3),
        ],
    )
    def test_detail_goes_and_the_mean_stays(self, change: object) -> None:
        noise = rng().integers(0, 255, (90, 120, 3), dtype=np.uint8)
        soft = change(noise)  # type: ignore[operator]
        assert soft.shape == noise.shape and soft.dtype == np.uint8
        assert mean_level(soft) == pytest.approx(mean_level(noise), abs=1.5)
        assert soft.std() < 0.6 * noise.std()

    def test_motion_blur_follows_its_direction(self) -> None:
        dot = np.zeros((41, 41), np.float32)
        dot[20, 20] = 1
        flat = sharpness.motion_blur(dot, 9, 0.0)
        assert flat[20, 16:25].sum() == pytest.approx(1) and flat[20].argmax() >= 16
        steep = sharpness.motion_blur(dot, 9, np.pi / 2)
        assert steep[16:25, 20].sum() == pytest.approx(1)

    def test_compression_leaves_artefacts_by_quality(self, image: np.ndarray) -> None:
        errors = [
            np.abs(sharpness.compress(image, quality).astype(int) - image).mean()
            for quality in (20, 50, 95)
        ]
        assert errors[0] > errors[1] > errors[2] > 0
