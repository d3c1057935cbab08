"""What a data set is like: duplicates, leakage between splits, keyphrases present, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from frtune.data.checks import columns_check
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.filters import threshold_check
from frtune.data.measures import measure, measured_types, processes
from frtune.data.near_duplicates import RUN_WORDS, near_pairs, shared_runs
from frtune.data.row_schema import joined

_QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
_EXAMPLES = 5


def audit(
    splits: Mapping[str, Dataset],
    *,
    text_column: str = "text",
    title_column: str | None = None,
    keyphrases_column: str | None = "keyphrases",
    separator: str = "; ",
    tokenizer: PreTrainedTokenizerBase | None = None,
    near_threshold: float = 0.8,
    num_proc: int | None = None,
) -> dict[str, Any]:
    """Audit the splits of a data set.

    Args:
        splits: Split name to rows; a ``DatasetDict``, for example.
        text_column: Column with the text.
        title_column: Column with a title that stands before it; ``None`` reads no title.
        keyphrases_column: Column with the keyphrases; ``None`` when there are none.
        separator: What stands between phrases of a string column.
        tokenizer: Counts tokens; ``None`` leaves them out.
        near_threshold: Jaccard index of character 5-grams from which on two texts of different
            splits are near duplicates.
        num_proc: Processes; ``None`` uses all cores for large data.

    Returns:
        ``splits`` (for each: ``rows``, ``repeated_texts``, ``present_share``, quantiles of
        ``characters``, ``words``, ``tokens``, ``keyphrases``) and ``leakage`` (for each pair of
        splits: ``same_text``, ``near_duplicates``, ``shared_runs``, ``examples``). JSON-able.

    Example:
        >>> from datasets import Dataset
        >>> train = Dataset.from_dict({"text": ["The school budget grows."] * 2,
        ...                            "keyphrases": [["budget"], ["town hall"]]})
        >>> test = Dataset.from_dict({"text": ["The school budget grows"], "keyphrases": [["x"]]})
        >>> found = audit({"train": train, "test": test})
        >>> found["splits"]["train"]["repeated_texts"], found["splits"]["train"]["present_share"]
        (1, 0.5)
        >>> found["leakage"]["train/test"]["same_text"]
        1
    """
    threshold_check(near_threshold)
    needed = [name for name in (text_column, title_column, keyphrases_column) if name]
    work = partial(
        _measure_batch,
        columns=(text_column, title_column, keyphrases_column),
        separator=separator,
        threshold=near_threshold,
        tokenizer=tokenizer,
    )
    types = measured_types(phrases=True, tokens=tokenizer is not None)
    measured = []
    for name, rows in splits.items():
        columns_check(rows, needed, name)
        table = rows.select_columns(needed).map(
            work,
            batched=True,
            num_proc=processes(len(rows), num_proc),
            remove_columns=needed,
            features=Features({"text": Value("string"), **types}),
            desc=f"measuring {name}",
        )
        measured.append(table)
    split_of = np.repeat(np.arange(len(splits)), [len(rows) for rows in splits.values()])
    table = concatenate_datasets(measured)
    return summarize(table, split_of, list(splits), near_threshold=near_threshold)


def _measure_batch(
    batch: Mapping[str, list[Any]],
    columns: tuple[str, str | None, str | None],
    separator: str,
    threshold: float,
    tokenizer: PreTrainedTokenizerBase | None,
) -> dict[str, list[Any]]:
    text_column, title_column, keyphrases_column = columns
    columns_read = [batch[name] for name in (title_column, text_column) if name]
    cleaned = ([clean_text(str(text or "")) for text in column] for column in columns_read)
    texts = [joined(row) for row in zip(*cleaned, strict=True)]
    labels = batch[keyphrases_column] if keyphrases_column else [None] * len(texts)
    phrases = [clean_keyphrases(split_keyphrases(label, separator)) for label in labels]
    return {"text": texts, **measure(texts, phrases, threshold=threshold, tokenizer=tokenizer)}


def join_title(title: str, text: str) -> str:
    """Title, a line break, text; as ``KeyphraseGeneration.source`` puts them together."""
    return joined((title, text))


# --- measured rows to numbers --------------------------------------------------------------------


def summarize(
    table: Dataset,
    split_of: np.ndarray,
    names: list[str],
    *,
    near_threshold: float,
    target: str = "keyphrases",
    pairs: list[Any] | None = None,
) -> dict[str, Any]:
    """Sum up measured rows.

    Args:
        table: Rows with ``text`` and the columns of ``measures.measure``; labels or scores too.
        split_of: Place in ``names`` of each row's split; negative rows are left out.
        names: Split names.
        near_threshold: As in ``audit``.
        target: What the phrases are called, or the column with the labels or scores.
        pairs: Near duplicates, if already known.

    Returns:
        As ``audit``.
    """
    if pairs is None:
        pairs = list(near_pairs(table, split_of, threshold=near_threshold)) if len(table) else []
    keys = column_of(table, "key")
    members = [np.flatnonzero(split_of == number) for number in range(len(names))]
    reports = (_split_report(table, rows, keys, target) for rows in members)
    report: dict[str, Any] = {"splits": dict(zip(names, reports, strict=True)), "leakage": {}}
    for left, right in combinations(range(len(names)), 2):
        ones, others = members[left], members[right]
        found = [p for p in pairs if {*split_of[[p.left, p.right]].tolist()} == {left, right}]
        near = {p.left if split_of[p.left] == right else p.right for p in found}
        report["leakage"][f"{names[left]}/{names[right]}"] = {
            "rows": len(others),
            "same_text": int(np.isin(keys[others], keys[ones]).sum()),
            "near_duplicates": len(near),
            "near_threshold": near_threshold,
            "shared_runs": shared_runs(table, ones, others, words=RUN_WORDS),
            "examples": [
                {
                    "jaccard": round(pair.jaccard, 3),
                    names[split_of[pair.left]]: table[pair.left]["text"][:120],
                    names[split_of[pair.right]]: table[pair.right]["text"][:120],
                }
                for pair in sorted(found, key=lambda pair: -pair.jaccard)[:_EXAMPLES]
            ],
        }
    return report


def _split_report(
    table: Dataset, rows: np.ndarray, keys: np.ndarray, target: str
) -> dict[str, Any]:
    repeated = len(rows) - len(np.unique(keys[rows]))
    report: dict[str, Any] = {"rows": len(rows), "repeated_texts": repeated}
    names = {name: name for name in ("characters", "words", "tokens", "target_tokens")}
    kind = getattr(table.features.get(target), "dtype", "")  # a dict has none
    if "phrases" in table.column_names:
        phrases = int(column_of(table, "phrases")[rows].sum())
        present = int(column_of(table, "present")[rows].sum())
        report["present_share"] = round(present / phrases, 4) if phrases else None
        names["phrases"] = target
    elif isinstance(table.features.get(target), List):
        sets = table.data.column(target).take(rows).to_pylist()
        report["labels"] = in_order(Counter(label for each in sets for label in each))
        report["labels_a_row"] = _quantiles(np.array([len(each) for each in sets]))
    elif kind == "string":
        report["labels"] = count_labels(table, rows, target)
    elif kind.startswith(("int", "float")):
        names[target] = "scores"
    for column, name in names.items():
        if column in table.column_names:
            report[name] = _quantiles(column_of(table, column)[rows])
    return report


def count_labels(table: Dataset, rows: np.ndarray, column: str) -> dict[str, int]:
    """Rows of each label, the most frequent first."""
    values = table.data.column(column).take(rows).value_counts()
    return in_order({item["values"]: item["counts"] for item in values.to_pylist()})


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts, the greatest first, those on a par by the alphabet."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def column_of(table: Dataset, name: str) -> np.ndarray:
    """A column of numbers as an array of shape ``(rows,)``."""
    chunks = table.data.column(name).chunks
    return np.concatenate(
        [np.zeros(0, np.int64), *(c.to_numpy(zero_copy_only=False) for c in chunks)]
    )


def _quantiles(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    found = {name: round(float(np.quantile(values, q)), 2) for name, q in _QUANTILES.items()}
    mean = round(float(values.mean()), 2)
    return {"min": float(values.min()), **found, "max": float(values.max()), "mean": mean}
