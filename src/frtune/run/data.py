"""The rows of a run: read once, checked once, cut into splits, tokenised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frtune.data.loading import cut_splits, read_whole
from frtune.models.families import kind_of
from frtune.training.encoding import encode_split

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from frtune.run.settings import RunSettings
    from frtune.tasks.base import Task


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


def read(task: Task, settings: RunSettings, args: Any) -> RunData:
    """Read the rows of a run, check each once, and cut them into splits.

    With several processes, all of them must call this; the main one reads first.

    Args:
        task: What to learn.
        settings: Names the data, how it is read and how many rows are kept.
        args: ``TrainingArguments``.

    Raises:
        InputError: With split and row, for what cannot be read or learnt from.
    """
    data = settings.data
    with args.main_process_first(desc="reading data"):
        whole, notes = read_whole(
            data,
            task=task,
            encoding=settings.encoding,
            text_columns=settings.text_columns,
            decimal_comma=settings.decimal_comma,
        )
        check(task, whole, data)
        splits, cut_notes = cut_splits(
            whole,
            where=data,
            limits=(settings.max_train_rows, settings.max_eval_rows, settings.max_test_rows),
            stratify_by=task.stratify_column,
        )
        task = task.fit(splits, checked=True)
        for name, rows in splits.items():
            task.check_labels(rows, f"{data}, {name}")
    return RunData(task, splits, [*notes, *cut_notes])


def check(task: Task, splits: Mapping[str, Dataset], data: str) -> None:
    """Check every row of splits that are whole, so that a bad one has its number in the file.

    Args:
        task: What to learn.
        splits: As ``read_whole`` returns them: nothing is cut or drawn yet.
        data: What the rows are called in messages.

    Raises:
        InputError: Names the first row that cannot be learnt from.
    """
    for name, rows in splits.items():
        task.check(rows, data if len(splits) == 1 else f"{data}, {name}")


def tokenise(data: RunData, model: Any, tokenizer: Any, args: Any) -> dict[str, Dataset]:
    """Tokenise the rows of ``train`` and ``validation``; those of ``test`` when they are scored.

    With several processes, all of them must call this; the main one writes the cache.

    Args:
        data: As ``read`` returns it.
        model: The model, or anything with its ``config``.
        tokenizer: As the builder returned it.
        args: ``TrainingArguments``.

    Returns:
        The encoded rows of both, with the raw columns that the scores need.
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
