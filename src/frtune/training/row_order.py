"""The order in which rows are answered; apart from training's, which needs ``Trainer``."""

from __future__ import annotations

from collections.abc import Sequence


def by_length(lengths: Sequence[int]) -> list[int]:
    """Row numbers, longest first: little is padded, and memory runs out at once or not at all.

    Example:
        >>> by_length([3, 9, 3])
        [1, 0, 2]
    """
    lengths = list(lengths[:])  # a column of a data set reads its file at each access
    return sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
