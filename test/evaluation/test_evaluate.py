"""Scoring a tracker on a small data set in DAVIS layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from siampolar_model.errors import DatasetError
from siampolar_model.evaluation.davis import find_sequences
from siampolar_model.evaluation.evaluate import evaluate, evaluate_masks, score_frame, warm_up
from siampolar_model.evaluation.metrics import (
    boundary_accuracy,
    region_similarity,
    sequence_statistics,
)
from siampolar_model.evaluation.plot import plot_frames
from siampolar_model.evaluation.scores import MaskDatasetScores, summarize_masks
from siampolar_model.geometry.box import Box
from siampolar_model.io.video import VideoReader
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from support.blob_engine import BlobEngine

WIDTH, HEIGHT = 320, 200


def draw_pair(index: int, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """A red disc that moves over a noisy grey background, and its mask."""
    rng = np.random.default_rng(index)
    image = rng.integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    if radius:
        center = (80 + 6 * index, 100 + 2 * index)
        cv2.circle(image, center, radius, (30, 30, 220), cv2.FILLED)
        # Two labels: together they are the one object.
        cv2.circle(mask, center, radius, 2, cv2.FILLED)
        cv2.circle(mask, center, radius // 2, 1, cv2.FILLED)
    return image, mask


def write_sequence(root: Path, name: str, radii: list[int]) -> None:
    images, masks = root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, radius in enumerate(radii):
        image, mask = draw_pair(index, radius)
        cv2.imwrite(str(images / f"{index:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
        cv2.imwrite(str(masks / f"{index:05d}.png"), mask)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """``ball`` stays in sight for 8 frames; ``gone`` vanishes after 6 of 16."""
    root = tmp_path / "davis"
    write_sequence(root, "ball", [25] * 8)
    write_sequence(root, "gone", [25] * 6 + [0] * 10)
    return root


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(BlobEngine(), TrackerSettings(lost_frames=3))


class TestFindSequences:
    def test_folders(self, dataset: Path) -> None:
        found = find_sequences(dataset)
        assert [one.name for one in found] == ["ball", "gone"]
        assert [path.name for path in found[0].images][:2] == ["00000.jpg", "00001.jpg"]
        assert [path.name for path in found[0].masks][:2] == ["00000.png", "00001.png"]

    @pytest.mark.parametrize(
        "text",
        [
            "gone\n",
            "gone",
            # DAVIS-2016 lists every frame's files.
            "/JPEGImages/480p/gone/00000.jpg /Annotations/480p/gone/00000.png\n"
            "/JPEGImages/480p/gone/00001.jpg /Annotations/480p/gone/00001.png\n",
        ],
    )
    @pytest.mark.parametrize("folder", ["480p", "2016"])  # of the releases of 2016 and 2017
    def test_validation_list(self, dataset: Path, text: str, folder: str) -> None:
        lists = dataset / "ImageSets" / folder
        lists.mkdir(parents=True)
        (lists / "val.txt").write_text(text)
        assert [one.name for one in find_sequences(dataset)] == ["gone"]
        assert [one.name for one in find_sequences(dataset, ["ball"])] == ["ball"]

    def test_errors_name_path_and_layout(self, dataset: Path, tmp_path: Path) -> None:
        layout = r"expected JPEGImages/480p/SEQUENCE/00000.jpg and Annotations/480p/"
        with pytest.raises(DatasetError, match=rf"nowhere: no such folder; {layout}"):
            find_sequences(tmp_path / "nowhere")
        with pytest.raises(DatasetError, match=rf"JPEGImages/480p: no such folder; {layout}"):
            find_sequences(tmp_path)
        with pytest.raises(DatasetError, match=rf"480p/cat: no such folder; {layout}"):
            find_sequences(dataset, ["cat"])
        gone = dataset / "Annotations" / "480p" / "gone"
        (gone / "00003.png").rename(gone / "00099.png")
        with pytest.raises(DatasetError, match=rf"480p/gone: no mask for 00003.jpg; {layout}"):
            find_sequences(dataset)
        (dataset / "JPEGImages/480p/gone/00003.jpg").unlink()
        with pytest.raises(DatasetError, match="gone: 16 masks for 15 images; no image for 00099"):
            find_sequences(dataset)
        for kind in ("JPEGImages", "Annotations"):
            shutil.rmtree(dataset / kind / "480p")
            (dataset / kind / "480p").mkdir()
        with pytest.raises(DatasetError, match=rf"Annotations/480p: no sequences; {layout}"):
            find_sequences(dataset)

    def test_too_few_frames(self, tmp_path: Path) -> None:
        write_sequence(tmp_path, "short", [20, 20])
        with pytest.raises(DatasetError, match="2 images; a sequence needs at least 3"):
            find_sequences(tmp_path)


class TestScoreFrame:
    box = Box(10, 10, 30, 30)

    def mask(self, box: Box | None) -> np.ndarray:
        mask = np.zeros((50, 60), np.uint8)
        if box is not None:
            mask[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = 255
        return mask

    def test_a_quarter_of_the_object(self) -> None:
        score = score_frame(
            self.mask(Box(10, 10, 50, 50)), self.box, self.mask(self.box), lost=False
        )
        assert np.count_nonzero(score.pred) == 400 and score.j == score.box_iou == 0.25

    def test_lost(self) -> None:
        seen = score_frame(self.mask(self.box), self.box, self.mask(self.box), lost=True)
        assert (seen.j, seen.box_iou) == (0, 0) and not seen.pred.any()
        gone = score_frame(self.mask(None), self.box, self.mask(self.box), lost=True)
        assert (gone.j, gone.box_iou) == (1, None)

    def test_not_lost_on_an_object_out_of_sight(self) -> None:
        score = score_frame(self.mask(None), self.box, self.mask(self.box), lost=False)
        assert (score.j, score.box_iou) == (0, None)


class TestEvaluate:
    def test_a_followed_object_scores_high(self, dataset: Path, tracker: Tracker) -> None:
        sequence = find_sequences(dataset)[0]
        scores = evaluate_masks(tracker, sequence)
        assert tracker.ids == ()
        assert len(scores.j) == len(scores.f) == len(scores.box_iou) == 8
        assert len(scores.track_s) == 7
        summary = scores.scores()
        assert summary.J_mean > 0.9 and summary.F_mean > 0.9
        assert summary.box_iou_mean is not None and summary.box_iou_mean > 0.85
        assert summary.frames == 8 and summary.lost_frames == 0
        assert summary.J_mean == pytest.approx(np.mean(scores.j[1:-1]))

    def test_first_frame_is_the_given_box(self, dataset: Path, tracker: Tracker) -> None:
        scores = evaluate_masks(tracker, find_sequences(dataset)[0])
        assert scores.box_iou[0] == 1
        mask = draw_pair(0, 25)[1] > 0
        assert scores.j[0] == pytest.approx(mask.sum() / 51**2)  # a disc in its box

    def test_lost_means_an_empty_mask(self, dataset: Path, tracker: Tracker) -> None:
        scores = evaluate_masks(tracker, find_sequences(dataset)[1])
        assert scores.box_iou[6:] == (None,) * 10  # no object, no box to compare with
        first_lost = scores.lost.index(True)
        assert first_lost == 8  # the third frame without it
        assert scores.j[6:8] == (0, 0)  # uncertain: its outline still counts, and is wrong
        assert scores.j[8:] == (1,) * 8 and scores.f[8:] == (1,) * 8
        assert scores.scores().lost_frames == 8

    def test_lost_on_a_visible_object_costs(self, dataset: Path) -> None:
        class Blind(BlobEngine):
            def search(self, slots, crops, prior):  # type: ignore[no-untyped-def]
                return super().search(slots, np.zeros_like(crops), prior)

        tracker = Tracker(Blind(), TrackerSettings(lost_frames=1))
        scores = evaluate_masks(tracker, find_sequences(dataset)[0])
        assert scores.lost[1:] == (True,) * 7
        assert scores.j[1:] == (0,) * 7 and scores.box_iou[1:] == (0,) * 7

    def test_scores_are_the_mean_over_sequences(self, dataset: Path, tracker: Tracker) -> None:
        sequences = find_sequences(dataset)
        warm_up(tracker, sequences)
        assert tracker.ids == ()
        frames = [evaluate_masks(tracker, one) for one in sequences]
        result = summarize_masks(frames)
        fields = result.to_dict()
        json.dumps(fields, allow_nan=False)
        per = result.sequences
        assert list(per) == ["ball", "gone"]
        for key in ("J_mean", "J_recall", "J_decay", "F_mean", "F_recall", "F_decay"):
            both = [getattr(one, key) for one in per.values()]
            assert getattr(result, key) == fields[key] == pytest.approx(np.mean(both))
        assert per["gone"].J_decay == pytest.approx(sequence_statistics(frames[1].j).decay)
        assert fields["sequences"]["gone"]["J_decay"] == per["gone"].J_decay
        times = np.concatenate([one.track_s for one in frames])
        assert result.fps == pytest.approx(1 / np.median(times))
        assert result.frames == 24
        assert "skipped" not in fields and "late_frames" not in fields

    def test_one_call(self, dataset: Path, tracker: Tracker) -> None:
        seen: list[str] = []
        result = evaluate(tracker, dataset, on_sequence=seen.append)
        assert isinstance(result, MaskDatasetScores) and seen == ["ball", "gone"]
        alone = evaluate(tracker, dataset, ["gone"])
        assert isinstance(alone, MaskDatasetScores)
        assert alone.J_mean == result.sequences["gone"].J_mean

    def test_a_damaged_sequence_costs_only_itself(self, dataset: Path, tracker: Tracker) -> None:
        """One is found before work starts, one on the way."""
        write_sequence(dataset, "bad", [25] * 5)
        write_sequence(dataset, "late", [0, 25, 25, 25])
        picture = dataset / "JPEGImages/480p/bad/00003.jpg"
        cv2.imwrite(str(picture), np.zeros((50, 60, 3), np.uint8))
        result = evaluate(tracker, dataset)
        assert isinstance(result, MaskDatasetScores)
        assert list(result.sequences) == ["ball", "gone"]
        reasons = {one.name: one.reason for one in result.skipped}
        assert "late/00000.png: the first mask of a sequence is empty" in reasons["late"]
        assert "bad/00003.png: is 320x200 px; its image is 60x50" in reasons["bad"]
        assert result.to_dict()["skipped"] == reasons
        with pytest.raises(DatasetError, match="the first mask of a sequence is empty"):
            evaluate(tracker, dataset, ["late"])

    def test_no_box_to_compare_with(self, tmp_path: Path, tracker: Tracker) -> None:
        write_sequence(tmp_path, "none", [25, 0, 0])
        result = summarize_masks([evaluate_masks(tracker, find_sequences(tmp_path)[0])])
        assert result.box_iou_mean is None
        json.dumps(result.to_dict(), allow_nan=False)

    def test_undecided_pixels_do_not_count(self, tmp_path: Path, tracker: Tracker) -> None:
        """A ring of label 255 around the object, drawn as part of it or not, changes nothing."""
        for name, color in (("plain", (120, 120, 120)), ("ring", (30, 30, 220))):
            write_sequence(tmp_path, name, [25] * 4)
            for index in range(4):
                mask_path = tmp_path / f"Annotations/480p/{name}/{index:05d}.png"
                mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
                ring = cv2.dilate(mask, np.ones((15, 15), np.uint8)) > mask
                mask[ring & (mask == 0)] = 255
                cv2.imwrite(str(mask_path), mask)
                image = draw_pair(index, 25)[0]
                image[mask == 255] = color
                cv2.imwrite(str(tmp_path / f"JPEGImages/480p/{name}/{index:05d}.jpg"), image)
        plain, ring_too = (
            evaluate_masks(tracker, one) for one in find_sequences(tmp_path, ["plain", "ring"])
        )
        assert plain.box_iou[0] == ring_too.box_iou[0] == 1
        assert min(plain.j[1:]) > 0.9  # what is drawn over the ring costs nothing
        assert min(ring_too.j[1:]) > 0.9

    def test_every_frame_is_reported(self, dataset: Path, tracker: Tracker) -> None:
        seen = []
        evaluate_masks(tracker, find_sequences(dataset)[0], on_frame=lambda: seen.append(len(seen)))
        assert len(seen) == 8

    def test_overlay_shows_result_and_truth(
        self, dataset: Path, tracker: Tracker, tmp_path: Path
    ) -> None:
        path = tmp_path / "ball.mp4"
        plain = evaluate_masks(tracker, find_sequences(dataset)[0])
        drawn = evaluate_masks(tracker, find_sequences(dataset)[0], overlay=path)
        assert drawn.j == plain.j  # drawing must not reach what is tracked or scored
        with VideoReader(path) as reader:
            frames = list(reader)
        assert len(frames) == 8
        image, mask = draw_pair(4, 25)
        changed = np.abs(frames[4].image.astype(int) - image).max(2) > 60
        assert changed.any()
        shape = (mask > 0).astype(np.uint8)
        rim = cv2.morphologyEx(shape, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
        assert changed[rim].mean() > 0.5

    def test_damaged_files(self, dataset: Path, tracker: Tracker) -> None:
        image = dataset / "JPEGImages" / "480p" / "ball" / "00002.jpg"
        sequence = find_sequences(dataset)[0]
        image.write_bytes(b"nothing")
        with pytest.raises(DatasetError, match=r"00002\.jpg: not a readable image"):
            find_sequences(dataset)
        with pytest.raises(DatasetError, match=r"00002\.jpg: not a readable image"):
            evaluate_masks(tracker, sequence)
        assert tracker.ids == ()
        cv2.imwrite(str(image), np.zeros((50, 60, 3), np.uint8))
        with pytest.raises(DatasetError, match=r"00002\.png: is 320x200 px; its image is 60x50"):
            evaluate_masks(tracker, find_sequences(dataset)[0])

    @pytest.mark.parametrize(("radius", "message"), [(0, "is empty"), (1, "at least 4 px")])
    def test_no_object_to_start_from(
        self, tmp_path: Path, tracker: Tracker, radius: int, message: str
    ) -> None:
        write_sequence(tmp_path, "none", [radius, 20, 20])
        with pytest.raises(DatasetError, match=f"none/00000.png: .*{message}"):
            evaluate_masks(tracker, find_sequences(tmp_path)[0])


def test_plot(dataset: Path, tracker: Tracker, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "gone.png"
    plot_frames(evaluate_masks(tracker, find_sequences(dataset)[1]), path)
    image = cv2.imread(str(path))
    assert image is not None and image.shape[1] > 600 and image.std() > 5


def test_reference_masks_of_davis_score_one(shared_data) -> None:  # type: ignore[no-untyped-def]
    sequence = find_sequences(shared_data("davis-dev"), ["dog"])[0]
    for path in sequence.masks[:3]:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert region_similarity(mask, mask) == boundary_accuracy(mask, mask) == 1
        assert set(np.unique(mask)) == {0, 255}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("siampolar_lite0", {"J_mean": 0.62}),
        ("siampolar_accurate", {"J_mean": 0.68, "F_mean": 0.55, "box_iou_mean": 0.74}),
    ],
)
def test_the_shipped_models_on_davis(
    model: str,
    least: dict[str, float],
    shared_data,  # type: ignore[no-untyped-def]
) -> None:
    pytest.importorskip("onnxruntime")
    tracker = Tracker.from_pretrained(model)
    sequences = find_sequences(shared_data("davis-dev"))
    result = summarize_masks([evaluate_masks(tracker, one) for one in sequences])
    print(model, result.J_mean, result.F_mean, result.box_iou_mean, result.lost_frames)
    for key, value in least.items():
        assert getattr(result, key) >= value, key
