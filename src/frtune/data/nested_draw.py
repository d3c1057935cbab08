"""Draws of rows of which a larger one holds the smaller ones, classes in their shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np


def nested_order(
    rows: int, *, seed: int, strata: Sequence[Hashable | list[str]] | None = None
) -> np.ndarray:
    """Order rows so that the first N are a draw of N rows, for every N.

    The k-th row of a class of n rows comes at a place drawn between (k - 1) / n and k / n of the
    whole, so that the first rows have each class in its share, within one row or two.

    Args:
        rows: How many there are.
        seed: The same seed and strata give the same order.
        strata: The class of each row, or the list of its several labels, of which the rarest
            counts. ``None`` draws at random.

    Returns:
        int64 of shape ``(rows,)``.

    Example:
        >>> order = nested_order(8, seed=1, strata="aaaabbbb")
        >>> sorted("aaaabbbb"[row] for row in order[:4])
        ['a', 'a', 'b', 'b']
    """
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    if strata is None:
        return order
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(each, len(numbers)) for each in _classes(strata)], int)
    codes = codes[order]
    place = np.zeros(rows)
    for code in range(len(numbers)):
        members = np.flatnonzero(codes == code)
        drawn = random.random(len(members))
        place[members] = (np.arange(len(members)) + drawn) / len(members)
    return order[np.argsort(place, kind="stable")]


def _classes(strata: Sequence[Hashable | list[str]]) -> list[Hashable]:
    """One class a row: of several labels the rarest."""
    counts = Counter(label for row in strata if isinstance(row, list) for label in row)
    return [
        min(row, key=lambda label: (counts[label], label), default="")
        if isinstance(row, list)
        else row
        for row in strata
    ]
