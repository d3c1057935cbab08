"""Pairs of rows that are the same or nearly so, found without holding the texts in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from datasets import Dataset, Features, Value

from frtune.data.fingerprints import distinct, jaccard, run_keys, shingles
from frtune.data.measures import measure, measured_types

RUN_WORDS = 8

_MOST_PARTNERS = 50  # rows that one row is compared with for one shared band
_RUN_SAMPLE = 2000  # rows of a split whose runs are looked for in train
_HEAD_BITS = 22


class NearPair(NamedTuple):
    """Two rows of different splits and the Jaccard index of their character 5-grams."""

    left: int
    right: int
    jaccard: float


def first_of_each(keys: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return, for each row, the row of the same key that is kept: itself, or the one it repeats.

    Args:
        keys: int64 of shape ``(rows,)``.
        rank: Smaller is kept first; among equals the earlier row is. Shape ``(rows,)``.

    Returns:
        int64 of shape ``(rows,)``.

    Example:
        >>> import numpy as np
        >>> first_of_each(np.array([5, 7, 5, 7]), np.array([0, 1, 0, 0])).tolist()
        [0, 3, 0, 3]
    """
    order = np.lexsort((np.arange(len(keys)), rank, keys))
    starts = np.r_[True, keys[order][1:] != keys[order][:-1]] if len(keys) else np.zeros(0, bool)
    kept = np.empty(len(keys), np.int64)
    kept[order] = order[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
    return kept


def near_pairs(table: Dataset, splits: np.ndarray, *, threshold: float) -> Iterator[NearPair]:
    """Yield the near duplicates across splits, each pair once, verified on the texts.

    Beside the texts on the disk it needs 40 bytes of memory a row.

    Args:
        table: Rows with ``text``, ``bands`` and ``sketch`` (see ``fingerprints``), in file order.
        splits: Number of each row's split, negative for rows to leave out; shape ``(rows,)``.
        threshold: Least Jaccard index of a pair.

    Note:
        A row is compared with at most 50 rows that share a band with it, so that boilerplate
        does not make the work grow with the square of the rows.
    """
    texts = table.select_columns(["text"])

    @lru_cache(maxsize=512)
    def shingles_of(row: int) -> np.ndarray:
        return shingles(texts[row]["text"])

    for first, second in combinations(np.unique(splits[splits >= 0]), 2):
        left, right = np.flatnonzero(splits == first), np.flatnonzero(splits == second)
        for one, other in _alike(table, left, right, threshold):
            found = jaccard(shingles_of(one), shingles_of(other))
            if found >= threshold:
                yield NearPair(one, other, found)


def repeats(texts: Sequence[str], *, threshold: float = 0.8) -> list[NearPair]:
    """The near duplicates among texts, each pair once, the earlier text first.

    Args:
        texts: Clean texts; held in memory.
        threshold: Least Jaccard index of their character 5-grams.

    Example:
        >>> found = repeats(["The school budget grows.", "Wind.", "the school budget grows"])
        >>> [(pair.left, pair.right, pair.jaccard) for pair in found]
        [(0, 2, 1.0)]
    """
    table = Dataset.from_dict({"text": list(texts)}).map(
        lambda batch: measure(batch["text"], None, threshold=threshold),
        batched=True,
        features=Features({"text": Value("string"), **measured_types(phrases=False, tokens=False)}),
        desc="Comparing texts",
    )
    rows, found = np.arange(len(texts)), []
    for one, other in _alike(table, rows, rows, threshold):
        if one < other:
            same = jaccard(shingles(texts[one]), shingles(texts[other]))
            found += [NearPair(one, other, same)] if same >= threshold else []
    return found


def _alike(
    table: Dataset, left: np.ndarray, right: np.ndarray, threshold: float
) -> Iterator[tuple[int, int]]:
    """Pairs of rows that share a band and whose sketches look alike enough, in order."""
    sketches, codes = _Lists(table, "sketch"), [np.zeros(0, np.int64)]
    for band in range(next(_lists(table, "bands")).shape[1]):
        keys = np.concatenate([bands[:, band] for bands in _lists(table, "bands")])
        codes += _candidates(keys, left, right, sketches, threshold)
    for code in np.unique(np.concatenate(codes)).tolist():
        yield divmod(code, len(table))


def _lists(table: Dataset, column: str) -> Iterator[np.ndarray]:
    """A column of lists of equal length, piece by piece: arrays of shape ``(rows, length)``."""
    for chunk in table.data.column(column).chunks:
        if len(chunk):
            yield chunk.flatten().to_numpy().reshape(len(chunk), -1)


class _Lists:
    """A column of lists of equal length, left on the disk."""

    def __init__(self, table: Dataset, column: str):
        self._chunks = [chunk for chunk in table.data.column(column).chunks if len(chunk)]
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks])
        self.length = len(self._chunks[0][0]) if self._chunks else 0

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The lists of some rows: an array of shape ``(len(rows), length)``."""
        wanted, places = np.unique(rows, return_inverse=True)
        borders = np.searchsorted(wanted, np.r_[0, self._ends])
        found = [np.zeros((0, self.length), np.uint8)]
        for number in np.flatnonzero(np.diff(borders)):
            chunk, (first, last) = self._chunks[number], borders[number : number + 2]
            values = chunk.flatten().to_numpy().reshape(len(chunk), -1)
            found.append(values[wanted[first:last] - (self._ends[number] - len(chunk))])
        return np.concatenate(found)[places]


def _candidates(
    keys: np.ndarray, left: np.ndarray, right: np.ndarray, sketches: _Lists, threshold: float
) -> Iterator[np.ndarray]:
    """Codes ``row * rows + other row`` of pairs that share a key and look alike enough."""
    order = left[np.argsort(keys[left], kind="stable")]
    begin = np.searchsorted(keys[order], keys[right], "left")
    count = np.searchsorted(keys[order], keys[right], "right") - begin
    count = np.minimum(count, _MOST_PARTNERS)
    # a sketch's estimate has a standard deviation of at most 0.0625: three of them below
    least = (threshold - 0.1875) * sketches.length
    busy = np.flatnonzero(count)
    for start in range(0, len(busy), 2000):
        some = busy[start : start + 2000]
        places = np.concatenate(
            [np.arange(b, b + n) for b, n in zip(begin[some], count[some], strict=True)]
        )
        ones, others = order[places], np.repeat(right[some], count[some])
        alike = (sketches.take(ones) == sketches.take(others)).sum(axis=1) >= least
        yield ones[alike] * len(keys) + others[alike]


def shared_runs(
    table: Dataset, train: np.ndarray, other: np.ndarray, *, words: int = RUN_WORDS
) -> dict[str, float | int]:
    """Count the rows of ``other`` that share a run of ``words`` words with a row of ``train``.

    A high share says that texts of one document, or boilerplate, stand on both sides, also where
    no two rows are alike as a whole.

    Args:
        table: Rows with ``codes`` (see ``measures``), in file order.
        train: Rows of one split.
        other: Rows of another; of more than 2,000, 2,000 drawn with a fixed seed are looked at.
        words: Length of a run.

    Returns:
        ``words``, ``rows_checked``, ``rows`` (that share a run) and ``share`` of those checked.
    """
    if len(other) > _RUN_SAMPLE:
        other = other[np.random.default_rng(0).permutation(len(other))[:_RUN_SAMPLE]]
    none = (np.zeros(0, np.int64), np.zeros(0, np.uint64))
    owners, keys = map(np.concatenate, zip(none, *_runs(table, other, words), strict=True))
    wanted = distinct(keys)
    # the first bits tell of most runs of train that they are not wanted
    shift = np.uint64(64 - _HEAD_BITS)
    heads, found, told = np.zeros(1 << _HEAD_BITS, bool), np.zeros(len(wanted), bool), -1
    for _, seen in _runs(table, train, words):
        if (count := int(found.sum())) > told:  # what was found is looked for no more
            heads[:], told = False, count
            heads[wanted[~found] >> shift] = True
        seen = seen[heads[seen >> shift]]
        if len(seen):
            at = np.searchsorted(wanted, seen).clip(max=len(wanted) - 1)
            found[at[wanted[at] == seen]] = True
    rows = len(np.unique(owners[found[np.searchsorted(wanted, keys)]]))
    share = round(rows / max(1, len(other)), 4)
    return {"words": words, "rows_checked": len(other), "rows": rows, "share": share}


def _runs(table: Dataset, rows: np.ndarray, words: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The runs of some rows, piece by piece: whose they are, and their keys."""
    asked, start = np.zeros(len(table), bool), 0
    asked[rows] = True
    for chunk in table.data.column("codes").chunks:
        here = asked[start : start + len(chunk)]
        if here.any():
            owners = np.repeat(np.arange(len(chunk)), chunk.value_lengths().to_numpy())
            codes = chunk.flatten().to_numpy()[here[owners]]
            owners = start + owners[here[owners]]
            keys = run_keys(codes, words)
            whole = owners[: len(keys)] == owners[words - 1 :]
            yield owners[: len(keys)][whole], keys[whole]
        start += len(chunk)
