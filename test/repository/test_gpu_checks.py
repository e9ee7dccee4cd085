"""``python scripts/gpu_checks``: without a GPU it ends cleanly and names what it could not run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

pytest.importorskip("onnxruntime")

SCRIPT = ROOT / "scripts" / "gpu_checks"
PARTS = {"cuda", "rtx", "engine", "torch", "lean", "training"}


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        # No device, whatever the machine has.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )


def test_the_engine_part_is_right_on_the_stand_ins(tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.runtime")
    done = run("--only", "engine", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "engine.json").read_text())
    assert report["status"] == "stand-in" and list(report["checks"].values()) == [True]


def test_a_part_that_fails_gives_an_exit_status_and_its_reason(tmp_path: Path) -> None:
    (tmp_path / "engine_cache").write_text("a file in place of the folder")
    pytest.importorskip("cuda.bindings.runtime")
    done = run("--only", "engine", "--out", tmp_path)
    assert done.returncode == 1
    report = json.loads((tmp_path / "engine.json").read_text())
    assert report["status"] == "failed" and "engine_cache" in report["reason"]


def test_the_page_shows_what_failed_and_that_no_gpu_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT))
    from gpu_page import page  # type: ignore[import-not-found]

    part = {"status": "not run", "reason": "no CUDA device", "notes": {}, "checks": {}}
    parts = {name: {**part, "seconds": 1.0} for name in PARTS}
    parts["cuda"] |= {"status": "failed", "reason": "killed by signal 11"}
    result = {
        "date": "today",
        "commit": "abc",
        "seconds": 6,
        "machine": {"python": "3"},
        "parts": parts,
    }
    text = page(result)
    assert "**No GPU has run this yet.**" in text and "failed: killed by signal 11" in text
    parts["cuda"] |= {"notes": {"gpu": "Card", "times": {"1": "2, 3"}}, "checks": {"works": False}}
    text = page(result)
    assert "On Card." in text and "| works | **no** |" in text and "| times | 1: 2, 3 |" in text


def test_limits_of_the_parts_are_less_than_eight_minutes_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT))
    spec = importlib.util.spec_from_file_location("gpu_checks_main", SCRIPT / "__main__.py")
    assert spec is not None and spec.loader is not None
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    assert set(main.PARTS) == PARTS and sum(main.PARTS.values()) < 480


@pytest.mark.slow
def test_the_command_ends_cleanly_without_a_gpu(tmp_path: Path) -> None:
    written = tmp_path / "page.md"
    written.write_text("An earlier run.\n\n## Added by hand\nTwo words.\n")
    done = run("--out", tmp_path, "--write", written)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert set(result["parts"]) == PARTS
    for name, part in result["parts"].items():
        assert part["status"] == ("stand-in" if name == "engine" else "not run"), (name, part)
        assert part["reason"] or name == "engine"
    text = written.read_text()
    assert "**No GPU has run this yet.**" in text and "An earlier run." not in text
    assert text.endswith("\n\n## Added by hand\nTwo words.\n")


def test_the_page_in_docs_is_one_of_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """How to run it is written once, in the command itself."""
    monkeypatch.syspath_prepend(str(SCRIPT))
    import gpu_page  # type: ignore[import-not-found]

    assert (ROOT / "docs" / "gpu.md").read_text().startswith(gpu_page._HOW)
