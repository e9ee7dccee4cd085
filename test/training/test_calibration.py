"""A fitted confidence: what it learns, how it is measured, and where it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs the extra train")

from siampolar_model.errors import DatasetError, EngineError
from siampolar_model.models.folder import ModelFolder
from siampolar_model.models.spec import ModelSpec
from siampolar_model.tracking.confidence import (
    CALIBRATION,
    Calibration,
    Evidence,
)
from siampolar_training.identity import calibration
from siampolar_training.identity.samples import FEATURES, Samples

SPEC = ModelSpec("toy", 127, 255, 1.7, 72, 4)


def samples(count: int, seed: int) -> Samples:
    """Outlines of which those with a high score, and little doubt, are the more likely right."""
    rng = np.random.default_rng(seed)
    evidence = rng.random((count, len(FEATURES)))
    score, doubt = (evidence[:, FEATURES.index(name)] for name in ("score", "doubt"))
    right = rng.random(count) < 1 / (1 + np.exp(2 + 3 * doubt - 7 * score))
    iou = np.where(right, 0.8, 0.1)
    return Samples(evidence, np.zeros(count), iou, np.ones(count, bool))


def test_a_fit_finds_what_counts_and_is_calibrated_on_other_samples() -> None:
    coefficients = calibration.fit({"some": samples(4000, 1)})
    assert coefficients["score"] > 4 and coefficients["doubt"] < -1.5
    assert all(abs(coefficients[name]) < 0.5 for name in FEATURES if name not in ("score", "doubt"))
    others = samples(4000, 2)
    measured = calibration.reliability(calibration.confidences(coefficients, others), others.iou)
    assert measured.samples == 4000 and measured.ece < 0.03 and measured.auroc > 0.85


def test_every_kind_of_samples_counts_the_same_in_a_fit() -> None:
    wrong = replace(samples(3000, 1), iou=np.zeros(3000))
    few_right = replace(samples(30, 1), iou=np.ones(30))
    coefficients = calibration.fit({"wrong": wrong, "right": few_right})
    assert calibration.confidences(coefficients, few_right).mean() == pytest.approx(0.5, abs=0.05)


def test_samples_of_one_kind_cannot_be_fitted() -> None:
    right = replace(samples(10, 1), iou=np.ones(10))
    with pytest.raises(DatasetError, match="10 samples, 10 of them on their object"):
        calibration.fit({"right": right})


def test_what_a_reliability_measures() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.15, 0.15])
    iou = np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.4])  # 0.4 is neither on its object nor off it
    measured = calibration.reliability(confidence, iou)
    assert measured.on_object == 0.5
    assert measured.ece == pytest.approx((4 * 0.2 + 2 * 0.15) / 6)
    assert measured.auroc == pytest.approx(0.75)
    bins = ((pytest.approx(0.15), 0.0, 2), (pytest.approx(0.95), 0.75, 4))
    assert measured.bins == bins
    with pytest.raises(DatasetError, match="no target was followed"):
        calibration.reliability(np.empty(0), np.empty(0))


def test_coefficients_are_kept_with_the_model_and_read_again(tmp_path: Path) -> None:
    for name in ("template.onnx", "search.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    files = [tmp_path / "template.onnx", tmp_path / "search.onnx"]
    folder = ModelFolder.write(tmp_path / "model", SPEC, files, {"name": "toy"})
    assert Calibration.of(ModelFolder.open(folder.path).spec) == CALIBRATION
    coefficients = calibration.fit({"some": samples(500, 1)})
    calibration.write(folder, coefficients)
    spec = ModelFolder.open(folder.path).spec
    evidence = Evidence(*samples(1, 5).evidence[0])
    expected = calibration.confidences(coefficients, samples(1, 5))[0]
    assert Calibration.of(spec).confidence(evidence) == pytest.approx(expected)


@pytest.mark.parametrize(
    "values", [{"bias": 1.0}, dict.fromkeys((*FEATURES, "bias"), float("nan"))]
)
def test_wrong_coefficients_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="must have a finite number for bias, doubt"):
        Calibration.of(replace(SPEC, confidence=values))
