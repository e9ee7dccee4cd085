"""Training by Lightning: what a run leaves, how it goes on after a kill, what it refuses."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("timm")
pytest.importorskip("lightning")
pytest.importorskip("jsonargparse")
import torch
import yaml
from conftest import ROOT
from lightning.pytorch import seed_everything
from lightning.pytorch.strategies import SingleDeviceStrategy
from safetensors.torch import save_file

from siampolar_model.cli import main as cli
from siampolar_model.engines.loading import load_engine
from siampolar_model.errors import CommandError
from siampolar_model.export.onnx_export import export as export_model
from siampolar_model.models.spec import ModelSpec, mask_cells
from siampolar_model.network.checkpoint import save_network
from siampolar_model.network.config import load_config
from siampolar_model.network.siampolar import SiamPolar
from siampolar_model.settings import settings_of
from siampolar_training.cli.errors_to_cli import bad_input
from siampolar_training.data.config import SourceConfig, data_config, open_training
from siampolar_training.data.mixture import Mixture
from siampolar_training.errors import TrainingError
from siampolar_training.run import commit
from siampolar_training.run.averaged import load_averaged
from siampolar_training.run.checkpoints import ABOUT, BestCheckpoint, read_checkpoint
from siampolar_training.run.data_module import PairsDataModule, StepSampler, loader_settings
from siampolar_training.run.initial_weights import load_fitting
from siampolar_training.run.lightning_cli import SETTINGS, TrainingCLI
from siampolar_training.run.module import TrainingModule, given_cells
from siampolar_training.run.schedule import learning_rate_factor
from support import drawn_sets
from support.lightning_runs import (
    EVERYTHING,
    NETWORK,
    arguments,
    assert_same,
    environment,
    log_rows,
    write_run,
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    write_run(folder)
    return folder


def train(work: Path, out: Path, **changes: Any) -> dict[str, Any]:
    """Run or go on; the last checkpoint."""
    TrainingCLI(arguments(work, out, **changes))
    return read_checkpoint(out / "checkpoints" / "last.ckpt")


def train_until(index: int, work: Path, out: Path, **changes: Any) -> dict[str, Any]:
    """Run until a pair, at which the process would die; the last checkpoint."""

    class Dies(BaseException):
        pass

    real = Mixture.__getitem__

    def dying(self: Mixture, asked: int) -> dict[str, np.ndarray]:
        if asked == index:
            raise Dies
        return real(self, asked)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Dies):
        patch.setattr(Mixture, "__getitem__", dying)
        train(work, out, **changes)
    return read_checkpoint(out / "checkpoints" / "last.ckpt")


@pytest.fixture(scope="module")
def whole(work: Path) -> tuple[Path, dict[str, Any]]:
    """A run from start to end in one go."""
    return work / "whole", train(work, work / "whole")


class TestRun:
    def test_leaves_checkpoints_and_logs(self, whole: tuple[Path, dict[str, Any]]) -> None:
        out, last = whole
        assert last["global_step"] == 10
        best = read_checkpoint(out / "checkpoints" / "best.ckpt")
        assert best["global_step"] in (4, 8, 10)
        rows = log_rows(out)
        trained = [row for row in rows if row["loss"]]
        validated = [row for row in rows if row["clips_j"]]
        assert [int(row["step"]) for row in trained] == [2, 4, 6, 8, 10]
        assert [int(row["step"]) for row in validated] == [4, 8, 10]
        scores = {int(row["step"]): float(row["clips_j"]) for row in validated}
        assert scores[best["global_step"]] == max(scores.values())
        for row in trained:
            parts = {key: float(row[key]) for key in ("class", "mask", "box", "quality")}
            assert float(row["loss"]) == pytest.approx(
                parts["class"] + parts["mask"] + parts["box"] + 0.3 * parts["quality"], rel=1e-3
            )
            assert float(row["images_per_s"]) > 0 and 0 <= float(row["waited"]) <= 1
        assert float(trained[-1]["learning_rate"]) == 0
        assert list(out.glob("events.out.tfevents.*"))
        written = yaml.safe_load((out / "config.yaml").read_text())
        assert written["data"]["pairs"] == 20 and written["seed_everything"] == 1

    def test_frozen_parts_stay(self, work: Path, whole: tuple[Path, dict[str, Any]]) -> None:
        _, last = whole
        seed_everything(1, verbose=False)  # the same seed gives the same start
        start = TrainingModule(str(work / "tiny.yaml"), "none", frozen=["^conv1", "bn1"])
        for key, value in start.state_dict().items():
            same = torch.equal(value, last["current_model_state"][key])
            backbone = "_backbone." in key
            frozen = "template_backbone" in key or (
                "search_backbone" in key and (".body.conv1." in key or "bn1" in key)
            )
            statistics = backbone and ("running_" in key or "num_batches" in key)
            assert same == (frozen or statistics), key

    def test_a_finished_run_stays_as_it_is(
        self, work: Path, whole: tuple[Path, dict[str, Any]]
    ) -> None:
        out, last = whole
        assert_same(train(work, out), last)
        assert len(log_rows(out)) == 8

    @pytest.mark.parametrize(
        "changes",
        [
            {"trainer.val_check_interval": 2.0},
            {"data.clips": 0, "trainer.limit_train_batches": 4.0},
            {"trainer.limit_train_batches": 4},
        ],
    )
    def test_a_finished_run_goes_on_with_more_pairs(
        self, changes: dict[str, Any], work: Path, tmp_path: Path
    ) -> None:
        assert train(work, tmp_path, **{"data.pairs": 8, **changes})["global_step"] == 4
        changes.pop("trainer.limit_train_batches", None)
        assert train(work, tmp_path, **{"data.pairs": 12, **changes})["global_step"] == 6
        assert [row["step"] for row in log_rows(tmp_path) if row["loss"]] == ["2", "4", "6"]

    def test_an_accumulated_loss_is_the_sum_of_its_parts(self, work: Path, tmp_path: Path) -> None:
        train(work, tmp_path, **{"data.pairs": 8, "trainer.accumulate_grad_batches": 2})
        row = log_rows(tmp_path)[0]
        parts = {key: float(row[key]) for key in ("class", "mask", "box", "quality")}
        whole = parts["class"] + parts["mask"] + parts["box"] + 0.3 * parts["quality"]
        assert float(row["loss"]) == pytest.approx(whole, rel=1e-3)

    def test_averaged_weights_are_exported(
        self, whole: tuple[Path, dict[str, Any]], tmp_path: Path
    ) -> None:
        out, last = whole
        model, about = load_averaged(out / "checkpoints" / "last.ckpt")
        for key, value in model.state_dict().items():
            assert torch.equal(value, last["state_dict"][f"model.{key}"]), key
        assert not model.training
        assert about["pairs_seen"] == 20 and about["data"]["batch"] == 2
        assert 0 <= about["scores"]["clips_j"] <= 1
        export_model(model, tmp_path / "model", about)
        assert (tmp_path / "model" / "search.onnx").is_file()

    def test_validation_scores_the_averaged_weights(
        self, work: Path, whole: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = whole
        cli = TrainingCLI(["validate", *arguments(work, out)[1:]])
        best = read_checkpoint(out / "checkpoints" / "best.ckpt")
        score = float(cli.trainer.callback_metrics["clips_j"])
        assert score == pytest.approx(best["siampolar"]["scores"]["clips_j"], abs=1e-4)
        assert len(log_rows(out)) == 8

    def test_without_clips_nothing_can_be_scored(
        self, work: Path, whole: tuple[Path, dict[str, Any]]
    ) -> None:
        command = ["validate", *arguments(work, whole[0], **{"data.clips": 0})[1:]]
        with pytest.raises(TrainingError, match=r"data.clips is 0; validation needs at least 1"):
            TrainingCLI(command)

    def test_any_other_settings_can_be_scored(
        self, work: Path, whole: tuple[Path, dict[str, Any]]
    ) -> None:
        out, _ = whole
        other = arguments(work, out, **{"seed_everything": 2, "model.learning_rate": 1e-4})
        cli = TrainingCLI(["validate", *other[1:]])
        assert 0 <= float(cli.trainer.callback_metrics["clips_j"]) <= 1


class TestHeldOutVideos:
    """Real video is what weights are chosen on, where there is any."""

    @pytest.fixture
    def videos(self, work: Path) -> str:
        """Sources: photographs, and two videos of which one is held out."""
        root = drawn_sets.write_davis(work / "davis", {"train": ["bear", "bus", "car", "dog-x"]})
        photos = {"kind": "photos", "root": str(work / "photos")}
        davis = {"kind": "davis", "root": str(root), "hold_out": 2}
        return yaml.safe_dump([photos, davis], default_flow_style=True, width=1000).strip()

    def test_the_best_is_chosen_on_them(self, work: Path, tmp_path: Path, videos: str) -> None:
        train(work, tmp_path, **{"data.sources": videos, "data.video_frames": 2})
        rows = [row for row in log_rows(tmp_path) if row["video_j"]]
        assert [int(row["step"]) for row in rows] == [4, 8, 10]
        assert all(row["clips_j"] for row in rows)
        best = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
        scores = {int(row["step"]): float(row["video_j"]) for row in rows}
        assert scores[best["global_step"]] == max(scores.values())
        assert best[ABOUT]["scores"]["video_j"] == pytest.approx(max(scores.values()), abs=1e-4)

    def test_no_photographs_are_needed(self, work: Path, tmp_path: Path, videos: str) -> None:
        alone = yaml.safe_dump(yaml.safe_load(videos)[1:], default_flow_style=True, width=1000)
        changes = {"data.sources": alone.strip(), "data.clips": 0, "data.pairs": 8}
        train(work, tmp_path, **changes)
        assert [row for row in log_rows(tmp_path) if row["video_j"]]
        assert (tmp_path / "checkpoints" / "best.ckpt").is_file()


class TestResume:
    @pytest.mark.parametrize("dies_at", [9, 16, 18])
    def test_a_run_that_dies_ends_as_a_whole_one(
        self,
        dies_at: int,
        work: Path,
        whole: tuple[Path, dict[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Between checkpoints, right after a validated step, and in the last step."""
        before = train_until(dies_at, work, tmp_path)["global_step"]
        assert before == {9: 4, 16: 8, 18: 9}[dies_at]
        real, seen = Mixture.__getitem__, []

        def watched(self: Mixture, index: int) -> dict[str, np.ndarray]:
            seen.append(index)
            return real(self, index)

        monkeypatch.setattr(Mixture, "__getitem__", watched)
        out, last = whole
        assert_same(train(work, tmp_path), last)
        assert seen == list(range(2 * before, 20))
        for ours, theirs in zip(log_rows(tmp_path), log_rows(out), strict=True):
            assert (ours["step"], ours["clips_j"]) == (theirs["step"], theirs["clips_j"])
            if ours["loss"] and int(ours["step"]) - before >= 2:
                assert ours["loss"] == theirs["loss"]

    def test_a_run_that_begins_again_elsewhere_keeps_one_best(
        self, work: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
    ) -> None:
        moved = shutil.copytree(whole[0], tmp_path / "moved")
        folder = moved / "checkpoints"
        (folder / "last.ckpt").unlink()
        (folder / "best.ckpt").write_bytes(b"of another run")
        assert_same(train(work, moved), whole[1])
        assert {path.name for path in folder.iterdir()} == {"last.ckpt", "best.ckpt"}
        assert read_checkpoint(folder / "best.ckpt")[ABOUT]["scores"]

    def test_a_moved_run_keeps_its_best(
        self, whole: tuple[Path, dict[str, Any]], tmp_path: Path
    ) -> None:
        """A worse score does not take the place of the best one, a better one does."""
        saved = read_checkpoint(whole[0] / "checkpoints" / "last.ckpt")
        (state,) = (v for k, v in saved["callbacks"].items() if k.startswith("BestCheckpoint"))
        moved = BestCheckpoint(tmp_path)
        trainer: Any = SimpleNamespace(strategy=SingleDeviceStrategy("cpu"))
        moved.load_state_dict(state)  # a folder without a best checkpoint
        assert moved.check_monitor_top_k(trainer, torch.tensor(-1.0))
        (tmp_path / "checkpoints").mkdir()
        shutil.copy(whole[0] / "checkpoints" / "best.ckpt", tmp_path / "checkpoints")
        moved.load_state_dict(state)
        assert moved.best_model_path == str((tmp_path / "checkpoints" / "best.ckpt").resolve())
        assert not moved.check_monitor_top_k(trainer, state["best_model_score"] - 0.01)
        assert moved.check_monitor_top_k(trainer, state["best_model_score"] + 0.01)

    def test_what_a_run_began_with_is_kept(
        self, work: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
    ) -> None:
        first = {"model.initial_weights": whole[0] / "checkpoints" / "last.ckpt"}
        began = train_until(9, work, tmp_path, **first)[ABOUT]["initial_weights"]
        assert began["name"] == "last.ckpt"
        other = {"model.initial_weights": whole[0] / "checkpoints" / "best.ckpt"}
        with pytest.raises(TrainingError, match=r"has model.initial_weights.name last.ckpt; this"):
            train(work, tmp_path, **other)
        gone_on = train(work, tmp_path)
        assert gone_on["global_step"] == 10 and gone_on[ABOUT]["initial_weights"] == began

    def test_a_killed_process_ends_as_a_whole_one(self, work: Path, tmp_path: Path) -> None:
        """kill -9 in the middle, with worker processes; the same command goes on."""
        changes = {"data.pairs": 60, "data.workers": 1, "data.clips": 0}
        command = [sys.executable, str(work / "script.py")]
        command += arguments(work, tmp_path / "killed", **changes)
        process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 120
        while not last.is_file():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_checkpoint(last)["global_step"] < 30
        subprocess.run(command, env=environment(), check=True, capture_output=True)
        again = [a.replace(str(tmp_path / "killed"), str(tmp_path / "whole")) for a in command]
        subprocess.run(again, env=environment(), check=True, capture_output=True)
        assert_same(
            read_checkpoint(last),
            read_checkpoint(tmp_path / "whole" / "checkpoints" / "last.ckpt"),
        )


