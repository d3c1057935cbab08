"""Files of a visitor: rows in, a CSV with the answers out."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

from frtune.data.cleaning import clean_text
from frtune.data.formula_cells import defused_row
from frtune.demo.errors import PageError
from frtune.demo.models import PageModel

_AT_ONCE = 32  # so that others get an answer in between


class Done(NamedTuple):
    """How far a file is answered.

    Attributes:
        rows: Rows that are done.
        left: Those of them without an answer: blank, or too long.
        cut: Those that a model answered from their beginning.
    """

    rows: int
    left: int
    cut: int


def answer_file(
    models: Sequence[PageModel],
    rows: list[dict[str, Any]],
    name: str,
    output: str | Path,
    *,
    defuse: bool = True,
) -> Generator[Done, None, None]:
    """Answer for each row and write them, with the row's own columns, as CSV.

    UTF-8 with a byte order mark, which spreadsheets need. A row that is blank or too long has
    empty cells. Columns of the file stay as they are: an answer whose name is taken gets a number.

    Args:
        models: Answer; of several, the columns bear their names.
        rows: From ``uploaded_rows``.
        name: What messages call the file.
        output: Where the CSV goes.
        defuse: Put ``'`` before cells that a spreadsheet would take for formulas.

    Yields:
        How far it is, after each few rows.

    Raises:
        InputError: If the file has no column that a model reads.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if Path(name).suffix.lower() == ".txt" and not models[0].takes_pairs:
        (wanted,) = models[0].task.text_columns
        rows, columns = [{wanted: row["text"]} for row in rows], [wanted]
    for model in models:
        _check_columns(model, columns, name)
    heads = _answer_heads(models, columns)
    done = Done(0, 0, 0)
    with open(output, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(defused_row([*columns, *heads], defuse=defuse))
        for start in range(0, len(rows), _AT_ONCE):
            batch = rows[start : start + _AT_ONCE]
            answers = [_answers(model, batch) for model in models]
            for row, *found in zip(batch, *(cells for cells, _ in answers), strict=True):
                own = [_cell(row.get(column, "")) for column in columns]
                writer.writerow(defused_row(sum(found, own), defuse=defuse))
            file.flush()
            left = sum(all(cell == "" for cell in cells) for cells in answers[0][0])
            cut = sum(map(any, zip(*(marks for _, marks in answers), strict=True)))
            done = Done(done.rows + len(batch), done.left + left, done.cut + cut)
            yield done


def _check_columns(model: PageModel, columns: Sequence[str], name: str) -> None:
    for column in model.task.text_columns:
        if column not in columns:
            known = ", ".join(map(str, columns))
            message = f"{name}: has no column {column}; it has {known}. Rename the column with "
            raise PageError(f"{message}the text.", "no_column", column=column, known=known)


def _answer_heads(models: Sequence[PageModel], columns: Sequence[str]) -> list[str]:
    """Names of the answers' columns, none of them one of the file's."""
    taken, heads = set(columns), []
    for model in models:
        for column in model.task.answer_columns:
            wanted = column if len(models) == 1 else f"{column}_{model.name}"
            head, number = wanted, 2
            while head in taken:
                head, number = f"{wanted}_{number}", number + 1
            taken.add(head)
            heads.append(head)
    return heads


def _answers(
    model: PageModel, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[list[Any]], list[bool]]:
    """The cells of each row's answer, empty where there is none; and whether a row was cut."""
    usable = [_is_usable(model, row) for row in rows]
    kept = list(compress(rows, usable))
    found, read = iter(model.predict(kept)), iter(model.read_tokens(kept))
    nothing = [""] * len(model.task.answer_columns)
    cells = [list(model.task.answer_cells(next(found))) if can else nothing for can in usable]
    return cells, [can and next(read) is not None for can in usable]


def _is_usable(model: PageModel, row: Mapping[str, Any]) -> bool:
    values = [row.get(column) for column in model.task.text_columns]
    if not all(isinstance(value, str) and clean_text(value) for value in values):
        return False
    return sum(map(len, model.parts(row))) <= model.max_characters


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
