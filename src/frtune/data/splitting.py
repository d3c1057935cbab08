"""Deterministic cutting of rows into train, validation and test."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from frtune.data.label_stratification import stratified_sets
from frtune.errors import InputError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Cut:
    """How the splits that a data set lacks are cut from its training rows.

    Attributes:
        split: Shares of train, validation and test, or of train and test (``"8:2"``).
        validation_rows: Number of validation rows, in place of a share.
        test_rows: Number of test rows, in place of a share.
        resplit: Split all rows again, also if there are splits.
        seed: Seed of the splits.

    Example:
        >>> Cut("8:2", test_rows=100).wanted
        {'test': 100}
    """

    split: str = "8:1:1"
    validation_rows: int | None = None
    test_rows: int | None = None
    resplit: bool = False
    seed: int = 42

    def __post_init__(self):
        parse_ratio(self.split)
        for name in SPLITS[1:]:
            rows = getattr(self, f"{name}_rows")
            if rows is not None and (not isinstance(rows, int) or rows < 0):
                raise InputError(f"{name}_rows={rows!r}: a whole number, 0 for no {name} split.")

    @property
    def wanted(self) -> dict[str, float | int]:
        """The splits to cut: a share or a number of rows for each."""
        wanted: dict[str, float | int] = dict(parse_ratio(self.split))
        for name in SPLITS[1:]:
            rows = getattr(self, f"{name}_rows")
            if rows is not None:
                wanted[name] = rows
        return {name: part for name, part in wanted.items() if part and name != "train"}


def parse_ratio(ratio: str) -> dict[str, float]:
    """Return the share of each split of ``"8:1:1"``; two parts, ``"8:2"``, are train and test.

    Raises:
        InputError: If ``ratio`` is not two or three numbers of which the first is above 0.

    Example:
        >>> parse_ratio("8:1:1")
        {'train': 0.8, 'validation': 0.1, 'test': 0.1}
        >>> parse_ratio("8:2")
        {'train': 0.8, 'test': 0.2}
    """
    try:
        parts = [float(part) for part in ratio.split(":")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or not (parts[0] > 0 and all(0 <= p < 1e12 for p in parts)):
        raise InputError(
            f"split={ratio!r}: two or three numbers with colons, the first above 0. "
            "Pass 8:1:1 (train, validation, test) or 8:2 (train, test), for example."
        )
    names = SPLITS if len(parts) == 3 else ("train", "test")
    return {name: part / sum(parts) for name, part in zip(names, parts, strict=True) if part}


def cut_rows(
    rows: int,
    wanted: Mapping[str, float | int],
    *,
    seed: int,
    where: str,
    strata: Sequence[Hashable | list[str]] | None = None,
) -> dict[str, np.ndarray]:
    """Draw rows for each split in ``wanted``; what is left is train.

    Args:
        rows: How many there are.
        wanted: Split to its share (a ``float`` below 1; at least one row) or to its number of
            rows (an ``int``). ``"train"`` is passed over.
        seed: The same seed and number of rows give the same cut.
        where: What is cut, in the message.
        strata: The class of each row. Each split then has the classes in the shares that they
            have in all rows, as near as whole rows can; a class leaves train last. Or the list
            of several labels of each row, for ``frtune.data.label_stratification.stratified_sets``.

    Returns:
        Split to its sorted row numbers, train included.

    Raises:
        InputError: If none would be left for train.

    Example:
        >>> {name: each.tolist() for name, each in cut_rows(
        ...     5, {"test": 0.2, "validation": 1}, seed=42, where="the data").items()}
        {'train': [0, 1, 3], 'test': [4], 'validation': [2]}
        >>> cut_rows(6, {"test": 2}, seed=42, where="the data", strata="aaabbb")["test"].tolist()
        [2, 3]
    """
    counts = {
        name: part if isinstance(part, int) else max(1, round(part * rows))
        for name, part in wanted.items()
        if name != "train" and part
    }
    if sum(counts.values()) >= rows:
        cut = ", ".join(f"{name} ({count})" for name, count in counts.items())
        raise InputError(
            f"{where}: {rows} rows are too few to cut {cut} from and leave some for train. "
            "Add rows, or ask for smaller splits."
        )
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    if strata is not None and isinstance(next(iter(strata), None), list):
        order = stratified_sets(order, list(counts.values()), strata, random)
    elif strata is not None:
        order = _stratified(order, list(counts.values()), strata)
    *drawn, left = np.split(order, list(accumulate(counts.values())))
    return {"train": np.sort(left), **dict(zip(counts, map(np.sort, drawn), strict=True))}


def _stratified(order: np.ndarray, counts: list[int], strata: Sequence[Hashable]) -> np.ndarray:
    """Reorder rows so that each run of ``counts`` rows has the classes in their shares."""
    numbers: dict[Hashable, int] = {}
    codes = np.fromiter((numbers.setdefault(v, len(numbers)) for v in strata), np.int64)[order]
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[codes]  # of each row's class, by where it comes first
    sizes = np.bincount(rank)
    queues = np.split(order[np.argsort(rank, kind="stable")], np.cumsum(sizes)[:-1])
    drawn, used = [np.zeros(0, np.int64)], np.zeros_like(sizes)
    for count in counts:
        taken = _shares(sizes, sizes - used, count)
        drawn += [queue[u : u + n] for queue, u, n in zip(queues, used, taken, strict=True)]
        used = used + taken
    return np.concatenate([*drawn, *(queue[u:] for queue, u in zip(queues, used, strict=True))])


def _shares(sizes: np.ndarray, left: np.ndarray, count: int) -> np.ndarray:
    """Rows of each class for a split of ``count``, by largest remainder; one a class stays."""
    quota = count * sizes / sizes.sum()
    taken = np.minimum(quota.astype(int), np.maximum(left - 1, 0))
    while taken.sum() < count:
        open_classes = left - 1 - taken > 0
        if not open_classes.any():
            open_classes = left - taken > 0
        taken[np.argmax(np.where(open_classes, quota - taken, -np.inf))] += 1
    return taken
