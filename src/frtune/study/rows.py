"""Texts and labels of a data set, for a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from frtune.data.labels import label_reason, label_text, label_values, text_reason
from frtune.data.loading import columns_check, read_noting
from frtune.data.row_checks import check_rows
from frtune.data.sources import scored_split
from frtune.errors import InputError
from frtune.tasks.classification import SequenceClassification


def read_rows(
    data: str | Path | Dataset,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    split: str | None = None,
    max_rows: int | None = None,
    seed: int = 42,
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> tuple[list[str], list[Any] | None]:
    """Read the texts and labels of one split.

    Args:
        data: File, folder, hub name, ``"sample"`` or ``Dataset``, as for training; nothing is cut
            from it.
        text_column: Column of the texts.
        label_column: Column of the labels; ``None`` takes ``label`` where the data has it.
        split: Which split; ``None`` takes test, else validation, else the only one.
        max_rows: So many rows, after a seeded shuffle; ``None`` takes all.
        seed: Of the shuffle.
        encoding: Encoding of text files.
        text_columns: As for ``load_splits``; the texts stay text anyway.
        decimal_comma: As for ``load_splits``.

    Returns:
        The texts, and the labels as text, or ``None``.

    Raises:
        InputError: For a split, a column or a label that is missing.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["bon film", "mauvais film"], "label": [1, 0]})
        >>> read_rows(rows)
        (['bon film', 'mauvais film'], ['1', '0'])
    """
    task = SequenceClassification(text_column=text_column, label_column=label_column or "label")
    splits = read_noting(
        data,
        task=task,
        encoding=encoding,
        text_columns=text_columns,
        decimal_comma=decimal_comma,
        with_labels=label_column is not None,
    )
    where = data if isinstance(data, (str, Path)) else "the data"
    split = scored_split(splits, split, where)
    rows = splits[split]
    if label_column is None and "label" in rows.column_names:
        label_column = "label"
    columns_check(rows, [name for name in (text_column, label_column) if name], f"{where}, {split}")
    if max_rows is not None and max_rows < 1:
        raise InputError(f"max_rows={max_rows}: at least 1. Leave it out to take all.")
    where = f"{where}, {split}"
    labels = None if label_column is None else _labels(rows, label_column, where)
    check_rows(rows, [text_column], lambda row: _no_text(row[text_column], text_column), where)
    texts = list(rows[text_column])
    if max_rows is not None and max_rows < len(rows):
        chosen = np.random.default_rng(seed).permutation(len(rows))[:max_rows]
        texts = [texts[i] for i in chosen]
        labels = None if labels is None else [labels[i] for i in chosen]
    return texts, labels


def _no_text(value: Any, column: str) -> str | None:
    """Say why a value is no text; one that is blank is left out later."""
    return text_reason(value, column) if not isinstance(value, str | None) else None


def _labels(rows: Dataset, column: str, where: str) -> list[str]:
    """The labels as text; those of a ``ClassLabel`` by their names."""
    check_rows(rows, [column], lambda row: label_reason(row[column], column), where)
    labels = [label_text(value) for value in label_values(rows, column)]
    missing = next((i for i, label in enumerate(labels, start=1) if label is None), None)
    if missing is not None:
        raise InputError(
            f"{where}, row {missing}: column {column} has no label. Give each row one."
        )
    return [str(label) for label in labels]
