"""Damaged files of every kind are read or refused, in a child process that may crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fuzz_files.py"


@pytest.mark.slow
def test_a_thousand_damaged_files(tmp_path: Path) -> None:
    for needed in ("rosbags", "pycocotools", "yaml", "PIL", "siampolar_training"):
        pytest.importorskip(needed)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--files", "1000", "--keep", tmp_path / "kept"],
        cwd=SCRIPT.parents[1], capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1000 files in " in done.stdout and ", 0 faults" in done.stdout
    for kind in ("picture", "folder", "mask", "video", "coco", "bag", "yaml", "boxes"):
        assert f"\n{kind}: " in f"\n{done.stdout}"
    # Good files among them would hide a reader that refuses everything.
    assert done.stdout.count(" read, ") >= 6, done.stdout
