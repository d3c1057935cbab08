"""Pairs of rows that are the same or nearly so, found without holding the texts in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from frtune.data.fingerprints import jaccard, run_keys, shingles

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

RUN_WORDS = 8

_MOST_PARTNERS = 50  # rows that one row is compared with for one shared band
_RUN_SAMPLE = 2000  # rows of a split whose runs are looked for in train


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
    import numpy as np

    order = np.lexsort((np.arange(len(keys)), rank, keys))
    starts = np.r_[True, keys[order][1:] != keys[order][:-1]] if len(keys) else np.zeros(0, bool)
    kept = np.empty(len(keys), np.int64)
    kept[order] = order[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
    return kept


def near_pairs(table: Dataset, splits: np.ndarray, *, threshold: float) -> Iterator[NearPair]:
    """Yield the near duplicates across splits, each pair once, verified on the texts.

    Beside the texts on the disk it needs 100 bytes of memory a row.

    Args:
        table: Rows with ``text``, ``bands`` and ``sketch`` (see ``fingerprints``), in file order.
        splits: Number of each row's split, negative for rows to leave out; shape ``(rows,)``.
        threshold: Least Jaccard index of a pair.

    Note:
        A row is compared with at most 50 rows that share a band with it, so that boilerplate
        does not make the work grow with the square of the rows.
    """
    import numpy as np

    texts = table.select_columns(["text"])

    @lru_cache(maxsize=512)
    def shingles_of(row: int) -> np.ndarray:
        return shingles(texts[row]["text"])

    sketches = np.concatenate(list(_lists(table, "sketch")))  # (rows, hashes)
    for first, second in combinations(np.unique(splits[splits >= 0]), 2):
        left, right = np.flatnonzero(splits == first), np.flatnonzero(splits == second)
        pairs = [
            code
            for keys in _bands(table)
            for code in _candidates(keys, left, right, sketches, threshold)
        ]
        codes = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
        for code in codes.tolist():
            one, other = divmod(code, len(splits))
            found = jaccard(shingles_of(one), shingles_of(other))
            if found >= threshold:
                yield NearPair(one, other, found)


def _lists(table: Dataset, column: str) -> Iterator[np.ndarray]:
    """A column of lists of equal length, piece by piece: arrays of shape ``(rows, length)``."""
    for chunk in table.data.column(column).chunks:
        if len(chunk):
            yield chunk.flatten().to_numpy().reshape(len(chunk), -1)


def _bands(table: Dataset) -> Iterator[np.ndarray]:
    """The keys of one band after the other: uint64 of shape ``(rows,)``."""
    import numpy as np

    count = next(_lists(table, "bands")).shape[1]
    for band in range(count):
        yield np.concatenate([keys[:, band] for keys in _lists(table, "bands")])


def _candidates(
    keys: np.ndarray, left: np.ndarray, right: np.ndarray, sketches: np.ndarray, threshold: float
) -> Iterator[np.ndarray]:
    """Codes ``row * rows + other row`` of pairs that share a key and look alike enough."""
    import numpy as np

    order = left[np.argsort(keys[left], kind="stable")]
    begin = np.searchsorted(keys[order], keys[right], "left")
    count = np.searchsorted(keys[order], keys[right], "right") - begin
    count = np.minimum(count, _MOST_PARTNERS)
    # a sketch's estimate has a standard deviation of at most 0.0625: three of them below
    least = (threshold - 0.1875) * sketches.shape[1]
    busy = np.flatnonzero(count)
    for start in range(0, len(busy), 2000):
        some = busy[start : start + 2000]
        places = np.concatenate(
            [np.arange(b, b + n) for b, n in zip(begin[some], count[some], strict=True)]
        )
        ones, others = order[places], np.repeat(right[some], count[some])
        alike = (sketches[ones] == sketches[others]).sum(axis=1) >= least
        yield ones[alike] * len(keys) + others[alike]


def shared_runs(
    train: Dataset, other: Dataset, *, words: int = RUN_WORDS, num_proc: int | None = None
) -> dict[str, float | int]:
    """Count the rows of ``other`` that share a run of ``words`` words with a row of ``train``.

    A high share says that texts of one document, or boilerplate, stand on both sides, also where
    no two rows are alike as a whole.

    Args:
        train: Rows with ``text``.
        other: Rows with ``text``; of more than 2,000, 2,000 drawn with a fixed seed are looked at.
        words: Length of a run.
        num_proc: Processes to use; ``None`` uses one.

    Returns:
        ``words``, ``rows_checked``, ``rows`` (that share a run) and ``share`` of those checked.
    """
    import numpy as np

    if len(other) > _RUN_SAMPLE:
        other = other.select(np.random.default_rng(0).permutation(len(other))[:_RUN_SAMPLE])
    runs = [np.unique(run_keys(text, words)) for text in other["text"]]
    owners = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    flat = np.concatenate([np.zeros(0, np.uint64), *runs])
    order = np.argsort(flat, kind="stable")
    wanted, owners = flat[order], owners[order]
    unique = np.unique(wanted)
    found = np.zeros(len(unique), bool)
    hits = train.select_columns(["text"]).map(
        _hits,
        batched=True,
        fn_kwargs={"wanted": unique, "words": words},
        remove_columns=["text"],
        num_proc=num_proc,
        desc="looking for shared runs",
    )
    batches: Any = hits.with_format("arrow").iter(batch_size=10_000)
    for batch in batches:
        found[batch["hit"].to_numpy()] = True
    rows = len(np.unique(owners[found[np.searchsorted(unique, wanted)]])) if len(wanted) else 0
    return {
        "words": words,
        "rows_checked": len(runs),
        "rows": rows,
        "share": round(rows / max(1, len(runs)), 4),
    }


def _hits(batch: dict, wanted: np.ndarray, words: int) -> dict[str, np.ndarray]:
    """The places in ``wanted`` of the runs that this batch of rows has."""
    import numpy as np

    if not len(wanted):
        return {"hit": np.zeros(0, np.int64)}
    keys = np.unique(np.concatenate([run_keys(text, words) for text in batch["text"]]))
    at = np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)
    return {"hit": at[wanted[at] == keys].astype(np.int64)}
