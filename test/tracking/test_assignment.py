"""The assignment is the cheapest one: every other one is tried."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siampolar_model.tracking.assignment import assign


def total(costs: np.ndarray, nothing: np.ndarray, columns: list[int | None]) -> float:
    return sum(
        float(nothing[row] if column is None else costs[row, column])
        for row, column in enumerate(columns)
    )


def cheapest(costs: np.ndarray, nothing: np.ndarray) -> float:
    rows, columns = costs.shape
    choices = [None, *range(columns)]
    return min(
        total(costs, nothing, list(columns))
        for columns in itertools.product(choices, repeat=rows)
        if len([c for c in columns if c is not None]) == len({*columns} - {None})
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 10**6), st.integers(0, 3))
def test_no_other_assignment_costs_less(rows: int, columns: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.random((rows, columns)).round(digits)  # few digits: many ties
    costs[rng.random(costs.shape) < 0.2] = np.inf
    nothing = rng.random(rows).round(digits)
    found = assign(costs, nothing)
    given_out = [column for column in found if column is not None]
    assert len(given_out) == len(set(given_out))
    assert total(costs, nothing, found) == pytest.approx(cheapest(costs, nothing))


def test_nobody_and_nothing() -> None:
    assert assign(np.zeros((0, 3)), np.zeros(0)) == []
    assert assign(np.zeros((2, 0)), np.zeros(2)) == [None, None]
