"""Plots of scores: over the frames of one sequence, and the curves of a data set with boxes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .box_metrics import PRECISION_THRESHOLDS, SUCCESS_THRESHOLDS, box_ious
from .scores import BoxDatasetScores, BoxFrames, MaskFrames


def plot_frames(frames: MaskFrames | BoxFrames, path: Path) -> None:
    """Write a PNG of J, F and box IoU over the frames, or of box IoU alone; lost frames are shaded.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = _figure((9, 3))
    axes = figure.subplots()
    at = np.arange(len(frames.lost))
    for label, values in _lines(frames).items():
        axes.plot(at, values, label=label, linewidth=1.2)
    axes.fill_between(at, 0, 1, where=frames.lost, color="0.8", step="mid", label="lost")
    axes.set(
        title=frames.name, xlabel="frame", ylabel="value", ylim=(0, 1.02), xlim=(0, len(at) - 1)
    )
    figure.legend(loc="outside upper right", ncols=4, fontsize="small")  # next to the title
    figure.savefig(path, dpi=120)


def plot_curves(scores: Mapping[str, BoxDatasetScores], path: Path) -> None:
    """Write a PNG of the success curves and the precision curves.

    Args:
        scores: of each tracker by its name.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = _figure((9, 3.4))
    success, precision = figure.subplots(1, 2)
    for name, one in scores.items():
        success.plot(SUCCESS_THRESHOLDS, one.success_curve, label=f"{name} {one.AUC:.3f}")
        precision.plot(
            PRECISION_THRESHOLDS, one.precision_curve, label=f"{name} {one.precision_20px:.3f}"
        )
    success.set(xlabel="IoU above", ylabel="share of frames", title="success, AUC")
    precision.set(xlabel="distance of centres at most, px", title="precision, at 20 px")
    success.legend(loc="lower left", fontsize="small")
    precision.legend(loc="lower right", fontsize="small")
    for axes in (success, precision):
        axes.set(ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _lines(frames: MaskFrames | BoxFrames) -> dict[str, np.ndarray]:
    if isinstance(frames, BoxFrames):
        return {
            "box IoU": np.where(frames.visible, box_ious(frames.predicted, frames.true), np.nan)
        }
    iou = [np.nan if value is None else value for value in frames.box_iou]
    return {"J": np.array(frames.j), "F": np.array(frames.f), "box IoU": np.array(iou)}


def _figure(size: tuple[float, float]) -> Any:
    figures = importlib.import_module("matplotlib.figure")  # needs no display
    return figures.Figure(figsize=size, layout="constrained")