def test_the_loss_falls_on_one_batch(work: Path) -> None:
    """A step of training does what it is for: overfitting one batch succeeds."""
    torch.manual_seed(3)
    module = TrainingModule(str(work / "tiny.yaml"), "none")
    sources = {"sources": [{"kind": "photos", "root": str(work / "photos")}]}
    pairs = open_training(data_config(sources, "data"), module.model.config, length=8, seed=2)
    batch = torch.utils.data.default_collate([pairs[i] for i in range(8)])
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3)
    losses = []
    for _ in range(30):
        parts = module.training_step(batch, 0)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append({key: value.item() for key, value in parts.items()})
    for key in ("loss", "class", "mask", "box"):
        assert losses[-1][key] < 0.75 * losses[0][key], key


class TestInitialWeights:
    def test_what_fits_is_taken(self, work: Path, tmp_path: Path) -> None:
        config = load_config(work / "tiny.yaml")
        source = SiamPolar(config)
        save_network(tmp_path / "weights.safetensors", source)
        (tmp_path / "wide.yaml").write_text(NETWORK.replace("width: 8, c", "width: 9, c"))
        wide = SiamPolar(load_config(tmp_path / "wide.yaml"))
        before = {k: v.clone() for k, v in wide.state_dict().items()}
        taken, of = load_fitting(wide, tmp_path / "weights.safetensors")
        assert 0 < taken < of == len(before)
        for key, value in wide.state_dict().items():
            theirs = source.state_dict()[key]
            expected = theirs if theirs.shape == value.shape else before[key]
            assert torch.equal(value, expected), key

    def test_one_map_more_changes_nothing_at_first(self, work: Path, tmp_path: Path) -> None:
        (tmp_path / "plain.yaml").write_text(NETWORK + EVERYTHING)
        plain = load_config(tmp_path / "plain.yaml")
        source = SiamPolar(plain).eval()
        save_network(tmp_path / "weights.safetensors", source)
        torch.manual_seed(5)
        wider = SiamPolar(replace(plain, ridge=True)).eval()
        taken, of = load_fitting(wider, tmp_path / "weights.safetensors")
        assert taken == of
        t, s = plain.template_size, plain.search_size
        box = torch.tensor([[20.0, 20.0, 40.0, 45.0]])
        given = torch.randn(1, 3, t, t), box, torch.randn(1, 3, s, s)
        with torch.no_grad():
            before, after = source(*given), wider(*given)
        torch.testing.assert_close(after.class_logit, before.class_logit)
        torch.testing.assert_close(after.mask_logit, before.mask_logit)

    def test_a_checkpoint_gives_its_averaged_weights(
        self, work: Path, whole: tuple[Path, dict[str, Any]]
    ) -> None:
        out, last = whole
        path = out / "checkpoints" / "last.ckpt"
        module = TrainingModule(str(work / "tiny.yaml"), "none", initial_weights=str(path))
        for key, value in module.state_dict().items():
            assert torch.equal(value, last["state_dict"][key]), key

    def test_refused(self, work: Path, tmp_path: Path) -> None:
        model = SiamPolar(load_config(work / "tiny.yaml"))
        with pytest.raises(TrainingError, match=r"none.safetensors: no such file of weights"):
            load_fitting(model, tmp_path / "none.safetensors")
        (tmp_path / "x.safetensors").write_bytes(b"nothing")
        with pytest.raises(TrainingError, match=r"x.safetensors: neither a .ckpt nor a readable"):
            load_fitting(model, tmp_path / "x.safetensors")
        save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
        with pytest.raises(TrainingError, match=r"none of its 1 tensors fits this network"):
            load_fitting(model, tmp_path / "other.safetensors")


