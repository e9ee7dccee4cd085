"""All threads or few: whichever is faster at the moment, and seldom the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from siampolar_model.engines.loading import load_engine
from siampolar_model.engines.thread_choice import ThreadChoice
from siampolar_model.errors import EngineError


def run(choice: ThreadChoice, calls: int, ms: Callable[[bool], float]) -> list[bool]:
    """Which calls ran on few threads, if one takes ``ms(few)``."""
    ways = []
    for _ in range(calls):
        ways.append(choice.few)
        choice.took(ms(choice.few) / 1000)
    return ways


def idle(few: bool) -> float:
    return 3.1 if few else 1.8


def loaded(few: bool) -> float:
    return 3.2 if few else 4.5


def test_on_idle_cores_all_threads_are_kept_and_trials_are_rare() -> None:
    choice = ThreadChoice()
    ways = run(choice, 4000, idle)
    assert sum(ways) / len(ways) < 0.01
    assert sum(ways[-2000:]) <= 12


def test_a_busy_core_leads_to_few_threads_within_a_second() -> None:
    choice = ThreadChoice()
    run(choice, 2000, idle)
    ways = run(choice, 1000, loaded)
    assert ways[:40].count(True) >= 3  # 30 images are a second
    assert sum(ways[40:]) / len(ways[40:]) > 0.97
    ways = run(choice, 1500, idle)
    assert sum(ways[600:]) / len(ways[600:]) < 0.02


def test_a_process_that_starts_on_a_busy_machine_finds_out_too() -> None:
    ways = run(ThreadChoice(), 500, loaded)
    assert sum(ways[20:]) / len(ways[20:]) > 0.9


def test_a_single_slow_call_changes_nothing() -> None:
    choice = ThreadChoice()
    run(choice, 2000, idle)
    times = iter([30.0] + [1.8] * 99)
    assert sum(run(choice, 100, lambda few: next(times))) <= 3


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_few_threads_give_the_same_numbers(name: str, precision: str) -> None:
    """So that results do not depend on what else the machine does."""
    pytest.importorskip(name)
    try:
        engine = load_engine("siampolar_lite0", name, precision=precision)
    except EngineError as error:
        pytest.skip(str(error))
    choice = engine._choice  # type: ignore[attr-defined]
    if choice is None:
        pytest.skip("this process has one core")
    size, cut = engine.spec.search_size, engine.spec.template_size
    low = np.random.default_rng(1).integers(0, 255, (1, 32, 32, 3), np.uint8)
    image = np.ascontiguousarray(low.repeat(8, 1).repeat(8, 2)[:, :size, :size])
    box = np.array([30, 30, 90, 95], np.float32)
    engine.encode(1, np.ascontiguousarray(image[0, 60 : 60 + cut, 60 : 60 + cut]), box)
    prior = np.array([[0.3, 0.15, 70, 60, 127, 127]], np.float32)
    found = []
    for few in (False, True):
        choice.few = few
        found.append(engine.search([1], image, prior))
    for one, other in zip(vars(found[0]).values(), vars(found[1]).values(), strict=True):
        np.testing.assert_array_equal(one, other)
