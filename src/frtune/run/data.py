"""The rows of a run: read once, checked once, cut into splits, tokenised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, DatasetDict

from frtune.data.loading import cut_splits, read_whole, without_test
from frtune.data.nested_draw import nested_order
from frtune.data.row_checks import set_aside
from frtune.errors import InputError
from frtune.models.families import kind_of
from frtune.names import counted
from frtune.run.settings import RunSettings
from frtune.tasks.base import Task
from frtune.training.encoding import encode_split


@dataclass(frozen=True)
class RunData:
    """What a run learns from.

    Attributes:
        task: The task, told what the training rows say (its labels, say).
        splits: Raw rows of ``train``, ``validation`` and, where it is scored, ``test``; checked.
        notes: What was decided about them, in plain language.
    """

    task: Task
    splits: DatasetDict
    notes: list[str]

    def copy(self) -> RunData:
        """The same rows with notes of their own, for one of several runs."""
        return RunData(self.task, self.splits, [*self.notes])


def read_data(
    task: Task,
    settings: RunSettings,
    args: Any,
    *,
    cut: bool = True,
    leave_out: bool = False,
    test: bool = True,
) -> RunData:
    """Read the rows of a run, check each once, and cut them into splits.

    With several processes, all of them must call this; the main one reads first.

    Args:
        task: What to learn.
        settings: Names the data, how it is read and how many rows are kept.
        args: ``TrainingArguments``.
        cut: Cut missing splits from train.
        leave_out: Leave out rows that cannot be learnt from, with a note of each, in place of an
            error.
        test: Keep the test rows. Else those of a file are not looked at, and those that are cut for
            test are left aside all the same, so that they stay unseen.

    Raises:
        InputError: With split and row, for what cannot be read or learnt from.
    """
    task.check_scores()
    data = settings.data
    if settings.curve_rows and settings.max_test_rows:
        raise InputError(
            f"--max-test-rows {settings.max_test_rows}: a learning curve looks at no test row. "
            "Leave it out, or pass 0 to learn from rows that would be cut for test."
        )
    with args.main_process_first(desc="reading data"):
        whole, notes = _read_whole(task, settings)
        train_rows, test_rows = settings.max_train_rows, settings.max_test_rows
        if settings.curve_rows:  # all rows of train: a share is drawn below
            train_rows, test = None, False
        if "test" in whole and not test:
            notes = [*notes, _left_alone(whole["test"])]
            whole, test_rows = without_test(whole, data)[0], 0
        elif test_rows == 0:
            whole, left_out = without_test(whole, data)
            notes = notes + left_out
        if leave_out:
            for name, rows in whole.items():
                whole[name], rejected = set_aside(rows, task)
                notes += [
                    f"{name}, row {each['row']}, set aside: {each['reason']}" for each in rejected
                ]
        check(task, whole, data)
        splits, cut_notes = cut_splits(
            whole,
            where=data,
            limits=(train_rows, settings.max_eval_rows, test_rows),
            missing=cut,
            stratify_by=task.stratify_column,
            stratum=task.stratum,
        )
        if not test and "test" in splits:
            cut_notes.append(_left_alone(splits.pop("test")))
        if settings.curve_rows:  # a share may lack a class that the whole has
            task = task.fit(splits["train"], checked=True)
            cut_notes += _draw(splits, task, settings, args.seed)
        else:
            task = task.fit(splits, checked=True)
        for name, rows in splits.items():
            task.check_labels(rows, f"{data}, {name}")
    return RunData(task, splits, [*notes, *cut_notes])


def _read_whole(task: Task, settings: RunSettings) -> tuple[dict[str, Dataset], list[str]]:
    """The splits of the data and notes; there is a train split."""
    whole, notes = read_whole(
        settings.data,
        task=task,
        encoding=settings.encoding,
        text_columns=settings.text_columns,
        decimal_comma=settings.decimal_comma,
    )
    if "train" not in whole:
        raise InputError(
            f"{settings.data}: has no train split; it has {' and '.join(whole)}. Name the training "
            "file train, or give one file of another name."
        )
    return whole, notes


def _left_alone(test: Dataset) -> str:
    return f"test: {counted(len(test), 'row')} left out, and not looked at"


def _draw(splits: DatasetDict, task: Task, settings: RunSettings, seed: int) -> list[str]:
    """Leave the rows of a share in train, in place; notes of it."""
    train, count = splits["train"], settings.max_train_rows
    if count is not None and count < 1:
        raise InputError(f"--max-train-rows {count}: at least 1. Leave it out to keep all.")
    if count is None or count >= len(train):
        return []
    column = task.stratify_column
    strata = None if column is None else [task.stratum(value) for value in train[column][:]]
    order = nested_order(len(train), seed=seed, strata=strata)
    splits["train"] = train.select(order[:count])
    drawn = f"train: {count} of {len(train)} rows, drawn with seed {seed}"
    return [drawn + (f", stratified by {column}" if column is not None else "")]


def check(task: Task, splits: Mapping[str, Dataset], data: str) -> None:
    """Check every row of splits that are whole, so that a bad one has its number in the file.

    ``splits`` are as ``read_whole`` returns them: nothing is cut or drawn yet. ``data`` is what
    messages call the rows.

    Raises:
        InputError: Names the first row that cannot be learnt from.
    """
    for name, rows in splits.items():
        task.check(rows, data if len(splits) == 1 else f"{data}, {name}")


def tokenise(data: RunData, model: Any, tokenizer: Any, args: Any) -> dict[str, Dataset]:
    """Tokenise the rows of ``train`` and ``validation``; those of ``test`` when they are scored.

    With several processes, all of them must call this; the main one writes the cache. Raw columns
    that the scores need stay; of ``model``, anything with its ``config`` will do.
    """
    kind = kind_of(model)
    names = {"train": "training", "validation": "validation"}
    with args.main_process_first(desc="tokenising"):
        return {
            name: encode_split(
                data.splits[name], data.task, tokenizer, kind=kind, split=words, checked=True
            )
            for name, words in names.items()
        }
