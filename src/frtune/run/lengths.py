"""How many tokens the rows of a run have, before anything is cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.tasks.base import Task

SAMPLE = 1000  # rows of a split that are counted


def source_lengths(
    splits: Mapping[str, Dataset], task: Task, tokenizer: Any
) -> dict[str, list[int]]:
    """Tokens of texts by split, special tokens included, of at most ``SAMPLE`` rows each."""
    return {
        name: [_count(tokenizer, *task.source_texts(row)) for row in _some(rows, task.columns)]
        for name, rows in splits.items()
        if len(rows)
    }


def target_lengths(
    splits: Mapping[str, Dataset], task: Task, tokenizer: Any
) -> dict[str, list[int]]:
    """The same for what a generating task learns to write; of other tasks, nothing."""
    if not task.generates:
        return {}
    return {
        name: [_count(tokenizer, task.target_text(row)) for row in _some(rows, task.label_columns)]
        for name, rows in splits.items()
        if len(rows)
    }


def _some(rows: Dataset, columns: Any) -> Dataset:
    rows = rows.select_columns(list(columns))
    return rows.shuffle(seed=0).select(range(SAMPLE)) if len(rows) > SAMPLE else rows


def _count(tokenizer: Any, *texts: str) -> int:
    # verbose=False: no warning that a text is longer than the model
    return len(tokenizer(*texts, verbose=False)["input_ids"])
