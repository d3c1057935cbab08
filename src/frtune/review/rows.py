"""The rows that are reviewed: all but those of test, which nobody looks at."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets

from frtune.data.cleaning import clean_text
from frtune.data.loading import cut_splits
from frtune.data.parts import Part
from frtune.data.reading import Reading
from frtune.data.row_checks import rows_of
from frtune.data.sources import joined_parts, read_parts
from frtune.errors import InputError
from frtune.run.data import check
from frtune.run.settings import RunSettings
from frtune.tasks.base import Task

_PLACE = "__place__"


class Place(NamedTuple):
    """Where a row stands: the split of the files it is in, and its number there, from 0."""

    split: str
    number: int


@dataclass(frozen=True)
class ReviewRows:
    """What is reviewed.

    Attributes:
        task: The task, told what these rows say (its labels).
        rows: Raw rows of train and validation, with the task's columns.
        places: Of each, where it stands in the files.
        cut: The split of each row that is in another one than its file says: it was cut.
        parts: The files, with all their rows and columns.
        notes: What was decided about them, in plain language.
    """

    task: Task
    rows: Dataset
    places: list[Place]
    cut: dict[Place, str]
    parts: list[Part]
    notes: list[str]

    @property
    def texts(self) -> list[str]:
        """The texts of each row as one, as near duplicates are compared."""
        schema = self.task.row_schema()
        rows = rows_of(self.rows, schema.text_columns)
        return [schema.join([clean_text(value or "") for value in row.values()]) for row in rows]


def read_rows(task: Task, settings: RunSettings) -> ReviewRows:
    """Read the rows of train and validation, as ``frtune train`` would have them.

    Test rows are left out: those of a test file, or those that ``frtune train`` would cut. With
    ``max_test_rows=0`` none are cut.

    Raises:
        InputError: With split and row, for what cannot be read or learnt from.
    """
    if settings.max_test_rows:
        raise InputError(
            f"--max-test-rows {settings.max_test_rows}: test rows are not reviewed. Leave it out, "
            "or pass 0 to review rows that would be cut for test."
        )
    data = settings.data
    reading = Reading.of_task(
        task, encoding=settings.encoding, text_columns=settings.text_columns,
        decimal_comma=settings.decimal_comma,
    )  # fmt: skip
    parts, notes = read_parts(data, task_name=task.name, reading=reading)
    whole = joined_parts(parts)
    if "train" not in whole:
        raise InputError(
            f"{data}: has no train split; it has {' and '.join(whole)}. Name the training file "
            "train, or give one file of another name."
        )
    tested = whole.pop("test", None)
    check(task, whole, data)
    test = settings.max_test_rows if tested is None else 0
    all_rows, _ = _cut(task, whole, data, (None, None, test))
    found, cut = _cut(task, whole, data, (settings.max_train_rows, settings.max_eval_rows, test))
    left = found.pop("test", tested if tested is not None else [])
    cut += [f"test: {len(left)} rows are left out, and not looked at"] if len(left) else []
    places = [place for name, rows in found.items() for place in _places(name, rows, whole)]
    rows = concatenate_datasets([*found.values()]).remove_columns(_PLACE)
    moved = {
        place: name
        for name, each in all_rows.items()
        for place in (_places(name, each, whole) if name not in whole else ())
    }
    fitted = task.fit(DatasetDict(train=rows), checked=True)
    return ReviewRows(fitted, rows, places, moved, parts, [*notes, *cut])


def _cut(
    task: Task, whole: dict[str, Dataset], data: str, limits: tuple[int | None, ...]
) -> tuple[dict[str, Dataset], list[str]]:
    """The splits as ``frtune train`` has them, each row with its place in the files."""
    names = [*task.columns, *task.label_columns]
    numbered = {
        name: rows.select_columns(names).add_column(_PLACE, np.arange(len(rows)))  # type: ignore[call-arg]
        for name, rows in whole.items()
    }
    found, notes = cut_splits(
        numbered,
        where=data,
        limits=limits,  # type: ignore[arg-type]
        stratify_by=task.stratify_column,
        stratum=task.stratum,
    )
    return {str(name): rows for name, rows in found.items()}, notes


def _places(name: str, rows: Dataset, whole: dict[str, Dataset]) -> list[Place]:
    split = name if name in whole else "train"  # which it was cut from
    return [Place(split, int(number)) for number in rows[_PLACE]]


def label_strata(found: ReviewRows) -> list[Hashable]:
    """The class of each row, or its several labels, where rows have some; else one for all."""
    task = found.task
    if task.stratify_column is None:
        return [""] * len(found.rows)
    classes = map(task.stratum, found.rows[task.stratify_column])
    return [tuple(sorted(each)) if isinstance(each, list) else each for each in classes]
