"""Two processes train as one with the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("timm")
pytest.importorskip("lightning")
pytest.importorskip("jsonargparse")
import torch

from siampolar_training.run.checkpoints import read_checkpoint
from siampolar_training.run.lightning_cli import TrainingCLI
from support.lightning_runs import EVERYTHING, NETWORK, arguments, environment, log_rows, write_run


def test_two_processes_are_one(tmp_path: Path) -> None:
    """Same losses, scores and weights, batch norms and counts of positives included."""
    write_run(tmp_path)
    (tmp_path / "tiny.yaml").write_text(NETWORK + EVERYTHING)
    changes = {
        "trainer.precision": "32-true",
        "trainer.log_every_n_steps": 1,
        "data.pairs": 24,
        "data.batch": 4,
        "data.clips": 3,
        # Rounding grows from step to step with what a step changes: with steps of the usual size
        # gradients are apart by some percent after six of them.
        "model.learning_rate": 1e-6,
        "model.backbone_rate": 1e-6,
        # Positives must not be alike in both halves of a batch.
        "data.synthetic": "{negative: 0.5}",
    }
    TrainingCLI(arguments(tmp_path, tmp_path / "one", **changes))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", str(tmp_path / "script.py")]
    command += arguments(tmp_path, tmp_path / "two", **changes)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    logs = [log_rows(tmp_path / name) for name in ("one", "two")]
    assert len(logs[0]) == 8  # six steps, two validations
    for one, two in zip(*logs, strict=True):
        assert one["step"] == two["step"]
        for key in set(one) - {"step", "images_per_s", "waited"}:
            assert bool(one[key]) == bool(two[key])
            if one[key]:
                # To the digits that are written.
                assert float(two[key]) == pytest.approx(float(one[key]), rel=2e-4), key

    last = [
        read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("one", "two")
    ]
    for part in ("state_dict", "current_model_state"):
        for key, value in last[0][part].items():
            # Parameters hardly move at these rates (gradients are compared below): this is about
            # the statistics of batch norms.
            torch.testing.assert_close(last[1][part][key], value, rtol=1e-3, atol=1e-4, msg=key)
    gradients = [one["optimizer_states"][0]["state"] for one in last]
    for key, state in gradients[0].items():
        mean, other = state["exp_avg"], gradients[1][key]["exp_avg"]
        assert (mean - other).abs().max() <= 0.02 * mean.abs().max() + 1e-6, key