class TestGivenMasks:
    def test_the_first_samples_of_a_batch_get_theirs(self) -> None:
        mask = np.zeros((4, 63, 63), np.uint8)
        mask[:, 10:33, 7:20] = 1
        cells = given_cells(torch.from_numpy(mask), 0.5)
        spec = ModelSpec("tiny", 63, 127, 1.7, 36, 16, takes_mask=True)
        torch.testing.assert_close(cells[1], torch.from_numpy(mask_cells(spec, mask[1])))
        assert (cells[2:] == -1).all()

    def test_a_network_is_trained_with_them(self, work: Path, tmp_path: Path) -> None:
        (tmp_path / "masked.yaml").write_text(NETWORK + EVERYTHING + "given_mask: true\n")
        changes = {"model.network": tmp_path / "masked.yaml", "data.pairs": 4, "data.clips": 0}
        given, absent = (
            train(work, tmp_path / str(share), **changes, **{"model.given_masks": share})
            for share in (1.0, 0.0)
        )
        key = "state_dict"
        assert any(not torch.equal(v, absent[key][k]) for k, v in given[key].items())

    def test_they_need_a_network_that_takes_them(self, work: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match=r"given_masks is 0.5; tiny takes no mask \(its"):
            train(work, tmp_path, **{"model.given_masks": 0.5})


