"""Plots of the scores of one sequence."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from .evaluate import SequenceScores


def plot_sequence(scores: SequenceScores, path: Path) -> None:
    """Write a PNG of J, F and box IoU over the frames, with lost frames shaded.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figures = importlib.import_module("matplotlib.figure")  # needs no display
    figure = figures.Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(scores.j))
    iou = [np.nan if value is None else value for value in scores.box_iou]
    for values, label in ((scores.j, "J"), (scores.f, "F"), (iou, "box IoU")):
        axes.plot(at, values, label=label, linewidth=1.2)
    axes.fill_between(at, 0, 1, where=scores.lost, color="0.8", step="mid", label="lost")
    axes.set(
        title=scores.name, xlabel="frame", ylabel="value", ylim=(0, 1.02), xlim=(0, len(at) - 1)
    )
    figure.legend(loc="outside upper right", ncols=4, fontsize="small")  # beside the title
    figure.savefig(path, dpi=120)
