"""Data sets: every layout gives the same images and masks, and what is damaged is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("pycocotools")
from pycocotools import mask as coco_mask

from siampolar_model.errors import DatasetError
from siampolar_training.data.readers.base import LabelledImage, Reader
from siampolar_training.data.readers.coco import Coco
from siampolar_training.data.readers.davis import VAL, Davis, refuse_val, sequence_of
from siampolar_training.data.readers.holdout import held_out
from siampolar_training.data.readers.photos import Photos
from siampolar_training.data.readers.preloaded import preload
from siampolar_training.data.readers.segtrack import SegTrack
from siampolar_training.data.readers.youtube_vos import YouTubeVos
from support import drawn_sets


def names(reader: Reader) -> list[str]:
    return [reader.name(i) for i in range(len(reader))]


def assert_drawn(read: LabelledImage, index: int) -> None:
    image, labels = drawn_sets.frame(index)
    assert read.labels is not None and read.image.shape == image.shape
    np.testing.assert_array_equal(read.labels, labels)
    assert np.abs(read.image.astype(int) - image).mean() < 12  # JPEG
    assert read.objects == tuple(v for v in (1, 2) if (labels == v).any())
    for value in read.objects:
        np.testing.assert_array_equal(read.mask(value), (labels == value) * 255)


class TestDavis:
    def test_2017_keeps_indices_apart(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear", "boat"], "val": ["camel"]})
        reader = Davis(root)
        assert names(reader) == ["bear", "boat"] and reader.frames(1) == 3
        # Object 2 alone, then both: colours of a palette, counted by image, would swap them.
        for index in range(3):
            assert_drawn(reader.read(1, index), index)
        assert reader.read(0, 2).name == "bear/00002"

    def test_void_is_background(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear"]})
        labels = drawn_sets.frame(0)[1]
        labels[:4] = 255
        drawn_sets.write_index(root / "Annotations/480p/bear/00000.png", labels)
        assert Davis(root).read(0, 0).objects == (2,)

    def test_2016_has_one_object(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear", "bus"]}, year=2016)
        reader = Davis(root, year=2016)
        assert names(reader) == ["bear", "bus"]
        read = reader.read(1, 1)
        assert read.objects == (1,)
        np.testing.assert_array_equal(read.mask(1) > 0, drawn_sets.frame(1)[1] > 0)

    def test_other_folders(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["b", "a"]})
        assert names(Davis(root, split=None)) == ["a", "b"]
        assert names(Davis(root, sequences=["a"])) == ["a"]

    def test_some_sequences_are_held_out_whole(self, tmp_path: Path) -> None:
        root = drawn_sets.write_davis(tmp_path, {"train": ["e", "b", "d", "a", "c"]})
        sides = []
        for validation in (False, True):
            reader = Davis(root)
            reader.keep_side(2, validation=validation)
            sides.append(names(reader))
        # Every second by name, whatever their order is.
        assert sides == [["e", "a", "c"], ["b", "d"]]
        reader = Davis(root)
        with pytest.raises(
            DatasetError, match=r"none of 5 sequences is on the validation side; of"
        ):
            reader.keep_side(6, validation=True)

    def test_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"JPEGImages/480p: no such folder; expected JPEGI"):
            Davis(tmp_path)
        root = drawn_sets.write_davis(tmp_path, {"train": ["bear"]})
        with pytest.raises(DatasetError, match=r"2017/val.txt: no such list of DAVIS 2017; exp"):
            Davis(root, split="val")
        with pytest.raises(DatasetError, match=r"480p/train.txt: no such list of DAVIS 2016"):
            Davis(root, year=2016)
        with pytest.raises(
            DatasetError, match=r"480p/cat: no such folder; expected JPEGImages/480p"
        ):
            Davis(root, sequences=["cat"])
        mask = root / "Annotations/480p/bear/00001.png"
        for content, words in (
            (np.zeros((5, 5), np.uint8), r"00001.png: is 5x5 px; its image is 64x48"),
            (np.zeros((48, 64), np.uint16), r"00001.png: has .* values; a mask has 8 bits"),
            (drawn_sets.frame(1)[0], r"00001.png: has several colours"),
        ):
            drawn_sets.write_image(mask, content)
            with pytest.raises(DatasetError, match=words):
                Davis(root).read(0, 1)
        mask.write_bytes(b"nothing")
        with pytest.raises(DatasetError, match=r"00001.png: not a readable image"):
            Davis(root).read(0, 1)
        mask.unlink()
        with pytest.raises(DatasetError, match=r"Annotations/480p/bear: no mask for .*00001.jpg"):
            Davis(root)
        (root / "JPEGImages/480p/bear/00000.jpg").write_bytes(b"nothing")
        with pytest.raises(DatasetError, match=r"00000.jpg: not a readable image"):
            _restored(root).read(0)

    def test_val_is_refused_by_name(self, tmp_path: Path) -> None:
        assert len(VAL) == 30
        refuse_val(["bear", "drift-turn"], tmp_path)
        with pytest.raises(DatasetError, match=r"camel is a sequence of DAVIS val, never trained"):
            refuse_val(["bear", "camel"], tmp_path)
        assert sequence_of(Path("/x/JPEGImages/480p/camel/00000.jpg")) == "camel"
        assert sequence_of(Path("train2017/JPEGImages/dog/000.jpg")) == ""


def _restored(root: Path) -> Davis:
    drawn_sets.write_index(root / "Annotations/480p/bear/00001.png", drawn_sets.frame(1)[1])
    return Davis(root)


class TestYouTubeVos:
    def test_frames_and_categories(self, tmp_path: Path) -> None:
        root = drawn_sets.write_youtube_vos(tmp_path, ["0a", "1b", "2c"])
        for reader in (YouTubeVos(root), YouTubeVos(root / "train")):
            assert names(reader) == ["0a", "1b", "2c"] and reader.frame_step == 5
            for index in range(3):
                assert_drawn(reader.read(0, index), index)
        read = reader.read(0, 1)
        assert read.categories == {1: "cat", 2: "ape"}
        assert list(reader.similar(read, 1)) == [0, 1, 2]
        assert list(reader.similar(read, 2)) == [0, 2]

    def test_frames_without_masks_are_left_out(self, tmp_path: Path) -> None:
        root = drawn_sets.write_youtube_vos(tmp_path, ["0a"])
        drawn_sets.write_image(root / "train/JPEGImages/0a/00001.jpg", drawn_sets.frame(0)[0])
        reader = YouTubeVos(root)
        assert [reader.read(0, i).name for i in range(reader.frames(0))] == [
            "0a/00000", "0a/00005", "0a/00010",
        ]  # fmt: skip

    def test_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"JPEGImages: no such folder; expected train/meta"):
            YouTubeVos(tmp_path)
        root = drawn_sets.write_youtube_vos(tmp_path, ["0a"])
        meta = root / "train" / "meta.json"
        (root / "train/JPEGImages/0a/00005.jpg").unlink()
        with pytest.raises(DatasetError, match=r"JPEGImages/0a: no image for the mask 00005 of"):
            YouTubeVos(root)
        for text in ("{", "[]", '{"videos": {"0a": {}}}', '{"videos": {"0a": {"objects": 1}}}'):
            meta.write_text(text)
            with pytest.raises(DatasetError, match=r"meta.json: damaged; it must hold videos"):
                YouTubeVos(root)
        meta.unlink()
        with pytest.raises(DatasetError, match=r"meta.json: no such file; expected train/meta"):
            YouTubeVos(root)


class TestSegTrack:
    def test_first_version_matches_by_number(self, tmp_path: Path) -> None:
        reader = SegTrack(drawn_sets.write_segtrack(tmp_path))
        assert names(reader) == ["girl", "penguin"]
        for index in range(11):  # 10.bmp comes after 9.bmp
            labels = drawn_sets.frame(index)[1]
            for sequence in (0, 1):
                read = reader.read(sequence, index)
                np.testing.assert_array_equal(read.mask(1) > 0, labels == 2)

    def test_second_version_keeps_objects_apart(self, tmp_path: Path) -> None:
        reader = SegTrack(drawn_sets.write_segtrack_v2(tmp_path))
        assert names(reader) == ["bmx", "frog"]
        image, labels = drawn_sets.frame(2)
        read = reader.read(0, 2)
        np.testing.assert_array_equal(read.image, image)
        assert read.objects == (1, 2) and reader.read(1, 2).objects == (1,)
        np.testing.assert_array_equal(read.mask(1) > 0, labels == 1)
        # Half white is the disc again, up to the pixels that the blur moved.
        assert ((read.mask(2) > 0) != (labels == 2)).sum() < 12

    def test_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"nowhere: no such folder; expected SEQUENCE"):
            SegTrack(tmp_path / "nowhere")
        with pytest.raises(DatasetError, match=r": no sequences; expected SEQUENCE"):
            SegTrack(tmp_path)
        first = drawn_sets.write_segtrack(tmp_path / "1")
        (first / "girl/ground-truth/3.bmp").unlink()
        with pytest.raises(DatasetError, match=r"girl: 11 images and 10 masks; expected SEQUENCE"):
            SegTrack(first)
        second = drawn_sets.write_segtrack_v2(tmp_path / "2")
        broken = second / "GroundTruth/bmx/2/bmx_06669.png"
        broken.write_bytes(b"nothing")
        with pytest.raises(DatasetError, match=r"bmx_06669.png: not a readable image"):
            SegTrack(second).read(0, 1)
        broken.unlink()
        with pytest.raises(DatasetError, match=r"GroundTruth/bmx/2: no mask for .*bmx_06669.bmp"):
            SegTrack(second)


class TestPhotos:
    def test_both_sides(self, tmp_path: Path) -> None:
        root = drawn_sets.write_photos(tmp_path, [0, 1, 3, 69, 70, 79, 80, 270], bare=(3,))
        training, validation = Photos(root), Photos(root, validation=True)
        assert names(training) == ["00000", "00001", "00003", "00069", "00080"]
        assert names(validation) == ["00070", "00079"] + ["00270"] * held_out(270)
        assert list(training.annotated) == [0, 1, 3, 4]
        assert_drawn(training.read(1), 2)
        bare = training.read(2)
        assert bare.labels is None and bare.objects == () and not bare.mask(1).any()

    def test_one_run_in_twenty_is_held_out(self) -> None:
        held = [n for n in range(2000) if held_out(n)]
        assert len(held) == 100 and {n // 10 for n in held} == {7 + 20 * k for k in range(10)}

    def test_neighbours_are_alike(self, tmp_path: Path) -> None:
        root = drawn_sets.write_photos(tmp_path, [0, 1, 2, 3, 9, 30], bare=(2,))
        reader = Photos(root)
        assert [reader.name(i) for i in reader.similar(reader.read(1), 1)] == ["00000", "00003"]
        assert not reader.similar(reader.read(5), 1)

    def test_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"no photographs in .*expected JPEGImages/photos"):
            Photos(tmp_path)
        root = drawn_sets.write_photos(tmp_path, [5])
        with pytest.raises(DatasetError, match="none of 1 photographs is on the validation side"):
            Photos(root, validation=True)
        image = root / "JPEGImages/photos/00005.jpg"
        image.rename(image.with_name("cat.jpg"))
        with pytest.raises(DatasetError, match=r"cat.jpg must be named by its number, as JPEG"):
            Photos(root)


class TestCoco:
    """Polygons, both kinds of run lengths, a crowd and a box without an outline."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[Path, Path]:
        images = tmp_path / "images"
        for name in ("a", "b", "held", "plain"):
            drawn_sets.write_image(images / f"{name}.jpg", drawn_sets.frame(1)[0])
        mask = np.asfortranarray((drawn_sets.frame(1)[1] == 2).astype(np.uint8))
        packed = coco_mask.encode(mask)
        runs = _runs(mask)
        square = [[4, 4, 24, 4, 24, 24, 4, 24]]
        small = [[10, 10, 16, 10, 16, 16, 10, 16], [40, 30, 50, 30, 50, 40, 40, 40]]
        line = [20, 20, 30, 25]  # no outline
        data = {
            "images": [
                {"id": n, "file_name": f"{name}.jpg", "height": 48, "width": 64}
                for n, name in ((12, "b"), (3, "a"), (71, "held"), (4, "plain"))
            ],
            "categories": [{"id": 9, "name": "thing"}, {"id": 4, "name": "animal"}],
            "annotations": [
                {"id": 1, "image_id": 12, "category_id": 4,
                 "segmentation": {"size": [48, 64], "counts": packed["counts"].decode()}},
                {"id": 2, "image_id": 3, "category_id": 9, "segmentation": [line, *small]},
                {"id": 3, "image_id": 3, "category_id": 4, "segmentation": square},
                {"id": 4, "image_id": 3, "category_id": 4, "iscrowd": 1,
                 "segmentation": {"size": [48, 64], "counts": [0, 3072]}},
                {"id": 5, "image_id": 71, "category_id": 4,
                 "segmentation": {"size": [48, 64], "counts": runs}},
                {"id": 6, "image_id": 12, "category_id": 9, "segmentation": []},
                {"id": 7, "image_id": 4, "category_id": 9, "segmentation": [line]},
            ],
        }  # fmt: skip
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(data))
        return path, images

    def test_masks(self, files: tuple[Path, Path]) -> None:
        reader = Coco(*files)
        assert names(reader) == ["a.jpg", "plain.jpg", "b.jpg"]
        assert list(reader.annotated) == [0, 2]
        read = reader.read(0)
        assert read.categories == {1: "thing", 2: "animal"} and read.objects == (1, 2)
        # The smaller object lies in front of the larger one; it has two parts.
        assert (read.mask(1) > 0).sum() == 6 * 6 + 10 * 10
        assert (read.mask(2) > 0).sum() == 20 * 20 - 6 * 6
        assert read.mask(1)[10, 10] and read.mask(1)[39, 49] and not read.mask(1)[40, 50]
        disc = drawn_sets.frame(1)[1] == 2
        np.testing.assert_array_equal(reader.read(2).mask(1) > 0, disc)
        assert reader.read(1).labels is None
        held = Coco(*files, validation=True).read(0)
        assert held.name == "held.jpg"
        np.testing.assert_array_equal(held.mask(1) > 0, disc)
        assert len(Coco(*files, validation=None)) == 4

    def test_similar_images_share_the_category(self, files: tuple[Path, Path]) -> None:
        reader = Coco(*files)
        read = reader.read(0)
        assert list(reader.similar(read, 1)) == [0] and list(reader.similar(read, 2)) == [0, 2]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda d: d.pop("images"), r"instances.json: damaged \(KeyError: 'images'\); expec"),
            (lambda d: d["images"][0].pop("height"), "damaged"),
            (lambda d: d["annotations"][0].update(image_id=99), "annotation 1 is of no known"),
            (lambda d: d["annotations"][0].update(category_id=99), "annotation 1 is of no known"),
            (lambda d: d.update(annotations=[]), "no instances with an outline; expected a JSON"),
            (lambda d: d.update(images=d["images"][2:3]), "none of 1 photographs is on the train"),
        ],
    )
    def test_refused(self, files: tuple[Path, Path], change: Any, words: str) -> None:
        data = json.loads(files[0].read_text())
        change(data)
        files[0].write_text(json.dumps(data))
        with pytest.raises(DatasetError, match=words):
            Coco(*files)

    def test_damaged_files(self, files: tuple[Path, Path]) -> None:
        path, images = files
        with pytest.raises(DatasetError, match=r"nowhere: no such folder; expected a JSON file"):
            Coco(path, images / "nowhere")
        with pytest.raises(DatasetError, match=r"x.json: no such file; expected a JSON file"):
            Coco(path.with_name("x.json"), images)
        for segmentation, words in (
            ([[1, 2, 3, 4, 5, 6, 7]], r"a polygon has 7 numbers"),
            ({"size": [9, 9], "counts": [81]}, r"of size \[9, 9\]; the image is \[48, 64\]"),
            ({"size": [48, 64]}, r"run lengths must be text or whole numbers"),
        ):
            data = json.loads(path.read_text())
            data["annotations"][1]["segmentation"] = segmentation
            changed = path.with_name("changed.json")
            changed.write_text(json.dumps(data))
            with pytest.warns(UserWarning, match=words):
                Coco(changed, images)
        (images / "a.jpg").unlink()
        with pytest.raises(DatasetError, match=r"images/a.jpg: No such file"):
            Coco(path, images).read(0)
        for text in ("{", "[" * 9000):
            path.write_text(text)
            with pytest.raises(DatasetError, match=r"instances.json: damaged"):
                Coco(path, images)


