"""Splits in which each of several labels a row has its share (iterative stratification)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np


def stratified_sets(
    order: np.ndarray, counts: Sequence[int], sets: Sequence[Any], random: np.random.Generator
) -> np.ndarray:
    """Reorder rows so that each run of ``counts`` rows has each label in its share.

    Iterative stratification (Sechidis et al. 2011, algorithm 1): the rows of the rarest label that
    is left go first, each to the split that lacks most of that label, then to the one that lacks
    most rows. Here a split that is full takes no more, so that all have the rows asked for.

    Args:
        order: Row numbers in a random order, ``(rows,)``.
        counts: Rows of each split, but for the last, which gets the rest.
        sets: The labels of each row, by its number.
        random: Settles what is left undecided.

    Example:
        >>> sets = [["a"], ["a", "b"], ["b"], [], ["a"], ["a", "b"], ["b"], []]
        >>> found = stratified_sets(np.arange(8), [4], sets, np.random.default_rng(0))
        >>> [sorted(label for row in half for label in sets[row]) for half in np.split(found, 2)]
        [['a', 'a', 'b', 'b'], ['a', 'a', 'b', 'b']]
    """
    free = np.array([*counts, len(order) - sum(counts)])
    shares = free / len(order)
    rows_of: dict[Hashable, list[int]] = defaultdict(list)
    for row in order.tolist():
        for label in sets[row]:
            rows_of[label].append(row)
    wanted = {label: shares * len(rows) for label, rows in rows_of.items()}
    left = {label: len(rows) for label, rows in rows_of.items()}
    split: dict[int, int] = {}

    def place(row: int, lacking: np.ndarray) -> None:
        """Give a row to the split that lacks most, of those that have room."""
        scores = np.where(free > 0, lacking, -np.inf)
        best = np.flatnonzero(scores == scores.max())
        best = best[free[best] == free[best].max()]
        chosen = int(best[0] if len(best) == 1 else random.choice(best))
        split[row] = chosen
        free[chosen] -= 1
        for label in sets[row]:
            wanted[label][chosen] -= 1
            if label in left:
                left[label] -= 1

    while left:
        rarest = min(left, key=lambda label: (left[label], str(label)))
        for row in rows_of[rarest]:
            if row not in split:
                place(row, wanted[rarest])
        del left[rarest]
        for label in [label for label, rows in left.items() if not rows]:
            del left[label]
    for row in order.tolist():
        if row not in split:  # without labels
            place(row, free.astype(float))
    parts: list[list[int]] = [[] for _ in free]
    for row in order.tolist():
        parts[split[row]].append(row)
    return np.array([row for part in parts for row in part], dtype=np.int64)
