"""The notebook of the documentation, executed as a reader would."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quickstart.ipynb"


def printed(notebook: Any) -> str:
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    return "".join(one["text"] for one in outputs if one.get("name") == "stdout")


def pictures(notebook: Any) -> int:
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    return sum("image/png" in one.get("data", {}) for one in outputs)


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    for needed in ("ipykernel", "matplotlib", "supervision"):
        pytest.importorskip(needed)
    copy = shutil.copy(NOTEBOOK, tmp_path)
    notebook = nbformat.read(copy, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    text = printed(notebook)
    overlaps = [float(one) for one in re.findall(r"mean IoU ([\d.]+)", text)]
    # The cyclist is hidden by a van: what follows differs from model to model.
    assert len(overlaps) == 2 and min(overlaps) > 0.4 and max(overlaps) > 0.6, text
    assert re.search(r"60 frames; (TRACKING|UNCERTAIN|LOST)", text), text
    assert pictures(notebook) == 3


def test_the_notebook_shows_its_results() -> None:
    """Whoever reads it without running it sees what it prints and draws."""
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert "mean IoU" in printed(notebook) and pictures(notebook) == 3
