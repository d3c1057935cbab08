"""Scores of answers from anywhere: a file of them, or the answers themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.data.sources import name_of
from frtune.errors import InputError, nearest
from frtune.evaluation import scored_rows
from frtune.files import draft_folder, staged
from frtune.outputs import check_output_directory
from frtune.score_files import write_answers
from frtune.tasks.answer_files import AnswerColumns, read_given
from frtune.tasks.answers import Given
from frtune.tasks.base import Task
from frtune.tasks.config_file import TASK_FILE, load_task, task_class

logger = logging.getLogger(__name__)


def evaluate_predictions(
    predictions: str | Path | Dataset | Sequence[Any],
    data: str | Path | Dataset,
    task: str | Path | Task,
    *,
    output_dir: str | Path | None = None,
    split: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    columns: AnswerColumns | None = None,
    settings: Mapping[str, Any] | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> dict[str, float]:
    """Score answers of any program, as ``evaluate`` scores those of a saved model.

    An answer is a list of phrases or separated text (keyphrases, keywords), a label
    (classification, similarity), or a number (similarity). ``predictions.jsonl`` of every task and
    what ``predict`` returns can be read. Answers stand in the order of the rows, or beside their
    ids. Scores that need more than the answers (of tokens; of probabilities that are not given)
    are left out, and a warning names them.

    Args:
        predictions: A JSONL, JSON, CSV, TSV or Parquet file, or ``.txt``: one a line; or rows; or
            the answers themselves.
        data: The rows that were answered; as for ``evaluate``.
        task: Its name, a ``Task``, or a model directory whose task it is.
        output_dir: Where ``metrics.json``, ``signatures.json`` and ``predictions.jsonl`` go;
            ``None`` writes nothing.
        split: As for ``evaluate``.
        encoding: Encoding of the data files.
        max_rows: As for ``evaluate``: the answers are those of the rows drawn.
        columns: Where answers and ids stand, where that cannot be guessed.
        settings: Fields of the task that differ from its own: ``{"k": 5}``.
        text_columns: As for ``frtune.load_splits``.
        decimal_comma: As for ``frtune.load_splits``.

    Returns:
        The scores, as ``test_*``, the baselines' among them.

    Raises:
        InputError: With the row, for what is no answer, and unless each row has one.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["Le vent.", "Le sel."], "label": ["a", "b"]})
        >>> evaluate_predictions(["a", "a"], rows, "classification")["test_accuracy"]
        0.5
    """
    if output_dir is not None:
        check_output_directory(output_dir)
    scored = score_predictions(
        [predictions], data, task, columns=columns, settings=settings, split=split,
        encoding=encoding, max_rows=max_rows, text_columns=text_columns,
        decimal_comma=decimal_comma,
    )  # fmt: skip
    with staged(output_dir) if output_dir is not None else draft_folder() as draft:
        return scored[0].write(draft)


@dataclass(frozen=True)
class ScoredPredictions:
    """Answers from anywhere, and their scores.

    Attributes:
        name: What messages call them.
        task: The task, with its labels.
        rows: The rows that were answered.
        train: Training rows, for the baselines that learn.
        answers: One a row, as ``task.answers`` gives them.
        scores: What ``task.score_answers`` gives.
    """

    name: str
    task: Task
    rows: Dataset
    train: Dataset | None
    answers: list[dict[str, Any]]
    scores: dict[str, float]

    def write(self, directory: Path) -> dict[str, float]:
        """Write the files of an evaluation; return its metrics."""
        unscored = [name for name in self.task.metric_directions() if name not in self.scores]
        if unscored:
            shown = ", ".join(unscored)
            logger.warning("%s: not scored, since answers alone do not tell: %s", self.name, shown)
        metrics, _ = write_answers(
            directory,
            self.task,
            self.answers,
            rows=self.rows,
            references=self.task.references(self.rows),
            intervals=self.task.answer_intervals(self.answers, self.rows),
            train=self.train,
            metrics={f"test_{name}": float(value) for name, value in self.scores.items()},
            unscored=unscored,
        )
        return metrics


def score_predictions(
    predictions: Sequence[str | Path | Dataset | Sequence[Any]],
    data: str | Path | Dataset,
    task: str | Path | Task,
    *,
    columns: AnswerColumns | None = None,
    settings: Mapping[str, Any] | None = None,
    **reading: Any,
) -> list[ScoredPredictions]:
    """Score several lots of answers to the same rows.

    The arguments are those of ``evaluate_predictions``; ``reading`` are those of ``scored_rows``.
    """
    found, columns = _task_of(task, settings or {}), columns or AnswerColumns()
    if columns.separator is not None and found.separator is None:
        raise InputError(f"separator={columns.separator!r}: {found.name} has none. Leave it out.")
    found.check_scores()
    rows, train = scored_rows(data, found, **reading)
    where = name_of(data)
    comma = bool(reading.get("decimal_comma"))
    given = [
        read_given(each, found, rows, where=where, columns=columns, decimal_comma=comma)
        for each in predictions
    ]
    lot: list[Given] = max((lot for lot, _ in given), key=lambda lot: len(lot[0]))
    found = found.of_answers(lot, [rows, *([] if train is None else [train])], where)
    found.check_labels(rows, where)
    reader = found if columns.separator is None else replace(found, separator=columns.separator)
    texts = list(zip(*(rows[column] for column in found.text_columns), strict=True))
    scored = []
    for lot, name in given:
        answers = reader.read_answers(lot, texts, name)
        scores = found.score_answers(answers, rows)
        scored.append(ScoredPredictions(name, found, rows, train, answers, scores))
    return scored


def _task_of(source: str | Path | Task, settings: Mapping[str, Any]) -> Task:
    if isinstance(source, str | Path):
        saved = (Path(source) / TASK_FILE).is_file()
        source = load_task(source) if saved else task_class(str(source))()
    known = [item.name for item in fields(source)]
    for name in settings:
        if name not in known:
            raise InputError(f"{name}: is no setting of {source.name}.{nearest(name, known)}")
    return replace(source, **settings)
