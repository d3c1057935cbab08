"""Files of answers from anywhere: which column holds them, and which row each is for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_text
from frtune.data.compression import check_path, suffix_of
from frtune.data.labels import class_names, label_name, label_text
from frtune.data.row_checks import rows_of
from frtune.data.sources import read_splits, with_points
from frtune.data.text_lines import read_lines
from frtune.errors import InputError
from frtune.tasks.answers import TEXTS, Given
from frtune.tasks.base import Task

# what programs call their answers, besides what frtune calls them
NAMES = ("predictions", "predicted", "pred", "output", "answer", "response", "completion",
         "generated", "generated_text")  # fmt: skip
INPUTS = ("input", "input_pair")  # what predictions.jsonl calls the texts of a row


@dataclass(frozen=True)
class AnswerColumns:
    """Columns of a file of answers.

    Attributes:
        prediction: Column with the answers; ``None`` has it found.
        id: Column that says which row an answer is for, here and in the data; ``None`` takes
            ``id`` where both have it, else the order.
        separator: Between the phrases of an answer that is text; ``None`` takes the task's.
        encoding: Of the file; ``None`` is UTF-8, or what the byte order mark says.
    """

    prediction: str | None = None
    id: str | None = None
    separator: str | None = None
    encoding: str | None = None


def read_given(
    source: str | Path | Dataset | Sequence[Any],
    task: Task,
    rows: Dataset,
    *,
    where: str,
    columns: AnswerColumns,
    decimal_comma: bool = False,
) -> tuple[list[Given], str]:
    """Read the answers to some rows, one for each, in the order of the rows.

    Args:
        source: A file, rows, or the answers themselves.
        task: What they answer.
        rows: The raw rows that they are for.
        where: What messages call these rows.
        columns: Where the answers stand.
        decimal_comma: Answers such as ``3,8`` are numbers, where numbers are answered.

    Returns:
        For each row its ``prediction`` and what there is of ``task.answer_details``; and what
        messages call the answers.

    Raises:
        InputError: For what cannot be read, and unless there is one answer for each row.
    """
    name = str(source) if isinstance(source, str | Path) else "predictions"
    answers = _rows_of(source, task, columns)
    if not len(answers):
        raise InputError(f"{name}: is empty. It needs one answer for each row of {where}.")
    column = _prediction_column(answers, task, rows, name, columns.prediction)
    places = _places(answers, rows, columns.id, name, where)
    found = answers.select(places)
    _check_texts(found, task, rows, column, (name, where))
    if decimal_comma and task.row_schema().target == "score":
        found = with_points(found, [column])
    if task.separator is not None:
        separator = columns.separator or task.separator
        separator_check(found, column, separator, name, "--prediction-separator")
    names = class_names(found, column)
    details = [n for n in task.answer_details if n in found.column_names and n != column]
    return [
        {
            "prediction": row[column] if names is None else label_name(row[column], names),
            **{detail: row[detail] for detail in details},
        }
        for row in rows_of(found, [column, *details])
    ], name


# --- the file ------------------------------------------------------------------------------------


def _rows_of(source: Any, task: Task, columns: AnswerColumns) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if not isinstance(source, str | Path):
        return _listed(source)
    path = Path(source)
    if not check_path(path):
        raise InputError(f"{source}: no such file. Name a file of answers.")
    if path.is_dir():
        raise InputError(f"{source}: is a folder. Name the file of answers in it.")
    if suffix_of(path) == ".txt":
        lines = [line.rstrip("\r\n") for _, line in read_lines(path, columns.encoding)]
        return Dataset.from_dict({"prediction": lines})
    splits, _ = read_splits(path, task_name=task.name, encoding=columns.encoding)
    (found,) = splits.values()
    return found


def _listed(answers: Sequence[Any]) -> Dataset:
    """Answers of Python: values, or rows as ``predict`` returns them."""
    rows = [row if isinstance(row, Mapping) else {"prediction": row} for row in answers]
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})
    except (ValueError, TypeError, OverflowError) as error:  # of pyarrow, too
        raise InputError(f"predictions: answers of several types ({error}).") from None


def _prediction_column(
    answers: Dataset, task: Task, rows: Dataset, name: str, asked: str | None
) -> str:
    """The column with the answers: the one asked for, or the only one that can be meant."""
    known = answers.column_names
    if asked is not None:
        columns_check(answers, [asked], name)
        return asked
    if "prediction" in known:
        return "prediction"
    usual = (*task.answer_columns[:1], *NAMES)
    found = [column for column in usual if column in known]
    # a file with the rows' own columns holds the true answer under such a name, maybe
    texts = {*TEXTS, *INPUTS, *task.columns, "id", "title", "scores", *task.answer_details}
    own = task.answer_key
    if not found and own in known and not {*known} - texts - {own}:
        found = [own]
    if len(found) != 1:
        what = f"any of {', '.join(found)}" if found else "none of them for sure"
        shown = ", ".join(known[:20]) + ", ..." * (len(known) > 20)
        raise InputError(
            f"{name}: which of its columns ({shown}) holds the answers? It may be "
            f"{what}. Name it: --prediction-column {(found or known)[-1]}, for example."
        )
    return found[0]


# --- which answer is for which row ---------------------------------------------------------------


def _places(
    answers: Dataset, rows: Dataset, column: str | None, name: str, where: str
) -> Sequence[int]:
    """The place of each row's answer: by ids where both have them, else by order."""
    counts = f"{len(answers)} answers for {len(rows)} rows of {where}"
    if column is not None:
        columns_check(answers, [column], name)
        columns_check(rows, [column], where)
    column = column or "id"
    if {column} <= {*answers.column_names} & {*rows.column_names}:
        return _by_ids(_ids(answers, column, name), _ids(rows, column, where), counts, name)
    if len(answers) != len(rows):
        own = f" Or pass the rows that they repeat: --data {name}, with input and reference as its "
        own = f"{own}columns." if {INPUTS[0], "reference"} <= {*answers.column_names} else ""
        raise InputError(
            f"{name}: {counts}. Give one for each row, in their order, or a column id in both.{own}"
        )
    return range(len(rows))


