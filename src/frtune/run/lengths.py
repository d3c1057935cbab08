"""How many tokens the rows of a run have, before anything is cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from frtune.tasks.base import Task
from frtune.training.encoding import truncation_report
from frtune.training.trainer import TaskTrainer

SAMPLE = 1000  # rows of a split that are counted


def source_lengths(
    splits: Mapping[str, Dataset], task: Task, tokenizer: Any
) -> dict[str, list[int]]:
    """Tokens of texts by split, special tokens included, of at most ``SAMPLE`` rows each."""
    return _lengths(splits, tokenizer, task.columns, task.source_texts)


def target_lengths(
    splits: Mapping[str, Dataset], task: Task, tokenizer: Any
) -> dict[str, list[int]]:
    """The same for what a generating task learns to write; of other tasks, nothing."""
    if not task.generates:
        return {}
    return _lengths(splits, tokenizer, task.label_columns, lambda row: [task.target_text(row)])


def cut_rows(trainer: TaskTrainer, encoded: Dataset | None) -> list[dict[str, Any]]:
    """How many rows of each split lost tokens, of texts and of targets."""
    found = []
    splits = {"training": trainer.train_dataset, "validation": trainer.eval_dataset}
    for split, rows in {**splits, "test": encoded}.items():
        counts = truncation_report(rows) if rows is not None else {}
        for column, limit in trainer.task.limits.items():
            if column in counts:
                cut = {"what": column.removesuffix("_cut"), "cut": counts[column], "limit": limit}
                found.append({"split": split, "rows": counts["rows"], **cut})
    return found


def _lengths(splits: Mapping[str, Dataset], tokenizer: Any, columns: Any, texts_of: Any) -> Any:
    found = {}
    for name, rows in splits.items():
        rows = rows.select_columns(list(columns))
        if len(rows) > SAMPLE:
            rows = rows.shuffle(seed=0).select(range(SAMPLE))
        if len(rows):  # verbose=False: no warning that a text is longer than the model
            ids = (tokenizer(*texts_of(row), verbose=False)["input_ids"] for row in rows)
            found[name] = list(map(len, ids))
    return found
