"""Labels, losses and clips: worked by hand, pure, and plausible."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")
import cv2
import torch

from siampolar_model.errors import CommandError, DatasetError
from siampolar_model.network.config import HeadConfig
from siampolar_model.network.head import BASE_PX, HeadMaps
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from siampolar_training.cli.score import settings_of
from siampolar_training.clips.moving import (
    FRAMES,
    Clip,
    clip_photographs,
    film_clip,
    render_clip,
    score_clips,
)
from siampolar_training.data.labels import MAX_POSITIVES, make_labels, no_target
from siampolar_training.data.readers.base import LabelledImage
from siampolar_training.data.readers.davis import Davis
from siampolar_training.data.readers.photos import Photos
from siampolar_training.run.losses import box_iou, focal, head_losses, polar_iou
from support import drawn_sets
from support.blob_engine import BlobEngine
from support.commands import ROOT, run
from support.drawn_photos import photo, write_photos


@pytest.fixture(scope="module")
def photos() -> list[LabelledImage]:
    return [photo(seed) for seed in range(4)]


class TestTargets:
    def test_a_square_by_hand(self) -> None:
        mask = np.zeros((255, 255), np.uint8)
        mask[100:164, 92:156] = 1  # centroid (124, 132): exactly a cell of stride 8
        targets = make_labels(mask, HeadConfig(rays=36), 8)
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
            targets = make_labels(mask, HeadConfig(), 8)
            assert targets.weight.max() <= 1 and len(targets.cells) == MAX_POSITIVES
            assert (targets.rays_px >= 1).all()

    def test_the_papers_rays_end_at_the_farthest_point_and_its_quality_is_their_ratio(self) -> None:
        mask = np.zeros((255, 255), np.uint8)
        mask[100:164, 92:156] = 1
        mask[124:140, 190:200] = 1  # beyond a gap to the right
        ours = make_labels(mask, HeadConfig(rays=36), 8)
        paper = HeadConfig(rays=36, ray_rule="farthest_point", quality="ratio")
        papers = make_labels(mask, paper, 8)
        np.testing.assert_array_equal(ours.cells, papers.cells)
        np.testing.assert_array_equal(ours.weight, papers.weight)
        np.testing.assert_array_equal(ours.quality, ours.weight)
        at = list(papers.cells).index(16 * 32 + 15)  # about (124, 132)
        assert ours.rays_px[at, 0] == pytest.approx(32, abs=1.5)
        assert papers.rays_px[at, 0] == pytest.approx(76, abs=1.5)
        assert papers.quality[at] == pytest.approx(math.sqrt(32 / 76), abs=0.02)

    @pytest.mark.parametrize("corner", [(96, 96), (101, 107), (112, 112)])
    def test_a_coarse_stride_has_a_positive_wherever_the_target_is(
        self, corner: tuple[int, int]
    ) -> None:
        y, x = corner
        mask = np.zeros((255, 255), np.uint8)
        mask[y : y + 64, x : x + 64] = 1
        targets = make_labels(mask, HeadConfig(rays=36), 32)
        nearest = (y + 32) // 32 * 8 + (x + 32) // 32
        assert nearest in targets.cells[targets.weight > 0]

    def test_a_target_that_no_polygon_can_cover_has_no_positive(self) -> None:
        """Two specks in opposite corners: nothing of them is about their centroid."""
        mask = np.zeros((255, 255), np.uint8)
        mask[:4, :4] = mask[-4:, -4:] = 1
        targets = make_labels(mask, HeadConfig(rays=36), 8)
        nothing = no_target(36)
        assert not targets.weight.any()
        for key, value in vars(targets).items():
            np.testing.assert_array_equal(value, vars(nothing)[key])


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

    def test_quality_and_presence_by_hand(self) -> None:
        """Two samples, one shows the target; two positive cells with qualities 1 and 0.5."""
        shown = no_target(36)
        shown.cells[:2], shown.weight[:2], shown.quality[:2] = (3, 5), 1, (1, 0.5)
        both = [vars(shown), vars(no_target(36))]
        targets = {k: torch.from_numpy(np.stack([one[k] for one in both])) for k in both[0]}
        targets["mask"] = torch.zeros(2, 64, 64, dtype=torch.uint8)
        targets["mask"][0, 20:30, 20:30] = 1
        zero = torch.zeros(2, 1, 8, 8)
        quality = zero.clone()
        quality[0, 0, 0, 3], quality[0, 0, 0, 5], quality[1] = math.log(3), 0.0, 50.0
        presence = torch.tensor([math.log(4), 0.0])  # 0.8 and 0.5
        maps = HeadMaps(
            zero, quality, zero.repeat(1, 4, 1, 1), zero.repeat(1, 36, 1, 1),
            presence_logit=presence,
        )  # fmt: skip
        losses = head_losses(maps, targets)
        assert losses["quality"].item() == pytest.approx((-math.log(0.75) + math.log(2)) / 2)
        assert losses["presence"].item() == pytest.approx((-math.log(0.8) + math.log(2)) / 2)

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
        return make_labels(mask, HeadConfig(rays=36), 8)


def test_a_video_is_scored_as_a_clip(tmp_path: Path) -> None:
    """Its first frames, and the object that its first frame shows."""
    reader = Davis(drawn_sets.write_davis(tmp_path, {"train": ["bear", "bus"]}))
    clip = film_clip(reader, 1, 2)
    assert clip.real and len(clip.frames) == len(clip.masks) == 2
    for index, (image, mask) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        expected, labels = drawn_sets.frame(index)
        assert np.abs(image.astype(int) - expected).mean() < 12  # JPEG
        np.testing.assert_array_equal(mask, labels == 2)  # object 1 comes later
    assert len(film_clip(reader, 1, 60).frames) == 3


def test_clips_need_an_object(photos: list[LabelledImage], tmp_path: Path) -> None:
    write_photos(tmp_path, [*photos[:2], photo(75)])
    (tmp_path / "Annotations" / "photos" / "00075.png").unlink()
    with pytest.raises(
        DatasetError, match=r"none of 1 held-out photographs shows an object of 256"
    ):
        clip_photographs(Photos(tmp_path, validation=True))


def test_clips_need_an_object_clear_of_the_edges(tmp_path: Path) -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[40:80, 5:60] = 1
    image = LabelledImage("00075", 75, np.full((120, 160, 3), 90, np.uint8), labels, (1,))
    write_photos(tmp_path, [image])
    with pytest.raises(DatasetError, match=r"of 256 px or more, 8 px from the edges"):
        clip_photographs(Photos(tmp_path, validation=True))


def test_a_clip_is_pure_and_its_object_moves(photos: list[LabelledImage]) -> None:
    clip, again = render_clip(photos, 3), render_clip(photos, 3)
    assert len(clip.frames) == FRAMES
    np.testing.assert_array_equal(clip.frames[20], again.frames[20])
    assert clip.masks[0].any()
    assert (clip.masks[0] != clip.masks[-1]).any()


def test_a_clip_shows_its_photograph_about_the_object_and_the_object_once() -> None:
    """What is about the object comes along, no seam on it; nothing of the object lies outside."""
    labels = np.zeros((240, 320), np.uint8)
    labels[20:60, 20:100] = 1
    photos = []
    for i in range(2):
        image = np.full((240, 320, 3), ((200, 0, 0), (0, 200, 0))[i], np.uint8)
        image[labels > 0] = ((0, 0, 220), (180, 180, 180))[i]
        photos.append(LabelledImage(str(i), i, image, labels, (1,)))
    beyond, comes_along = False, []
    for seed in range(4):
        clip = render_clip(photos, seed)
        second = clip.frames[0][clip.masks[0] > 0][:, 0].mean() > 40  # its object is grey
        for frame, mask in zip(clip.frames[::7], clip.masks[::7], strict=True):
            blue, green, red = np.moveaxis(frame.astype(int), 2, 0)
            near = cv2.dilate(mask, np.ones((9, 9))) > 0
            about = (cv2.dilate(mask, np.ones((31, 31))) > 0) & ~near
            if second:
                own, other, twin = green - blue > 40, blue - green > 40, frame.min(2) > 40
            else:
                own, other, twin = blue - green > 40, green - blue > 40, red - 3 * green > 40
            comes_along.append(own[about].mean())
            assert (twin & ~near).mean() < 0.01
            beyond |= other.mean() > 0.1
    assert np.mean(comes_along) > 0.6  # here and there the other photograph's object
    assert beyond  # the second photograph is behind the first


class TestScoreClips:
    """As ``siampolar eval`` scores: lost means no mask and no box."""

    def clip(self, seen: int, gone: int) -> Clip:
        """A red disc on grey that vanishes."""
        frames, masks = [], []
        for index in range(seen + gone):
            frame, mask = np.full((200, 320, 3), 110, np.uint8), np.zeros((200, 320), np.uint8)
            if index < seen:
                cv2.circle(frame, (100 + 2 * index, 90), 25, (30, 30, 220), cv2.FILLED)
                cv2.circle(mask, (100 + 2 * index, 90), 25, 1, cv2.FILLED)
            frames.append(frame)
            masks.append(mask)
        return Clip(tuple(frames), tuple(masks))

    def test_lost_on_an_object_out_of_sight_is_right(self) -> None:
        tracker = Tracker(BlobEngine(), TrackerSettings(lost_frames=2))
        scores = score_clips(tracker, [self.clip(3, 4)])
        # Two frames in sight, one out of sight and not lost yet, three lost.
        assert scores.j == pytest.approx((2 * 0.97 + 3) / 6, abs=0.02)
        assert scores.box_iou > 0.9  # of the two frames with a box
        assert scores.tracking == pytest.approx(2 / 6, abs=1e-3)
        assert scores.lost_on_target == scores.tracking_off_target == 0

    def test_lost_on_a_visible_object_costs(self) -> None:
        class Blind(BlobEngine):
            def search(self, slots, crops, prior):  # type: ignore[no-untyped-def]
                return super().search(slots, np.zeros_like(crops), prior)

        tracker = Tracker(Blind(), TrackerSettings(lost_frames=1))
        scores = score_clips(tracker, [self.clip(4, 0)])
        assert (scores.j, scores.box_iou, scores.lost_on_target) == (0, 0, 1)

    def test_no_clip_to_start_on(self) -> None:
        with pytest.raises(ValueError, match="1 clips, none of which shows its object"):
            score_clips(Tracker(BlobEngine()), [self.clip(0, 3)])


def test_settings_to_compare() -> None:
    first, second = settings_of("lost_frames=3,5")
    assert (first.lost_frames, second.lost_frames) == (3, 5)
    assert settings_of("lost_score=0.1")[0].lost_score == 0.1
    for text, words in (
        ("lost_score=x", "--set lost_score=x: lost_score is 'x'; it must be a number"),
        ("lost_frames=1,1.5", "--set lost_frames=1.5: lost_frames is '1.5'; it must be"),
        ("lost_score", "--set lost_score: must be NAME=VALUE"),
        ("lost_score=7", "lost_score is 7.0; it must be a number from 0 to 1"),
        ("lost_score=0.9", "--set: lost_score is 0.9; it must not exceed tracking_score"),
    ):
        with pytest.raises(CommandError, match=re.escape(words)):
            settings_of(text)


class TestCommands:
    """Bad input: one line on stderr, exit code 2."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["score", "nothing"], "model 'nothing' is neither shipped"),
            (["score", "nothing", "--set", "lost_score=x"], "it must be a number from 0 to 1"),
            (["score", "nothing", "--set", "speed=1"], "there is no setting 'speed'"),
            (["score", "nothing", "--clips", "0"], "--clips"),
            (["score", "nothing", "--frames", "1"], "--frames"),
            (["score", "nothing", "--videos", "here", "--hold-out", "1"], "--hold-out"),
            (["score", "nothing", "--videos", "here"], "here/JPEGImages/480p: no such folder"),
            (["score"], "no photographs in nowhere"),
            (["redetection"], "no photographs in nowhere"),
            (["redetection", "--set", "research_crops=8"], "its name is now redetect_crops"),
        ],
    )
    def test_one_line(
        self,
        arguments: list[str],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run(monkeypatch, "train", *arguments, "--photos", "nowhere") == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0]

    def test_as_a_process(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "support.commands", "train", "score"],
            capture_output=True, text=True, cwd=ROOT / "test", check=False,
        )  # fmt: skip
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.startswith("error: ") and "--photos" in done.stderr

    def test_bugs_keep_their_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(Tracker, "from_pretrained", broken)
        with pytest.raises(ValueError, match="a bug"):
            run(monkeypatch, "train", "score", "--photos", "nowhere")
