"""Pairs of all sources: pure, plausible, and never of evaluation data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocotools")
import cv2

from siampolar_model.errors import ConfigError, DatasetError
from siampolar_model.geometry.crops import context_side
from siampolar_model.images.resample import BORDER_BGR
from siampolar_model.network.config import config_from_dict
from siampolar_training.data.config import (
    DataConfig,
    SourceConfig,
    data_config,
    open_reader,
    open_training,
    open_validation,
    open_validation_videos,
)
from siampolar_training.data.instances import Instance, Pool, instances_of
from siampolar_training.data.mixture import Mixture
from siampolar_training.data.photometry import PhotometrySettings, jitter_pair
from siampolar_training.data.preview import contact_sheet, draw_search
from siampolar_training.data.readers.base import LabelledImage, Reader
from siampolar_training.data.synthetic_pairs import SyntheticPairs, SyntheticSettings
from siampolar_training.data.video_pairs import VideoPairs, VideoSettings
from support import drawn_sets

NETWORK = config_from_dict(
    {
        "name": "tiny", "search_backbone": "resnet18", "template_backbone": "resnet18",
        "levels": [16], "head": {"rays": 36},
    }
)  # fmt: skip
#: Neither light nor colour changes, nothing is added, nothing moves.
SAME_LIGHT = PhotometrySettings(**dict.fromkeys(vars(PhotometrySettings()), 0.0))
STILL = SyntheticSettings(**dict.fromkeys(vars(SyntheticSettings()), 0.0))
FIXED = VideoSettings(shift_sigma=0, log_scale=0, border=0, negative=0, box_jitter=0)
#: BGR of the object with each value in the drawn data; the disc's and the box's class differ.
DISC, BOX = (20, 200, 240), (200, 40, 20)


class Drawn(Reader):
    """Videos of a disc (value 2) that moves 6 px a frame, and a box (value 1) that stays.

    The disc is as blue as its sequence's index times 20, the background as green.
    """

    def __init__(self, sequences: int = 4, frames: int = 5) -> None:
        self.root = Path("drawn")
        self._sequences, self._frames = sequences, frames

    def __len__(self) -> int:
        return self._sequences

    def name(self, sequence: int) -> str:
        return str(sequence)

    def frames(self, sequence: int) -> int:
        return self._frames

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        image = np.zeros((200, 300, 3), np.uint8)
        image[..., 1] = 20 * sequence + 10
        labels = np.zeros((200, 300), np.uint8)
        cv2.circle(labels, (100 + 6 * frame, 100), 25, 2, cv2.FILLED)
        cv2.rectangle(labels, (220, 30), (270, 80), 1, cv2.FILLED)
        image[labels == 2] = (20 * sequence + 10, 0, 255)
        image[labels == 1] = (0, 0, 90)
        categories = {1: "box", 2: "disc" if sequence % 2 else "dot"}
        return LabelledImage(f"{sequence}/{frame}", sequence, image, labels, (1, 2), categories)

    def similar(self, image: LabelledImage, value: int) -> range:
        return range(len(self)) if value == 1 else range(image.sequence % 2, len(self), 2)


def synthetic(settings: SyntheticSettings, reader: Reader | None = None) -> SyntheticPairs:
    return SyntheticPairs(reader or Drawn(), NETWORK, settings, SAME_LIGHT)


def samples(source: Any, count: int = 40) -> list[dict[str, np.ndarray]]:
    pairs = Mixture([(source, 1.0)], length=count, seed=3)
    return [pairs[i] for i in range(count)]


def changed(base: Any, **values: float) -> Any:
    return type(base)(**{**vars(base), **values})


def share_changed(before: list[dict[str, np.ndarray]], after: list[dict[str, np.ndarray]]) -> float:
    """Share of the search crops that differ."""
    pairs = zip(before, after, strict=True)
    return float(np.mean([(a["search"] != b["search"]).any() for a, b in pairs]))


class TestInstances:
    def test_geometry(self) -> None:
        image = Drawn().read(0, 2)
        box, disc = instances_of(image)
        assert (box.value, disc.value) == (1, 2)
        np.testing.assert_array_equal(box.box.as_xyxy(), (220, 30, 271, 81))
        assert set(map(tuple, box.hull_xy)) == {
            (220.5, 30.5), (270.5, 30.5), (270.5, 80.5), (220.5, 80.5),
        }  # fmt: skip
        assert (disc.mask > 0).sum() == (image.labels == 2).sum() and disc.mask.max() == 255

    def test_small_objects_are_left_out(self) -> None:
        labels = np.zeros((50, 50), np.uint8)
        labels[:5, :5] = 1
        image = LabelledImage("x", 0, np.zeros((50, 50, 3), np.uint8), labels, (1,))
        assert Instance.of(image, 1) is None and instances_of(image) == []

    def test_another_object_is_of_another_sequence_and_often_alike(self) -> None:
        pool, rng = Pool(Drawn(8)), np.random.default_rng(0)
        target = instances_of(Drawn().read(1))[1]
        for similar, least in ((True, 0.9), (False, 0.2)):
            others = [pool.other(rng, target, target, similar=similar) for _ in range(60)]
            assert all(other.source.sequence != 1 for other in others)
            alike = np.mean([o.source.categories[o.value] == "disc" for o in others])
            assert alike >= least if similar else least < alike < 0.4

    def test_backgrounds_are_of_another_sequence(self) -> None:
        pool, rng = Pool(Drawn(3)), np.random.default_rng(0)
        target = instances_of(Drawn().read(1))[0]
        greens = {int(pool.background(rng, target)[0, 0, 1]) for _ in range(30)}
        assert greens == {10, 50}

    def test_refused(self) -> None:
        with pytest.raises(
            DatasetError, match="drawn: 1 of 1 sequences or photographs with objects"
        ):
            Pool(Drawn(1))

        class Bare(Drawn):
            def read(self, sequence: int, frame: int = 0) -> LabelledImage:
                return LabelledImage("x", sequence, np.zeros((9, 9, 3), np.uint8))

        with pytest.raises(DatasetError, match=r"drawn: no object of 256 px or more in \d+ draws"):
            Pool(Bare()).instance(np.random.default_rng(0))


class TestSyntheticPairs:
    def test_two_identical_views(self) -> None:
        """Without any change, the target stands in the middle at its nominal size."""
        for sample in samples(synthetic(STILL), 12):
            y, x = (v.mean() + 0.5 for v in np.nonzero(sample["mask"]))
            rows, columns = (np.ptp(v) + 1 for v in np.nonzero(sample["mask"]))
            assert (x, y) == pytest.approx((127.5, 127.5), abs=1.5)
            nominal = NETWORK.search_size / NETWORK.search_factor
            assert context_side(columns, rows) == pytest.approx(nominal, rel=0.03)
            np.testing.assert_allclose(sample["box_xyxy"][:2] + sample["box_xyxy"][2:], 127)
            # The object's colour in both.
            colour = sample["template"][63, 63].astype(int)
            np.testing.assert_allclose(sample["search"][127, 127], colour, atol=2)

    def test_objects_that_touch_are_one_target_if_they_are_joined(self) -> None:
        """A disc whose lower half is another object: alone half as high as wide."""

        class Halves(Drawn):
            def read(self, sequence: int, frame: int = 0) -> LabelledImage:
                image = super().read(sequence, frame)
                assert image.labels is not None
                image.labels[image.labels == 1] = 0
                image.labels[100:][image.labels[100:] == 2] = 1
                return image

        for joined, ratio in ((0.0, 0.5), (1.0, 1.0)):
            for sample in samples(synthetic(changed(STILL, joined=joined), Halves()), 12):
                for mask in (sample["mask"], sample["template_mask"]):
                    rows, columns = (np.ptp(v) + 1 for v in np.nonzero(mask))
                    assert rows / columns == pytest.approx(ratio, abs=0.06)

    def test_shapes_and_shares(self) -> None:
        found = samples(synthetic(SyntheticSettings()), 150)
        for sample in found:
            assert sample["template"].shape == (127, 127, 3)
            assert sample["search"].shape == (255, 255, 3)
            assert sample["mask"].shape == (255, 255) and sample["mask"].max() <= 1
            assert sample["template"].dtype == sample["search"].dtype == np.uint8
            assert sample["mask"].dtype == np.uint8
            assert sample["box_xyxy"].shape == (4,) and sample["box_xyxy"].dtype == np.float32
            assert bool(sample["weight"].any()) <= bool(sample["mask"].any())
        negative = np.mean([not sample["mask"].any() for sample in found])
        assert 0.12 < negative < 0.35

    def test_a_negative_pair_never_shows_the_templates_sequence(self) -> None:
        """The disc's blue and the background's green tell the sequence."""
        for empty in (0.0, 1.0):
            lone = changed(STILL, negative=1, empty=empty, distractor=1, background=1, cut_out=1)
            for sample in samples(synthetic(lone)):
                assert not sample["mask"].any() and not sample["weight"].any()
                sequence = (int(sample["template"][2, 63, 1]) - 10) // 20
                search = sample["search"]
                own = (search[..., 1] == 20 * sequence + 10) & (search[..., 2] == 0)
                # Soft edges mix any green, but never three pixels of it in both directions.
                assert not cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8)).any()

    def test_occluders_leave_enough(self) -> None:
        hidden = changed(STILL, occluder=1, clutter=1, border=1, min_visible=0.55)
        plain, covered = (samples(synthetic(settings), 120) for settings in (STILL, hidden))
        left = [
            after["mask"].sum() / before["mask"].sum()
            for before, after in zip(plain, covered, strict=True)
        ]
        assert 0.55 <= min(left) < 0.7 and max(left) == 1 and np.mean(left) < 0.95

    def test_the_border_keeps_its_colour_in_any_light(self) -> None:
        dark = PhotometrySettings(night=1, noise=1)
        source = SyntheticPairs(Drawn(), NETWORK, changed(STILL, border=1, min_visible=0.5), dark)
        bordered = 0
        for sample in samples(source):
            beyond = (sample["search"] == BORDER_BGR).all(2)
            edges = beyond[0].all() or beyond[-1].all() or beyond[:, 0].all() or beyond[:, -1].all()
            bordered += bool(edges)
            assert not sample["mask"][beyond].any()
        assert bordered > 20

    def test_every_chance_changes_the_search_crop(self) -> None:
        plain = samples(synthetic(STILL), 20)
        for name in (
            "shift_sigma", "log_scale", "rotation_sigma_rad", "shear", "log_aspect", "distractor",
            "occluder", "clutter", "border", "background", "negative", "companion",
        ):  # fmt: skip
            strong = changed(STILL, **{name: 1.0 if name in _CHANCES else 0.3})
            others = samples(synthetic(strong), 20)
            differ = [
                (a["search"] != b["search"]).any() for a, b in zip(plain, others, strict=True)
            ]
            assert np.mean(differ) >= 0.5, name
        for name, strength in (("tilt", "tilt_sigma"), ("bend", "bend_sigma")):
            others = samples(synthetic(changed(STILL, **{name: 1.0, strength: 0.05})), 20)
            assert share_changed(plain, others) == 1, name

    def test_an_outline_is_as_photographed_unless_it_is_cut_out(self) -> None:
        plain, kept, cut = (
            samples(synthetic(changed(STILL, background=background, cut_out=cut_out)))
            for background, cut_out in ((0, 0), (1, 0), (1, 1))
        )
        for still, around, out in zip(plain, kept, cut, strict=True):
            mask = still["mask"]
            ring = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - mask > 0
            own = (still["search"][..., 1] == still["template"][2, 63, 1]) & (mask == 0)
            far = own & (cv2.dilate(mask, np.ones((3, 3), np.uint8), iterations=65) == 0)
            np.testing.assert_array_equal(around["mask"], mask)
            np.testing.assert_array_equal(around["search"][ring], still["search"][ring])
            assert (around["search"][far] != still["search"][far]).any(1).all()
            assert (out["search"][ring] != still["search"][ring]).any(1).mean() > 0.9

    def test_a_whole_photograph_ends_where_the_camera_image_ends(self) -> None:
        for sample in samples(synthetic(changed(STILL, whole=1))):
            search = sample["search"]
            # What is drawn has no blue but in the discs, the border has.
            beyond = (search == BORDER_BGR).all(2)
            assert beyond.any() or (search[..., 0] < 100).all()
            assert not sample["mask"][beyond].any()

    def test_turned(self) -> None:
        """Blue grows to the right in the photographs: where it does not, a view is mirrored."""

        class Ramp(Drawn):
            def read(self, sequence: int, frame: int = 0) -> LabelledImage:
                read = super().read(sequence, frame)
                read.image[..., 0] = np.linspace(0, 255, read.image.shape[1])
                return read

        for turned in (0.0, 1.0):
            for sample in samples(synthetic(changed(STILL, turned=turned), Ramp()), 20):
                mirrored = [
                    bool(view[len(view) // 2 - 12, 40, 0] > view[len(view) // 2 - 12, 86, 0])
                    for view in (sample["template"], sample["search"][:, 64:191])
                ]
                assert (mirrored[0] != mirrored[1]) == (turned == 1)

    def test_a_template_always_shows_something(self) -> None:
        """A stick that its own motion blurs away is shown as it was photographed."""

        class Sticks(Drawn):
            def read(self, sequence: int, frame: int = 0) -> LabelledImage:
                image = np.full((200, 300, 3), 10 * sequence, np.uint8)
                labels = np.zeros((200, 300), np.uint8)
                labels[40:160, 150:153] = 1
                image[labels == 1] = 200
                return LabelledImage(str(sequence), sequence, image, labels, (1,))

        swift = changed(STILL, template=1, background=1, cut_out=1, swift=1)
        found = samples(synthetic(swift, Sticks()))
        assert all(sample["template_mask"].any() for sample in found)
        sides = np.array([sample["box_xyxy"][2:] - sample["box_xyxy"][:2] for sample in found])
        assert (sides > 1).all()

    def test_settings_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"negative is 1.5; it must be a number from 0 to 1"):
            SyntheticSettings(negative=1.5)
        with pytest.raises(ConfigError, match=r"night is 'x'; it must be a number from 0 to 1"):
            PhotometrySettings(night="x")  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"max_gap is 0; it must be a whole number from 1"):
            VideoSettings(max_gap=0)


_CHANCES = {"distractor", "occluder", "clutter", "border", "background", "negative", "companion"}


class TestPhotometry:
    def test_nothing_changes_without_strength(self) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        views = jitter_pair(rng, image, image[:20], SAME_LIGHT)
        np.testing.assert_array_equal(views[0], image)
        np.testing.assert_array_equal(views[1], image[:20])

    def test_the_camera_is_shared(self) -> None:
        """With no change of the moment, both views go through one table."""
        camera = changed(SAME_LIGHT, colour_shared=0.3)
        level = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
        for seed in range(10):
            one, other = jitter_pair(np.random.default_rng(seed), level, level, camera)
            np.testing.assert_array_equal(one, other)
            assert (one != level).any()

    @pytest.mark.parametrize("name", ["grey", "night", "far"])
    def test_both_views_or_none(self, name: str) -> None:
        image = cv2.resize(
            np.random.default_rng(1).integers(0, 255, (30, 30, 3), dtype=np.uint8), (60, 60)
        )
        half = changed(SAME_LIGHT, **{name: 0.5})
        seen = set()
        for seed in range(20):
            views = jitter_pair(np.random.default_rng(seed), image, image, half)
            one, other = ((view != image).any() for view in views)
            assert one == other
            seen.add(bool(one))
        assert seen == {False, True}


class TestVideoPairs:
    def pairs(self, settings: VideoSettings, **drawn: int) -> VideoPairs:
        return VideoPairs(Drawn(**drawn), NETWORK, settings, SAME_LIGHT)

    def test_the_same_object_on_another_frame(self) -> None:
        for sample in samples(self.pairs(changed(FIXED, max_gap=1)), 20):
            # Same sequence, same object: colours agree.
            template, search = sample["template"][63, 63], sample["search"][127, 127]
            np.testing.assert_array_equal(template, search)
            y, x = (v.mean() + 0.5 for v in np.nonzero(sample["mask"]))
            assert (x, y) == pytest.approx((127.5, 127.5), abs=1)

    @pytest.mark.parametrize(("gap", "reach"), [(1, 1), (3, 3), (99, 5)])
    def test_gaps(self, gap: int, reach: int) -> None:
        source = self.pairs(changed(FIXED, max_gap=gap), frames=6)
        rng = np.random.default_rng(0)
        gaps = []
        for _ in range(200):
            target, shown = source._two_frames(rng)
            assert target.source.sequence == shown.source.sequence
            assert target.value == shown.value
            gaps.append(
                int(shown.source.name.split("/")[1]) - int(target.source.name.split("/")[1])
            )
        assert 0 not in gaps and min(gaps) == -reach and max(gaps) == reach

    def test_gaps_count_frames_of_the_video(self) -> None:
        class Sparse(Drawn):
            frame_step = 5

        source = VideoPairs(Sparse(frames=9), NETWORK, changed(FIXED, max_gap=10), SAME_LIGHT)
        rng = np.random.default_rng(0)
        gaps = {
            int(shown.source.name[2:]) - int(target.source.name[2:])
            for target, shown in (source._two_frames(rng) for _ in range(100))
        }
        assert gaps == {-2, -1, 1, 2}

    def test_negative_pairs(self) -> None:
        for sample in samples(self.pairs(changed(FIXED, negative=1))):
            assert not sample["mask"].any() and not sample["weight"].any()
            assert (sample["template"][2, 63, 1] != sample["search"][2, 127, 1]).all()

    def test_outside_of_the_frame_is_the_border(self) -> None:
        loose = changed(FIXED, shift_sigma=0.3)
        source = VideoPairs(Drawn(), NETWORK, loose, PhotometrySettings(night=1))
        bordered = [(s["search"] == BORDER_BGR).all(2).any() for s in samples(source, 20)]
        assert any(bordered)

    def test_an_object_that_is_never_seen_twice(self) -> None:
        class Changing(Drawn):
            def read(self, sequence: int, frame: int = 0) -> LabelledImage:
                read = super().read(sequence, frame)
                labels = np.where(read.labels == 2, 10 + frame, 0).astype(np.uint8)
                return LabelledImage(read.name, sequence, read.image, labels, (10 + frame,))

        source = VideoPairs(Changing(), NETWORK, FIXED, SAME_LIGHT)
        with pytest.raises(DatasetError, match="drawn: no object of 256 px or more on two frames"):
            source.sample(np.random.default_rng(0))


class TestMixture:
    class Constant:
        def __init__(self, value: int) -> None:
            self.value = value

        def sample(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
            return {"value": np.array(self.value), "drawn": rng.random(1)}

    def test_weights(self) -> None:
        parts = [(self.Constant(k), weight) for k, weight in enumerate((1.0, 6.0, 3.0))]
        pairs = Mixture(parts, length=2000, seed=1)
        counts = np.bincount([int(pairs[i]["value"]) for i in range(len(pairs))]) / 2000
        np.testing.assert_allclose(counts, (0.1, 0.6, 0.3), atol=0.03)

    def test_a_sample_is_a_pure_function_of_seed_and_index(self, sources: DataConfig) -> None:
        a, b = (open_training(sources, NETWORK, length=30, seed=5) for _ in range(2))
        other = open_training(sources, NETWORK, length=30, seed=6)
        b[7]
        for index in (0, 3, 11, 3):
            first, second = a[index], b[index]
            assert first.keys() == second.keys()
            for key, value in first.items():
                np.testing.assert_array_equal(value, second[key], err_msg=key)
        assert (other[3]["search"] != a[3]["search"]).any()


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    drawn_sets.write_photos(tmp_path / "photos", [0, 1, 2, 3, 71, 72], bare=(3,))
    lists = {"train": ["bear", "bus"], "val": ["camel", "dog"]}
    drawn_sets.write_davis(tmp_path / "davis", lists)
    drawn_sets.write_youtube_vos(tmp_path / "youtube", ["0a", "1b"])
    drawn_sets.write_segtrack_v2(tmp_path / "segtrack")
    images = [
        {"id": n, "file_name": f"JPEGImages/photos/{n:05d}.jpg", "height": 48, "width": 64}
        for n in (0, 1, 71)
    ]
    square = [[20, 10, 50, 10, 50, 40, 20, 40]]
    annotations = [
        {"id": n, "image_id": one["id"], "category_id": 1, "segmentation": square}
        for n, one in enumerate(images)
    ]
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    return tmp_path


@pytest.fixture
def sources(folders: Path) -> DataConfig:
    listed = [
        {"kind": "photos", "root": str(folders / "photos"), "weight": 2},
        {"kind": "davis", "root": str(folders / "davis")},
        {"kind": "davis", "root": str(folders / "davis"), "pairs": "synthetic"},
        {"kind": "youtube_vos", "root": str(folders / "youtube"), "weight": 0.5},
        {"kind": "segtrack", "root": str(folders / "segtrack")},
        {"kind": "coco", "root": str(folders / "photos"),
         "annotations": str(folders / "coco.json")},
    ]  # fmt: skip
    return data_config({"sources": listed, "video": {"max_gap": 20}}, "x.yaml, data")


class TestConfig:
    def test_all_kinds(self, sources: DataConfig) -> None:
        assert sources.video.max_gap == 20 and sources.synthetic == SyntheticSettings()
        pairs = open_training(sources, NETWORK, length=60, seed=1)
        kinds = [type(source).__name__ for source in pairs._sources]
        assert kinds == [
            "SyntheticPairs", "VideoPairs", "SyntheticPairs", "VideoPairs", "VideoPairs",
            "SyntheticPairs",
        ]  # fmt: skip
        shapes = {pairs[i]["search"].shape for i in range(60)}
        assert shapes == {(255, 255, 3)}

    def test_validation_is_held_out_of_training(self, sources: DataConfig) -> None:
        held = open_validation(sources)
        assert [held.name(i) for i in range(len(held))] == ["00071", "00072"]
        for source in sources.sources:
            reader = open_reader(source)
            assert not any("0007" in reader.name(i) for i in range(len(reader)))
        with pytest.raises(DatasetError, match="davis has no validation side"):
            open_reader(sources.sources[1], validation=True)
        with pytest.raises(DatasetError, match=r"sources has no photographs \(photos, coco\)"):
            open_validation(DataConfig(sources.sources[1:2]))

    def test_videos_are_held_out_of_every_kind_of_pairs(self, folders: Path) -> None:
        place = {"kind": "davis", "root": str(folders / "davis"), "hold_out": 2}
        data = data_config({"sources": [place, {**place, "pairs": "synthetic"}]}, "data")
        for source in data.sources:
            reader = open_reader(source)
            assert [reader.name(i) for i in range(len(reader))] == ["bear"]
        (held,) = open_validation_videos(data)
        assert [held.name(i) for i in range(len(held))] == ["bus"]
        assert open_validation_videos(DataConfig((SourceConfig("davis", place["root"]),))) == []

    def test_evaluation_data_is_refused(self, folders: Path) -> None:
        root = str(folders / "davis")
        with pytest.raises(
            DatasetError, match="camel is a sequence of DAVIS val, never trained on"
        ):
            SourceConfig("davis", root, sequences=("bear", "camel"))
        # An edited list.
        (folders / "davis/ImageSets/2017/train.txt").write_text("bear\ndog\n")
        with pytest.raises(DatasetError, match="dog is a sequence of DAVIS val, never trained on"):
            open_reader(SourceConfig("davis", root))
        # A copy without lists.
        for path in (folders / "davis/ImageSets/2017").iterdir():
            path.unlink()
        (folders / "davis/ImageSets/2017").rmdir()
        (folders / "davis/ImageSets").rmdir()
        with pytest.raises(DatasetError, match=r"(dog|camel) is a sequence of DAVIS val"):
            open_reader(SourceConfig("davis", root))
        # A conversion to COCO, from its root or from a folder inside.
        for start, prefix in (
            ("davis", "JPEGImages/480p/camel/"),
            ("davis/JPEGImages", "480p/camel/"),
        ):
            coco = json.loads((folders / "coco.json").read_text())
            coco["images"][0]["file_name"] = f"{prefix}00000.jpg"
            (folders / "val.json").write_text(json.dumps(coco))
            source = SourceConfig(
                "coco", str(folders / start), annotations=str(folders / "val.json")
            )
            with pytest.raises(DatasetError, match="camel is a sequence of DAVIS val"):
                open_reader(source)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda d: d.pop("sources"), r"x.yaml: the key 'sources' is missing"),
            (lambda d: d.update(sources=[]), r"x.yaml: sources is empty"),
            (lambda d: d.update(sources=3), r"x.yaml, sources: is 3; it must be a list"),
            (lambda d: d.update(speed=3), r"x.yaml: unknown key 'speed'; allowed: sources"),
            (lambda d: d.update(cache_mb=-1), r"x.yaml: cache_mb is -1; it must be"),
            (lambda d: d.update(video={"gap": 3}), r"x.yaml, video: unknown key 'gap'; allowed"),
            (lambda d: d.update(synthetic={"bend": 3}), r"x.yaml, synthetic: bend is 3; it must"),
            (lambda d: d["sources"][0].update(kind="x"), r"sources, 1: kind 'x' is not one of"),
            (lambda d: d["sources"][0].update(root=""), r"sources, 1: root of photos is empty"),
            (lambda d: d["sources"][0].pop("root"), r"sources, 1: root of photos is empty"),
            (lambda d: d["sources"][0].update(weight=0), r"sources, 1: weight is 0; it must be"),
            (lambda d: d["sources"][0].update(root=3), r"sources, 1: root is 3; it must be text"),
            (lambda d: d["sources"][0].update(pairs="video"), r"pairs 'video' of photos is not"),
            (lambda d: d["sources"][0].update(annotations="x"), r"it belongs to coco alone"),
            (lambda d: d["sources"][0].update(sequences=["x"]), r"it belongs to davis alone"),
            (lambda d: d["sources"][1].update(sequences="x"), r"it must be a list of names"),
            (lambda d: d["sources"][1].update(sequences=["dog"]), r"dog is a sequence of DAVIS"),
            (
                lambda d: d["sources"][1].update(year=2018),
                r"year is 2018; it must be a whole",
            ),
            (lambda d: d["sources"][1].update(hold_out=1), r"hold_out of davis is 1; it must be 0"),
            (lambda d: d["sources"][0].update(hold_out=5), r"hold_out of photos is 5; it must be"),
            (lambda d: d["sources"][1].update(hold_out=-1), r"hold_out is -1; it must be a whole"),
            (lambda d: d["sources"][1].update(kind="coco"), r"coco is ''; it must be a JSON file"),
        ],
    )
    def test_refused_in_one_line(
        self, change: Callable[[dict[str, Any]], object], words: str
    ) -> None:
        values = {
            "sources": [{"kind": "photos", "root": "a"}, {"kind": "davis", "root": "b"}],
        }
        change(values)
        with pytest.raises((ConfigError, DatasetError), match=words) as caught:
            data_config(values, "x.yaml")
        assert "\n" not in str(caught.value)


class TestPreview:
    def test_sheet(self) -> None:
        shown = samples(synthetic(SyntheticSettings()), 7)
        sheet = contact_sheet(shown, NETWORK.stride)
        assert sheet.shape == (2 * 261 + 6, 4 * (127 + 6 + 255 + 6) + 6, 3)

    def test_targets_are_drawn_where_they_are(self) -> None:
        (sample,) = samples(synthetic(STILL), 1)
        drawn = draw_search(sample, NETWORK.stride)
        assert drawn is not sample["search"]
        ys, xs = np.nonzero((drawn != sample["search"]).any(2))
        rows, columns = np.nonzero(sample["mask"])
        assert abs(xs.min() - columns.min()) <= 3 and abs(xs.max() - columns.max()) <= 3
        assert abs(ys.min() - rows.min()) <= 3 and abs(ys.max() - rows.max()) <= 3
        lone = {**sample, "mask": np.zeros_like(sample["mask"])}
        framed = draw_search(lone, NETWORK.stride)
        assert (framed[0] == framed[0, 0]).all() and (
            framed[2:-2, 2:-2] == lone["search"][2:-2, 2:-2]
        ).all()
