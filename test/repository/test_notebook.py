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


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    for needed in ("ipykernel", "matplotlib", "supervision"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(shutil.copy(NOTEBOOK, folder), as_version=4)
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    return notebook


@pytest.mark.slow
def test_the_quickstart_runs(executed: Any) -> None:
    text = printed(executed)
    assert len(re.findall(r"mean IoU ([\d.]+)", text)) == 2 and "60 frames; " in text, text
    assert pictures(executed) == 3


@pytest.mark.slow
def test_the_ball_is_followed_past_the_post(executed: Any) -> None:
    text = printed(executed)
    overlaps = [float(one) for one in re.findall(r"mean IoU ([\d.]+)", text)]
    assert min(overlaps) > 0.6, text
    assert "60 frames; TRACKING" in text


def test_the_notebook_shows_its_results() -> None:
    """Whoever reads it without running it sees what it prints and draws."""
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert "mean IoU" in printed(notebook) and pictures(notebook) == 3
