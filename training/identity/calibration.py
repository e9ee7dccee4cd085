"""The fit of a confidence to what was seen, and measures of how good a confidence is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F

from siampolar_model.errors import DatasetError
from siampolar_model.models.folder import SPEC_FILE, ModelFolder
from siampolar_model.tracking.confidence import Calibration, Evidence

from .samples import FEATURES, Samples

#: From this IoU an outline lies on the object; below the second it does not.
ON_IOU, OFF_IOU = 0.5, 0.3

#: Parts of [0, 1] of the expected calibration error and of the diagram.
BINS = 10

#: Keeps coefficients small where few samples would make them large.
_RIDGE = 1e-3


def fit(parts: Mapping[str, Samples]) -> dict[str, float]:
    """A weight for every feature, and ``bias``, of a logistic regression.

    Args:
        parts: samples by kind; every kind counts the same, however many samples it has.

    Raises:
        DatasetError: all samples are on their object, or none is.
    """
    samples = Samples.joined(list(parts.values()))
    on_object = samples.iou >= ON_IOU
    weight = np.concatenate([np.full(len(one), 1 / max(len(one), 1)) for one in parts.values()])
    if on_object.all() or not on_object.any():
        raise DatasetError(
            f"{len(on_object)} samples, {int(on_object.sum())} of them on their object: a fit "
            "needs both kinds"
        )
    x = torch.from_numpy(np.column_stack([samples.evidence, np.ones(len(samples))]))
    truth = torch.from_numpy(on_object.astype(float))
    share = torch.from_numpy(weight / weight.sum())
    w = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        wrong = F.binary_cross_entropy_with_logits(x @ w, truth, share, reduction="sum")
        value = wrong + _RIDGE * w[:-1].square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    names = (*FEATURES, "bias")
    return {name: round(float(v), 4) for name, v in zip(names, w.detach(), strict=True)}


def confidences(coefficients: Mapping[str, float], samples: Samples) -> np.ndarray:
    """What these coefficients make of the evidence, float64 (N,)."""
    calibration = Calibration(**coefficients)
    return np.array([calibration.confidence(Evidence(*row)) for row in samples.evidence])


@dataclass(frozen=True)
class Reliability:
    """How good a confidence is.

    Attributes:
        samples: targets on images.
        on_object: share of them whose outline lies on the chosen object.
        ece: expected calibration error, over ten parts of [0, 1] of the same width.
        auroc: probability that an outline on its object (IoU from 0.5) has a higher confidence
            than one that is not (IoU below 0.3); NaN if there is none of a kind.
        bins: mean confidence, share on the object, and samples of every part that has any.
    """

    samples: int
    on_object: float
    ece: float
    auroc: float
    bins: tuple[tuple[float, float, int], ...]


def reliability(confidence: np.ndarray, iou: np.ndarray) -> Reliability:
    """Measure confidences, float64 (N,), against the IoU of outline and object, float64 (N,).

    Raises:
        DatasetError: no samples.
    """
    if not len(iou):
        raise DatasetError("no samples: no target was followed")
    on_object = iou >= ON_IOU
    part = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = tuple(
        (float(confidence[part == i].mean()), float(on_object[part == i].mean()),
         int((part == i).sum()))
        for i in range(BINS) if (part == i).any()
    )  # fmt: skip
    ece = sum(count * abs(mean - share) for mean, share, count in bins) / len(iou)
    return Reliability(
        len(iou), float(on_object.mean()), float(ece),
        auroc(confidence[on_object], confidence[iou < OFF_IOU]), bins,
    )  # fmt: skip


def auroc(higher: np.ndarray, lower: np.ndarray) -> float:
    """The share of pairs of which the first is greater; equal ones count half; NaN without pairs.

    Example:
        >>> import numpy as np
        >>> auroc(np.array([0.9, 0.4]), np.array([0.1, 0.4]))
        0.875
    """
    if not len(higher) or not len(lower):
        return float("nan")
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left")
    equal = np.searchsorted(ordered, higher, "right") - below
    return float((below + equal / 2).mean() / len(lower))


def write(model: ModelFolder, values: Mapping[str, float]) -> ModelFolder:
    """Put coefficients into a model's ``model.json``, and its new hash into ``SHA256SUMS``.

    Raises:
        OSError: a file cannot be written.
    """
    content = json.loads(model.file(SPEC_FILE).read_text(encoding="utf-8"))
    content["spec"]["confidence"] = dict(values)
    with TemporaryDirectory() as folder:
        changed = Path(folder) / SPEC_FILE
        changed.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return model.add(changed)


def draw_diagram(measured: Reliability, path: Path, title: str) -> None:
    """Write a reliability diagram as a picture; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    mean, share, count = (np.array(column) for column in zip(*measured.bins, strict=True))
    axes.plot(mean, share, color="#1769aa", linewidth=1.5)
    area = 12 + 260 * np.sqrt(count / count.sum())
    axes.scatter(mean, share, area, color="#1769aa", alpha=0.8, linewidths=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="published confidence", title=title,
             ylabel="share of outlines on their object")  # fmt: skip
    axes.text(
        0.04, 0.96, f"ECE {measured.ece:.3f}, AUROC {measured.auroc:.3f}\n"
        f"{measured.samples} outlines", transform=axes.transAxes, va="top",
    )  # fmt: skip
    figure.savefig(path, dpi=110)