def _ids(dataset: Dataset, column: str, where: str) -> list[str]:
    found: list[str] = []
    for number, row in enumerate(rows_of(dataset, [column]), start=1):
        text = label_text(row[column])
        if text is None:
            raise InputError(
                f"{where}, row {number}: column {column} is empty. Give every row one."
            )
        found.append(text)
    return found


def _by_ids(answered: list[str], wanted: list[str], counts: str, name: str) -> Sequence[int]:
    if answered == wanted:
        return range(len(wanted))
    places = dict(zip(answered, range(len(answered)), strict=True))
    for ids, whose in ((answered, name), (wanted, counts.split(" of ", 1)[1])):
        seen: dict[str, int] = {}
        for number, each in enumerate(ids, start=1):
            if seen.setdefault(each, number) != number:
                raise InputError(
                    f"{whose}, row {number}: id {each!r} is that of row {seen[each]} too "
                    f"({counts}). Give each row an id of its own."
                )
    asked = {*wanted}
    extra = [number for number, each in enumerate(answered, start=1) if each not in asked]
    missing = [number for number, each in enumerate(wanted, start=1) if each not in places]
    if extra:
        raise InputError(
            f"{name}, row {extra[0]}: id {answered[extra[0] - 1]!r} is of no row, as are those of "
            f"{len(extra)} answers in all ({counts}). Remove them, or name the data they are for."
        )
    if missing:
        raise InputError(
            f"{name}: has no answer for row {missing[0]}, id {wanted[missing[0] - 1]!r}, and for "
            f"{len(missing)} rows in all ({counts}). Give every row an answer."
        )
    return [places[each] for each in wanted]


def _check_texts(
    answers: Dataset, task: Task, rows: Dataset, column: str, where: tuple[str, str]
) -> None:
    """Refuse answers that stand beside other texts than the rows have: their order differs."""
    for names in zip(INPUTS, TEXTS, task.text_columns, strict=False):
        beside = [n for n in names if n in answers.column_names and n != column]
        if not beside:
            continue
        pairs = zip(rows_of(answers, beside[:1]), rows_of(rows, names[2:]), strict=True)
        for number, (said, true) in enumerate(pairs, start=1):
            (text,), (own,) = said.values(), true.values()
            if clean_text(str(text)) != clean_text(str(own)):
                raise InputError(
                    f"{where[0]}, row {number}: its {beside[0]} {json.dumps(str(text)[:40])} is "
                    f"not the text of row {number} of {where[1]}. Put the answers in the order of "
                    "the rows, or give both a column id."
                )
