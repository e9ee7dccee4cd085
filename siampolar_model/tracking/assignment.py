"""Which thing in the image belongs to whom: all targets and distractors are assigned together."""

from __future__ import annotations

import numpy as np


def assign(costs: np.ndarray, nothing: np.ndarray) -> list[int | None]:
    """Give every row a column of its own, or nothing, at the least cost together.

    The Hungarian algorithm with shortest augmenting paths (Jonker and Volgenant 1987).

    Args:
        costs: float64 (R, C); infinite where a row may not have a column.
        nothing: float64 (R,), cost of leaving a row without a column.

    Returns:
        The column of every row; None for nothing.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return [None] * rows
    best = costs.argmin(1)
    if len(set(best.tolist())) == rows and (costs.min(1) <= nothing).all():
        return [int(column) for column in best]
    # Every row has a column of its own that means nothing.
    wide = np.full((rows, columns + rows), np.inf)
    wide[:, :columns] = costs
    wide[np.arange(rows), columns + np.arange(rows)] = nothing
    owner = np.full(columns + rows, -1)
    row_price, column_price = np.zeros(rows), np.zeros(columns + rows)
    for first in range(rows):
        row, reached = first, np.zeros(columns + rows, bool)
        distance = np.full(columns + rows, np.inf)
        came_from = np.full(columns + rows, -1)  # the column before on the path; -1: the row
        path, via = 0.0, -1
        while True:
            further = path + wide[row] - row_price[row] - column_price
            better = ~reached & (further < distance)
            distance[better], came_from[better] = further[better], via
            column = int(np.where(reached, np.inf, distance).argmin())
            path, via = float(distance[column]), column
            if owner[column] < 0:
                break
            reached[column] = True
            row = int(owner[column])
        row_price[first] += path
        row_price[owner[reached]] += path - distance[reached]
        column_price[reached] += distance[reached] - path
        while via >= 0:
            before = int(came_from[via])
            owner[via] = owner[before] if before >= 0 else first
            via = before
    result: list[int | None] = [None] * rows
    for column in range(columns):
        if owner[column] >= 0:
            result[int(owner[column])] = column
    return result
