"""Two processes train as one with the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("timm")
pytest.importorskip("lightning")
pytest.importorskip("jsonargparse")
from lightning_runs import (
    EVERYTHING,
    NETWORK,
    arguments,
    assert_same,
    environment,
    log_rows,
    write_run,
)

from siampolar_training.checkpoints import read_checkpoint


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
        # Positives must not be alike in both halves of a batch.
        "data.synthetic": "{negative: 0.5}",
    }
    starts = {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc-per-node", "2"],
    }  # fmt: skip
    last, logs = {}, {}
    for name, start in starts.items():
        out = tmp_path / name
        command = [*start, str(tmp_path / "script.py"), *arguments(tmp_path, out, **changes)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        last[name] = read_checkpoint(out / "checkpoints" / "last.ckpt")
        logs[name] = log_rows(out)
    assert [row["step"] for row in logs["one"]] == [row["step"] for row in logs["two"]]
    for one, two in zip(logs["one"], logs["two"], strict=True):
        for key in set(one) - {"step", "images_per_s", "waited"}:
            assert bool(one[key]) == bool(two[key])
            if one[key]:
                assert float(two[key]) == pytest.approx(float(one[key]), rel=2e-3, abs=2e-4), key
    assert_same(last["one"], last["two"], atol=1e-4)