def _runs(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths, column by column, the first one of zeros."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    return np.diff([0, *edges.tolist(), len(flat)]).tolist()


class TestPreload:
    class Counting(Photos):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            self.decoded: list[int] = []

        def read(self, sequence: int, frame: int = 0) -> LabelledImage:
            self.decoded.append(sequence)
            return super().read(sequence, frame)

    def test_what_fits_is_decoded_once(self, tmp_path: Path) -> None:
        reader = self.Counting(drawn_sets.write_photos(tmp_path, [0, 1, 2, 3], bare=(3,)))
        kept, used_bytes = preload(reader, 10**6)
        assert used_bytes == sum(reader.read(i).nbytes for i in range(4))
        reader.decoded.clear()
        for sequence in (3, 0, 0, 2):
            read = kept.read(sequence)
            np.testing.assert_array_equal(read.image, Photos(tmp_path).read(sequence).image)
        assert not reader.decoded
        assert names(kept) == names(reader) and kept.frames(1) == 1
        assert list(kept.annotated) == [0, 1, 2] and kept.root == reader.root
        assert kept.similar(kept.read(0), 1) == reader.similar(reader.read(0), 1)

    def test_videos(self, tmp_path: Path) -> None:
        reader = YouTubeVos(drawn_sets.write_youtube_vos(tmp_path, ["0a", "1b"]))
        kept, _ = preload(reader, 10**6)
        assert kept.frames(1) == 3 and kept.frame_step == 5
        assert_drawn(kept.read(1, 2), 2)

    @pytest.mark.parametrize(("images", "decoded"), [(1.9, 1), (3.9, 5)])
    def test_what_does_not_fit_is_decoded_when_drawn(
        self, tmp_path: Path, images: float, decoded: int
    ) -> None:
        reader = self.Counting(drawn_sets.write_photos(tmp_path, [0, 1, 2, 3]))
        max_bytes = int(images * Photos(tmp_path).read(0).nbytes)
        kept, used_bytes = preload(reader, max_bytes)
        assert kept is reader and used_bytes == 0
        assert len(reader.decoded) == decoded

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        drawn_sets.write_photos(tmp_path, range(9))
        (tmp_path / "JPEGImages/photos/00005.jpg").write_bytes(b"\xff\xd8\xff damaged")
        with pytest.raises(DatasetError, match=r"photos/00005.jpg: not a readable image"):
            preload(Photos(tmp_path), 10**6)


def test_photographs_and_davis_need_neither_pycocotools_nor_av(tmp_path: Path) -> None:
    photos = drawn_sets.write_photos(tmp_path / "photos", [0, 1])
    davis = drawn_sets.write_davis(tmp_path / "davis", {"train": ["bear"]})
    child = (
        "import sys; sys.modules['av'] = sys.modules['pycocotools'] = None\n"
        "from siampolar_training.data.config import SourceConfig, open_reader\n"
        "for kind, root in (('photos', sys.argv[1]), ('davis', sys.argv[2])):\n"
        "    reader = open_reader(SourceConfig(kind, root))\n"
        "    print(reader.name(0), reader.read(0).objects)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", child, photos, davis], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "00000 (1, 2)\nbear (2,)\n"


def test_a_large_set_stays_small_in_memory(tmp_path: Path) -> None:
    """Many annotated images: what a reader holds is about the size of its JSON file."""
    import tracemalloc

    count = 10_000
    polygon = [[float(v) for v in range(20)]]
    data = {
        "images": [
            {"id": 1000 * i, "file_name": f"{i:012d}.jpg", "height": 48, "width": 64}
            for i in range(count)
        ],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": i, "image_id": 1000 * i, "category_id": 1, "segmentation": polygon}
            for i in range(count)
        ],
    }
    path = tmp_path / "large.json"
    path.write_text(json.dumps(data))
    del data
    tracemalloc.start()
    reader = Coco(path, tmp_path, validation=None)
    held_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(reader) == count and held_bytes < 1.2 * path.stat().st_size
