"""Files of a visitor: rows in, a CSV with the answers out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.data.cleaning import clean_text
from frtune.errors import InputError

if TYPE_CHECKING:
    from frtune.demo.models import PageModel
    from frtune.tasks.base import Task

_AT_ONCE = 32  # so that others get an answer in between


def answer_file(
    model: PageModel, rows: list[dict[str, Any]], name: str, output: str | Path
) -> Iterator[tuple[int, int]]:
    """Answer for each row and write them, with the row's own columns, as CSV.

    UTF-8 with a byte order mark, which spreadsheets need. A row that is blank or too long has
    empty cells.

    Args:
        model: Answers.
        rows: From ``read_rows``.
        name: What messages call the file.
        output: Where the CSV goes.

    Yields:
        How many rows are done, and how many of them have no answer.

    Raises:
        InputError: If the file has no column that the model reads.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if Path(name).suffix.lower() == ".txt" and not model.takes_pairs:
        (wanted,) = model.task.text_columns
        rows, columns = [{wanted: row["text"]} for row in rows], [wanted]
    for column in model.task.text_columns:
        if column not in columns:
            raise InputError(
                f"{name}: has no column {column}; it has {', '.join(map(str, columns))}. "
                "Rename the column with the text."
            )
    columns = list(dict.fromkeys([*columns, *model.task.answer_columns]))
    left = 0
    with open(output, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        for start in range(0, len(rows), _AT_ONCE):
            batch = rows[start : start + _AT_ONCE]
            answered = _answers(model, batch)
            left += sum(answer is None for answer in answered)
            for row, answer in zip(batch, answered, strict=True):
                own = {key: _cell(value) for key, value in row.items()}
                writer.writerow({**own, **_cells(model.task, answer)})
            yield min(start + _AT_ONCE, len(rows)), left


def _cells(task: Task, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cells that an answer adds to its row; empty ones for no answer."""
    if answer is None:
        return dict.fromkeys(task.answer_columns, "")
    return dict(zip(task.answer_columns, task.answer_cells(answer), strict=True))


def _answers(model: PageModel, rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Answers of the rows that can be answered, ``None`` for the others."""
    good = [i for i, row in enumerate(rows) if _usable(model, row)]
    found: list[dict[str, Any] | None] = [None] * len(rows)
    for i, answer in zip(good, model.predict([rows[i] for i in good]), strict=True):
        found[i] = answer
    return found


def _usable(model: PageModel, row: Mapping[str, Any]) -> bool:

    values = [row.get(column) for column in model.task.text_columns]
    if not all(isinstance(value, str) and clean_text(value) for value in values):
        return False
    return sum(map(len, model.parts(row))) <= model.max_characters


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
