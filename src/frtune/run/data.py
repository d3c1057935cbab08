"""The rows of a run: read once, checked once, cut into splits, tokenised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, DatasetDict

from frtune.data.loading import cut_splits, read_whole, without_test
from frtune.data.row_checks import set_aside
from frtune.errors import InputError
from frtune.models.families import kind_of
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
    with args.main_process_first(desc="reading data"):
        whole, notes = read_whole(
            data,
            task=task,
            encoding=settings.encoding,
            text_columns=settings.text_columns,
            decimal_comma=settings.decimal_comma,
        )
        if "train" not in whole:
            raise InputError(
                f"{data}: has no train split; it has {' and '.join(whole)}. Name the training file "
                "train, or give one file of another name."
            )
        test_rows = settings.max_test_rows
        if test_rows == 0 or ("test" in whole and not test):
            test_rows = 0
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
            limits=(settings.max_train_rows, settings.max_eval_rows, test_rows),
            missing=cut,
            stratify_by=task.stratify_column,
            stratum=task.stratum,
        )
        if not test:
            splits.pop("test", None)
        task = task.fit(splits, checked=True)
        for name, rows in splits.items():
            task.check_labels(rows, f"{data}, {name}")
    return RunData(task, splits, [*notes, *cut_notes])


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
