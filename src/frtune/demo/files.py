"""Files of a visitor: rows in, a CSV with the answers out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import compress
from pathlib import Path
from typing import Any

from frtune.data.cleaning import clean_text
from frtune.demo.models import PageModel
from frtune.errors import InputError

_AT_ONCE = 32  # so that others get an answer in between


def answer_file(
    model: PageModel, rows: list[dict[str, Any]], name: str, output: str | Path
) -> Iterator[tuple[int, int]]:
    """Answer for each row and write them, with the row's own columns, as CSV.

    UTF-8 with a byte order mark, which spreadsheets need. A row that is blank or too long has
    empty cells.

    Args:
        model: Answers.
        rows: From ``uploaded_rows``.
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
            known = f"it has {', '.join(map(str, columns))}. Rename the column with the text."
            raise InputError(f"{name}: has no column {column}; {known}")
    names = model.task.answer_columns
    columns = list(dict.fromkeys([*columns, *names]))
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
                cells = [""] * len(names) if answer is None else model.task.answer_cells(answer)
                writer.writerow({**own, **dict(zip(names, cells, strict=True))})
            yield min(start + _AT_ONCE, len(rows)), left


def _answers(model: PageModel, rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Answers of the rows that can be answered, ``None`` for the others."""
    usable = [_is_usable(model, row) for row in rows]
    found = iter(model.predict(list(compress(rows, usable))))
    return [next(found) if can else None for can in usable]


def _is_usable(model: PageModel, row: Mapping[str, Any]) -> bool:
    values = [row.get(column) for column in model.task.text_columns]
    if not all(isinstance(value, str) and clean_text(value) for value in values):
        return False
    return sum(map(len, model.parts(row))) <= model.max_characters


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
