"""The rows on which a graph is compared with its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from frtune.data.cleaning import clean_text
from frtune.errors import InputError
from frtune.evaluation import scored_rows, separator_in
from frtune.models.tokenizer_files import PROBES
from frtune.tasks.base import Task

ROWS = 32  # of predictions.jsonl
LONGEST = 2048  # tokens of the longest row that is tried: attention takes their square in memory


class CheckedRows(NamedTuple):
    """Rows to compare on.

    Attributes:
        rows: With the task's columns; a ``Dataset`` of rows with labels.
        labelled: Whether answers can be scored.
        origin: What they are, for people.
        task: The task, with the columns of the rows.
    """

    rows: Any
    labelled: bool
    origin: str
    task: Task


def rows_to_check(
    directory: Path,
    task: Task,
    *,
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    **reading: Any,
) -> CheckedRows:
    """Rows of ``data``, else of the model's ``predictions.jsonl``, else made up.

    Args:
        directory: The model.
        task: Its task.
        data: Rows with labels, as of ``evaluate``.
        columns: As of ``evaluate``.
        reading: Further arguments of ``evaluate`` that say which rows are read, and how.

    Raises:
        InputError: If ``data`` cannot be read, or a row of it not be scored, or how to read it is
            said without it.
    """
    if data is not None:
        names = dict(columns or {})
        separator = separator_in(names)
        task = task.with_columns(names)
        rows, _ = scored_rows(data, task, separator=separator, **reading)
        return CheckedRows(rows, True, f"{len(rows)} rows of {data}", task)
    for name, value in {**reading, **(columns or {})}.items():
        if value is not None and value is not False:  # 0 is said, too
            raise InputError(f"{name}={value!r}: goes with data. Give data too, or leave it out.")
    path = directory / "predictions.jsonl"
    found = _predicted(path, task) if path.is_file() else []
    if found:
        return CheckedRows(found, False, f"{len(found)} texts of {path.name}", task)
    made = _made_up(task)
    return CheckedRows(made, False, f"{len(made)} sample texts", task)


def _predicted(path: Path, task: Task) -> list[dict[str, Any]]:
    """The rows of a file that ``train`` left, less those that lack a text."""
    with path.open(encoding="utf-8") as lines:
        read = [json.loads(line) for line in islice(lines, ROWS)]
    blank = dict.fromkeys(task.columns)
    rows = [
        {**blank, **{column: line.get(name) for name, column in task.repeated.items()}}
        for line in read
    ]
    return [row for row in rows if all(clean_text(row[name]) for name in task.text_columns)]


def _made_up(task: Task) -> list[dict[str, Any]]:
    """Rows of different lengths: sample texts alone, and several in one."""
    texts = [*PROBES, " ".join(PROBES[:2]), " ".join(PROBES), PROBES[1] * 3, "a"]
    width = len(task.text_columns)
    rows = [list(islice(cycle(texts), i, i + width)) for i in range(len(texts))]
    blank = dict.fromkeys(task.columns)
    return [{**blank, **dict(zip(task.text_columns, row, strict=True))} for row in rows]


def longest_batch(config: Any, task: Task, pad_id: int, *, rows: int = 2) -> dict[str, Any]:
    """Rows of the longest length that the task permits, and of half of it, of made-up tokens.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 of shape ``(rows, length)``.
    """
    length = min(task.max_source_tokens, LONGEST)
    ids = torch.randint(
        5, config.get_text_config().vocab_size, (rows, length),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    mask = torch.ones_like(ids)
    mask[1:, length // 2 :] = 0
    return {"input_ids": torch.where(mask > 0, ids, pad_id), "attention_mask": mask}


def parts(count: int, size: int) -> list[Sequence[int]]:
    """Numbers of rows, so many at a time.

    Example:
        >>> parts(5, 2)
        [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