def test_help_lists_every_setting_with_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        TrainingCLI(["fit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert {"data.synthetic.bend", "data.photometry.night", "data.video.max_gap"} < set(SETTINGS)
    for name, one in SETTINGS.items():
        assert f"--{name} " in shown
        assert f"{one.help} Allowed: {one.allowed}." in shown
    for one in settings_of(SourceConfig):
        assert f" {one.name}: {one.help}" in shown
    assert "together. Allowed: a whole number from 1 to 65536. (type: int, default: 16)" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.network": "none.yaml"}, "none.yaml"),
        ({"model.learning_rate": "fast"}, "learning_rate"),
        ({"model.learning_rate": 7}, "model: learning_rate is 7.0; it must be a number from 0 to"),
        ({"model.speed": 7}, "speed"),
        ({"model.backbone_weights": "x"}, "model: backbone_weights 'x' is not one of"),
        ({"model.frozen": "['(']"}, "model: frozen has '(', no regular expression"),
        ({"model.frozen": "[nothing]"}, "frozen pattern 'nothing' matches no parameter"),
        ({"model.loss_weights": "{cls: 1}"}, "loss_weights has unknown 'cls'; allowed: class"),
        ({"model.loss_weights": "{box: -1}"}, "loss_weights: box is -1.0; it must be 0 or more"),
        ({"model.initial_weights": "no.ckpt"}, "no.ckpt: no such checkpoint; train first"),
        ({"data.pairs": 1}, "data: pairs is 1; it must fill a batch of 2"),
        ({"data.batch": 0}, "data: batch is 0; it must be a whole number from 1"),
        (
            {"data.sources": "[{kind: photos, root: nowhere}]"},
            "no photographs in nowhere; expected",
        ),
        ({"data.sources": "[{kind: paintings, root: x}]"}, "kind 'paintings' is not one of"),
        (
            {"data.sources": "[{kind: davis, root: x}]"},
            "to hold out for validation; data.clips 0 goes without",
        ),
        ({"data.sources": "[]"}, "data: sources is empty; a training needs at least one"),
        ({"data.synthetic": "{warp: 2}"}, "data.synthetic.warp'; siampolar train fit --help lists"),
        ({"data.synthetic.bend": 7}, "data.synthetic.bend is 7.0; it must be a number from 0 to 1"),
        ({"data.video": "{max_gap: 0}"}, "data.video.max_gap is 0; it must be a whole number from"),
        ({"data.photometry.night": "x"}, 'key "data.photometry.night": Expected a'),
        ({"data.cache_mb": -1}, "data.cache_mb is -1; it must be a whole number from 0 to"),
        (
            {"data.sources": "[{kind: photos, rot: x}]"},
            "data, sources, 1: unknown key 'rot'; allowed: kind, root, weight",
        ),
        ({"checkpoint.every": 0}, "checkpoint.every is 0; it must be 1 or more"),
        ({"trainer.default_root_dir": "null"}, "trainer.default_root_dir is missing"),
        ({"trainer.max_epochs": 2}, "trainer.max_epochs is 2; a run is 1 epoch: give more data"),
        ({"trainer.limit_train_batches": 0.5}, "trainer.limit_train_batches is 0.5; it must be a"),
        (
            {"trainer.accumulate_grad_batches": 3},
            "trainer.val_check_interval is 4; it must be a multiple of accumulate_grad_batches, 3",
        ),
        (
            {"model.backbone_weights": "package"},
            "backbone_weights 'package' has none for 'resnet10t', only for 'tf_efficientnet_lite0'",
        ),
        ({"trainer.accelerator": "abacus"}, "trainer: You selected an invalid accelerator"),
        ({"ckpt_path": "no.ckpt"}, "no.ckpt: no such checkpoint; train first"),
    ],
)
def test_bad_input_is_one_line(
    changes: dict[str, Any], message: str, work: Path, tmp_path: Path
) -> None:
    with pytest.raises((CommandError, OSError)) as caught, bad_input():
        train(work, tmp_path / "out", **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "log.csv").exists()


