"""Scores of a saved directory, or of answers from anywhere, on any data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from datasets import Dataset

from frtune.data.checks import columns_check, separator_check
from frtune.data.loading import read_noting
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import check_rows
from frtune.data.sources import name_of, scored_split
from frtune.errors import InputError, nearest
from frtune.files import staged
from frtune.inference import load
from frtune.score_files import write_answers, write_scores
from frtune.tasks.answer_files import AnswerColumns, read_given
from frtune.tasks.answers import Given
from frtune.tasks.base import Task
from frtune.tasks.config_file import TASK_FILE, load_task, task_class

logger = logging.getLogger(__name__)

_PHRASES = pa.list_(pa.string())


def evaluate(
    directory: str | Path,
    data: str | Path | Dataset,
    *,
    output_dir: str | Path | None = None,
    split: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    batch_size: int = 16,
    dtype: Any = None,
    bf16: bool | None = None,
    progress: str | None = None,
    columns: Mapping[str, str] | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
    rouge_tokenizer: str | None = None,
    as_written: bool | None = None,
) -> dict[str, float]:
    """Score a saved model directory on ``data``.

    Args:
        directory: What ``frtune train`` left.
        data: File, folder, hub name or ``Dataset``, as for training; nothing is cut from it.
        output_dir: Where ``metrics.json``, ``signatures.json`` and ``predictions.jsonl`` go;
            ``None`` writes nothing.
        split: Which split to score; ``None`` takes test, else validation, else the only one.
        encoding: Encoding of the data files.
        max_rows: Score so many rows, after a seeded shuffle.
        batch_size: Rows a batch.
        dtype: Type of the weights, as of ``load``.
        bf16: Compute in bf16, as of ``load``.
        progress: Label of a progress bar; ``None`` shows none.
        columns: What columns are called in ``data`` where it differs from what the model was
            trained on, by the task's fields: ``{"text_column": "comments"}``; ``"separator"`` is
            what stands between the phrases of ``data``.
        text_columns: As for ``frtune.load_splits``.
        decimal_comma: As for ``frtune.load_splits``.
        rouge_tokenizer: Keyphrases: ROUGE's tokenizer; ``None`` takes the saved task's.
        as_written: Keyphrases: partial and ROUGE scores of phrases as written, with repeats;
            ``None`` takes the saved task's.

    Returns:
        The scores, as ``test_*``, the baselines' among them.
    """
    columns = dict(columns or {})
    separator = columns.pop("separator", None)
    scoring = {"rouge_tokenizer": rouge_tokenizer, "as_written": as_written}
    if Path(directory).is_dir():  # before the weights are read
        load_task(directory).scored_as(**scoring).check_scores()
    predictor = load(directory, batch_size=batch_size, dtype=dtype, bf16=bf16)
    predictor = predictor.with_columns(columns)
    task, tokenizer = predictor.task.scored_as(**scoring), predictor.tokenizer
    rows, train = scored_rows(
        data,
        task,
        split=split,
        encoding=encoding,
        max_rows=max_rows,
        text_columns=text_columns,
        decimal_comma=decimal_comma,
        separator=separator,
    )
    encoded = predictor.encode(rows, with_labels=True)
    outputs = predictor.outputs(encoded, progress=progress)
    scores = task.score_outputs(outputs, encoded, tokenizer)
    with staged(output_dir) if output_dir else TemporaryDirectory() as draft:
        metrics, _ = write_scores(
            Path(draft),
            task,
            tokenizer,
            rows=rows,
            encoded=encoded,
            outputs=outputs,
            train=train,
            metrics={f"test_{name}": float(value) for name, value in scores.items()},
        )
    return metrics


def scored_rows(
    data: str | Path | Dataset,
    task: Task,
    *,
    split: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
    separator: str | None = None,
) -> tuple[Dataset, Dataset | None]:
    """Read and check the rows that a saved model is scored on.

    The arguments are those of ``evaluate``, and ``separator`` of the data's phrases.

    Returns:
        The rows to score, and the training rows where the data has them.

    Raises:
        InputError: If there is no such split, or a row cannot be scored.
    """
    if max_rows is not None and max_rows < 1:
        raise InputError(f"max_rows={max_rows}: at least 1. Leave it out to score all.")
    splits = read_noting(
        data,
        task=task,
        encoding=encoding,
        text_columns=text_columns,
        decimal_comma=decimal_comma,
    )
    if separator is not None:
        for name, each in splits.items():
            splits[name] = listed_phrases(each, task, separator, f"{data}, {name}")
    split = scored_split(splits, split, data)
    rows = splits[split]
    task.check(rows, f"{data}, {split}")
    if max_rows is not None and max_rows < len(rows):
        rows = rows.shuffle(seed=42).select(range(max_rows))
    return rows, splits["train"] if split != "train" and "train" in splits else None


def listed_phrases(rows: Dataset, task: Task, separator: str, where: str) -> Dataset:
    """Rows whose phrases are lists, read with a separator that is not the model's.

    Raises:
        InputError: If the task has no phrases, or most rows have another separator.
    """
    if task.separator is None:
        raise InputError(f"--separator: {task.name} has no phrases to separate. Leave it out.")
    column, field = task.label_columns[0], task.keyphrase_field
    columns_check(rows, [column], where)
    separator_check(rows, column, separator, where)

    def reason(row: dict[str, Any]) -> str | None:
        return phrases_reason(row[column], column, field)

    check_rows(rows, [column], reason, where)
    found = [read_phrases(value, separator, field) for value in rows[column]]
    return rows.remove_columns([column]).add_column(column, pa.array(found, _PHRASES))


# --- answers from anywhere -----------------------------------------------------------------------


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
    """Score answers from anywhere as ``evaluate`` scores those of a saved model.

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
    scored = score_predictions(
        [predictions], data, task, split=split, encoding=encoding, max_rows=max_rows,
        columns=columns, settings=settings, text_columns=text_columns, decimal_comma=decimal_comma,
    )  # fmt: skip
    with staged(output_dir) if output_dir else TemporaryDirectory() as draft:
        return scored[0].write(Path(draft))


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
    split: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    columns: AnswerColumns | None = None,
    settings: Mapping[str, Any] | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> list[ScoredPredictions]:
    """Score several lots of answers to the same rows; arguments as of ``evaluate_predictions``."""
    found, columns = _task_of(task, settings or {}), columns or AnswerColumns()
    if columns.separator is not None and found.separator is None:
        raise InputError(f"separator={columns.separator!r}: {found.name} has none. Leave it out.")
    found.check_scores()
    rows, train = scored_rows(
        data, found, split=split, encoding=encoding, max_rows=max_rows,
        text_columns=text_columns, decimal_comma=decimal_comma,
    )  # fmt: skip
    where = name_of(data)
    given = [
        read_given(each, found, rows, where=where, columns=columns, decimal_comma=decimal_comma)
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
