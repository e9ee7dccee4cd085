"""Every engine and precision gives torch's answer, on real crops."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.engines.loading import load_engine
from siampolar_model.errors import EngineError
from siampolar_model.export.calibration import CropPair, crop_pairs
from siampolar_model.export.compare import difference

#: How far the best candidate may be off, by precision: score, overlap of boxes and of outlines.
ALLOWED = {
    "fp32": (0.001, 0.999, 0.999),
    "bf16": (0.01, 0.98, 0.97),
    "int8": (0.02, 0.96, 0.95),
}

MODEL = "siampolar_lite0"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exact() -> Engine:
    pytest.importorskip("timm")
    return load_engine(MODEL, "torch", num_threads=1)


@pytest.fixture(scope="module")
def pairs(exact: Engine, shared_data: Callable[[str], Path]) -> list[CropPair]:
    return list(crop_pairs(shared_data("photos"), exact.spec, 16))


def answers(engine: Engine, pairs: list[CropPair]) -> list[Candidates]:
    found = []
    for pair in pairs:
        engine.encode(1, pair.template, pair.box_xyxy)
        found.append(engine.search([1], pair.search[None], pair.prior[None]))
    return found


@pytest.fixture(scope="module")
def expected(exact: Engine, pairs: list[CropPair]) -> list[Candidates]:
    return answers(exact, pairs)


def load(name: str, precision: str) -> Engine:
    pytest.importorskip(name)
    try:
        return load_engine(MODEL, name, precision=precision, num_threads=1)
    except EngineError as error:
        if precision == "fp32":
            raise  # every engine and every processor has that
        pytest.skip(str(error))


CASES = [
    ("onnxruntime", "fp32"), ("onnxruntime", "int8"),
    ("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_parity_with_torch(
    name: str, precision: str, pairs: list[CropPair], expected: list[Candidates]
) -> None:
    engine = load(name, precision)
    assert (engine.name, engine.precision) == (name, precision)
    off = difference(answers(engine, pairs), expected)
    print(name, precision, off)
    score, box, outline = ALLOWED[precision]
    assert off.score < score and off.box_iou > box and off.outline_iou > outline, off


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_batch_gives_what_single_calls_give(
    name: str, precision: str, pairs: list[CropPair]
) -> None:
    """In any number and order, also after a larger batch; and results stay as they were."""
    engine = load(name, precision)
    count = 5
    for slot, pair in enumerate(pairs[:count]):
        engine.encode(slot, pair.template, pair.box_xyxy)
    crops = np.stack([pair.search for pair in pairs[:count]])
    prior = np.stack([pair.prior for pair in pairs[:count]])
    singles = [engine.search([i], crops[i : i + 1], prior[i : i + 1]) for i in range(count)]
    kept = [one.score.copy() for one in singles]
    names = Candidates.names(engine.spec)
    for order in ([0, 1, 2, 3, 4], [3, 1], [2], [4, 4, 0]):
        found = engine.search(order, crops[order], prior[order])
        assert found.score.shape == (len(order), 4)
        rows = [
            Candidates(**{name: getattr(found, name)[i : i + 1] for name in names})
            for i in range(len(order))
        ]
        off = difference(rows, [singles[i] for i in order])
        # Batches take other kernels, which round elsewhere.
        score, box, outline = ALLOWED[precision]
        assert off.score <= score and off.box_iou > box and off.outline_iou > outline, (order, off)
    for one, score in zip(singles, kept, strict=True):
        np.testing.assert_array_equal(one.score, score)


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_slots(name: str, precision: str, pairs: list[CropPair]) -> None:
    engine = load(name, precision)
    engine.release(7)  # unknown: ignored
    engine.encode(1, pairs[0].template, pairs[0].box_xyxy)
    engine.encode(2, pairs[1].template, pairs[1].box_xyxy)
    first, second = (
        engine.search([slot], pairs[0].search[None], pairs[0].prior[None]) for slot in (1, 2)
    )
    assert np.abs(first.score - second.score).max() > 0.01  # the template decides
    engine.encode(2, pairs[0].template, pairs[0].box_xyxy)  # replaced
    again = engine.search([2], pairs[0].search[None], pairs[0].prior[None])
    np.testing.assert_allclose(again.score, first.score, atol=1e-5)
    engine.release(1)
    with pytest.raises(KeyError):
        engine.search([1], pairs[0].search[None], pairs[0].prior[None])


SIGNAL_AFTER_ENGINES = """
import os, signal
from siampolar_model.engines.loading import load_engine

first = load_engine("siampolar_lite0", "openvino", num_threads=1)
second = load_engine("siampolar_lite0", "openvino", num_threads=1)
del first
del second
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_after_engines_were_released() -> None:
    """OpenVINO left its freed memory as the stack for signals: the next one ended the process."""
    pytest.importorskip("openvino")
    command = [sys.executable, "-c", SIGNAL_AFTER_ENGINES]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (child.returncode, child.stdout) == (0, "handled\n"), child.stderr