class TestCheckpoints:
    def test_damaged(self, work: Path, tmp_path: Path) -> None:
        path = tmp_path / "checkpoints" / "last.ckpt"
        path.parent.mkdir()
        for content in (b"nothing", b""):
            path.write_bytes(content)
            with pytest.raises(TrainingError, match=r"last.ckpt: not a readable checkpoint"):
                train(work, tmp_path)
        torch.save({"step": 3}, path)
        with pytest.raises(TrainingError, match=r"last.ckpt: not a readable checkpoint"):
            load_averaged(path)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"data.batch": 4}, "last.ckpt: has data.batch 2; this run has 4; give another"),
            ({"data.clips": 2}, "last.ckpt: has data.clips 1; this run has 2; give another"),
            ({"seed_everything": 2}, "last.ckpt: has data.seed 1; this run has 2; give another"),
            ({"model.frozen": "[bn1]"}, r"has model.frozen \['\^conv1', 'bn1'\]; this run has"),
            ({"model.learning_rate": 1e-4}, "last.ckpt: has model.learning_rate 0.001; this run"),
            (
                {"model.loss_weights": "{{box: 2}}"},
                "has model.loss_weights.box 1.0; this run has 2",
            ),
            (
                {"data.synthetic": "{{joined: 1}}"},
                "last.ckpt: has data.synthetic.joined 0.4; this run has 1",
            ),
            (
                {"data.sources": "[{{kind: photos, root: '{work}/photos', weight: 2}}]"},
                r"last.ckpt: has other data.sources, \[",
            ),
            ({"model.network": "{work}/wide.yaml"}, "last.ckpt: is of another network than model"),
        ],
    )
    def test_of_another_run(
        self,
        changes: dict[str, Any],
        message: str,
        work: Path,
        whole: tuple[Path, dict[str, Any]],
    ) -> None:
        (work / "wide.yaml").write_text(NETWORK.replace("width: 8, c", "width: 9, c"))
        changes = {
            key: value.format(work=work) if isinstance(value, str) else value
            for key, value in changes.items()
        }
        out, last = whole
        config = (out / "config.yaml").read_text()
        with pytest.raises(TrainingError, match=message):
            train(work, out, **changes)
        assert_same(read_checkpoint(out / "checkpoints" / "last.ckpt"), last)
        assert (out / "config.yaml").read_text() == config

    def test_of_an_older_or_newer_release(
        self, work: Path, whole: tuple[Path, dict[str, Any]]
    ) -> None:
        """A setting that was not there yet has its default; one that is gone is another network."""
        module = TrainingModule(
            str(work / "tiny.yaml"), "none", frozen=["^conv1", "bn1"], warmup_steps=2
        )
        about = whole[1][ABOUT]
        older = {key: value for key, value in about["network"].items() if key != "neck"}
        module.on_load_checkpoint({ABOUT: {**about, "network": older}})
        for other in ({"neck": "fpn"}, {"gone": 1}):
            network = {**about["network"], **other}
            with pytest.raises(TrainingError, match="is of another network"):
                module.on_load_checkpoint({ABOUT: {**about, "network": network}})
        data = PairsDataModule(str(work / "tiny.yaml"), about["data"]["sources"], pairs=20, batch=2)
        bare = [{"kind": "photos", "root": "elsewhere"}]
        older = {"batch": 2, "seed": 1, "sources": bare}
        data.load_state_dict(older)
        with pytest.raises(TrainingError, match=r"has other data\.sources"):
            data.load_state_dict({**older, "sources": [{**bare[0], "weight": 2.0}]})


def test_nobody_waits_for_gradients_of_what_is_not_heard(work: Path) -> None:
    """The constant correlation hears nothing of the template."""
    path = work / "constant.yaml"
    path.write_text(NETWORK.replace("correlation: pixelwise", "correlation: constant"))
    module = TrainingModule(str(path), "none", template_frozen=["bn1"])
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert trained and not any("template_" in name for name in trained)
    path.write_text(path.read_text() + "presence: true\n")  # which does hear it
    module = TrainingModule(str(path), "none", template_frozen=["bn1"])
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert any("template_laterals" in name for name in trained)


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[10] == 1 and rates[100] == pytest.approx(0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_workers_give_way_to_training() -> None:
    class Priorities(torch.utils.data.Dataset[int]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> int:
            return os.nice(0)

    ours = os.nice(0)
    loader = torch.utils.data.DataLoader(Priorities(), batch_size=None, **loader_settings(1))
    assert list(loader) == [19, 19] and os.nice(0) == ours


def test_steps_are_divided_among_processes() -> None:
    parts = [list(StepSampler(3, 6, rank, 2)) for rank in range(2)]
    assert parts[0] == [[0, 1, 2], [6, 7, 8], [12, 13, 14]]
    assert [a + b for a, b in zip(*parts, strict=True)] == list(StepSampler(3, 6))
    later = StepSampler(3, 6)
    later.first = 2
    assert list(later) == [[12, 13, 14, 15, 16, 17]] and len(later) == 3


class TestCommands:
    """As ``siampolar train`` and ``siampolar export``."""

    @pytest.fixture(autouse=True)
    def entry_points(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As pyproject.toml declares them, whether this is installed or not."""
        declared = re.findall(
            r'^(train|export) = "(siampolar_training\.\S+)"$',
            (ROOT / "pyproject.toml").read_text(),
            re.M,
        )
        assert len(declared) == 2
        points = [EntryPoint(name, value, cli.ENTRY_POINT_GROUP) for name, value in declared]
        monkeypatch.setattr(cli, "entry_points", lambda group: points)

    def run(self, *words: object) -> int:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(word) for word in words])
        return int(caught.value.code or 0)

    def test_train_passes_its_arguments_on(
        self,
        work: Path,
        whole: tuple[Path, dict[str, Any]],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.run("train", *arguments(work, whole[0])) == 0
        assert self.run("train", *arguments(work, whole[0], **{"model.speed": 1})) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ") and "speed" in error
        assert self.run("train", "fit", "--help") == 0
        assert "--data.pairs" in capsys.readouterr().out

    @pytest.mark.parametrize("name", [p.name for p in (ROOT / "config/training").glob("*.yaml")])
    def test_committed_configurations_are_valid(
        self, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(ROOT)
        config = ROOT / "config" / "training" / name
        assert self.run("train", "fit", "--config", config, "--print_config") == 0
        settings = yaml.safe_load(capsys.readouterr().out)
        assert settings["trainer"]["default_root_dir"] == f"runs/{config.stem}"
        data = PairsDataModule(settings["model"]["network"], **settings["data"])
        assert data.steps >= settings["trainer"]["val_check_interval"]

    def test_export(
        self,
        whole: tuple[Path, dict[str, Any]],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        best = whole[0] / "checkpoints" / "best.ckpt"
        assert self.run("export", best, tmp_path / "model") == 0
        assert "pairs; clips_j 0." in capsys.readouterr().out
        engine = load_engine(tmp_path / "model", "onnxruntime")
        assert engine.spec.name == "tiny"
        assert self.run("export", tmp_path / "none.ckpt", tmp_path / "other") == 2
        error = capsys.readouterr().err
        assert error.endswith("none.ckpt: no such checkpoint; train first\n")
        assert len(error.splitlines()) == 1 and not (tmp_path / "other").exists()

    def test_an_error_of_a_worker_is_one_line(
        self, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photos = shutil.copytree(work / "photos", tmp_path / "photos")
        for path in photos.rglob("0000[0-3].jpg"):
            path.write_bytes(b"damaged")
        changes = {
            "data.sources": f"[{{kind: photos, root: {photos}}}]",
            "data.workers": 1,
            "data.cache_mb": 0,
        }
        assert self.run("train", *arguments(work, tmp_path / "out", **changes)) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"error: \S*photos/JPEGImages/photos/0000\d.jpg: ", error), error


def test_the_commit_is_unknown_outside_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "__file__", str(tmp_path / "commit.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit.commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit.commit() == "unknown"
