"""Scores of a saved directory on any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from frtune.data.checks import columns_check, separator_check
from frtune.data.loading import read_noting
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import check_rows
from frtune.data.sources import scored_split
from frtune.errors import InputError
from frtune.files import draft_folder, staged
from frtune.inference import load
from frtune.outputs import check_output_directory
from frtune.score_files import write_scores
from frtune.tasks.base import Task
from frtune.tasks.config_file import load_task
from frtune.training.distributed import place_in_group

_PHRASES = pa.list_(pa.string())
SEPARATORS = ("separator", "label_separator")  # of phrases, of labels


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
    fp16: bool | None = None,
    num_beams: int | None = None,
    max_target_tokens: int | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    present_only: bool | None = None,
    votes: int | None = None,
    seed: int | None = None,
    progress: str | None = None,
    columns: Mapping[str, str] | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
    rouge_tokenizer: str | None = None,
    as_written: bool | None = None,
    shared: bool = False,
) -> dict[str, float]:
    """Score a saved model directory on ``data``.

    Args:
        directory: What ``frtune train`` left.
        data: File, folder, hub name or ``Dataset``, as for training; nothing is cut from it.
        output_dir: Where ``metrics.json``, ``signatures.json`` and ``predictions.jsonl`` go;
            ``None`` writes nothing.
        split: Which split to score; ``None`` takes test, else validation, else the only one.
        encoding: Encoding of the data files.
        max_rows: Number of rows to score, drawn with a seed.
        batch_size: Rows a batch.
        dtype: Type of the weights, as of ``load``.
        bf16: Compute in bf16, as of ``load``.
        fp16: Compute in fp16, as of ``load``.
        num_beams: Beams of the search, as of ``load``; the signatures of the scores say so.
        max_target_tokens: Tokens written at most, as of ``load``; the signatures say so, too.
        min_score: The least score of keywords or keyphrases that are scored, as of ``load``.
            Scores of tokens are those of all labels. The signatures of the scores say so.
        top_k: Score so many of each text at most, as of ``load``; the signatures say so.
        present_only: Keyphrases: score those alone that stand in the text; the signatures say so.
        votes: Keyphrases: draw each text so often, as of ``load``; the signatures say so.
        seed: Of these draws.
        progress: Label of a progress bar; ``None`` shows none.
        columns: What columns are called in ``data`` where it differs from what the model was
            trained on, by the task's fields: ``{"text_column": "comments"}``; ``"separator"`` is
            what stands between the phrases, or the labels, of ``data``.
        text_columns: As for ``frtune.load_splits``.
        decimal_comma: As for ``frtune.load_splits``.
        rouge_tokenizer: Keyphrases: ROUGE's tokenizer; ``None`` takes the saved task's.
        as_written: Keyphrases: partial and ROUGE scores of phrases as written, with repeats;
            ``None`` takes the saved task's.
        shared: Every process of a launch calls this, with a process group; they share the rows,
            and the first one writes.

    Returns:
        The scores, as ``test_*``, the baselines' among them; of a ``shared`` evaluation nothing in
        other processes than the first.
    """
    if output_dir is not None:
        check_output_directory(output_dir, inputs=[directory])
    columns = dict(columns or {})
    separator = separator_in(columns)
    scoring = {"rouge_tokenizer": rouge_tokenizer, "as_written": as_written}
    if Path(directory).is_dir():  # before the weights are read
        load_task(directory).scored_as(**scoring).check_scores()
    running = {"batch_size": batch_size, "dtype": dtype, "bf16": bf16, "fp16": fp16}
    running |= {"num_beams": num_beams, "max_target_tokens": max_target_tokens}
    running |= {"min_score": min_score, "top_k": top_k, "present_only": present_only}
    running |= {"votes": votes, "seed": seed}
    predictor = load(directory, **running).with_columns(columns)
    predictor = replace(predictor, shared=shared)
    task, tokenizer = predictor.task.scored_as(**scoring), predictor.tokenizer
    task = predictor.generation.applied(task)
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
    if shared and place_in_group()[0] > 0:
        return {}
    scores, choice = task.score_outputs(outputs, encoded, tokenizer), predictor.choice
    if choice.given:
        answers = task.choose(task.answers(outputs, encoded, tokenizer), choice, encoded)
        scores |= task.score_answers(answers, encoded, tokenizer)
    with staged(output_dir) if output_dir is not None else draft_folder() as draft:
        metrics, _ = write_scores(
            draft,
            task,
            tokenizer,
            rows=rows,
            encoded=encoded,
            outputs=outputs,
            train=train,
            metrics={f"test_{name}": float(value) for name, value in scores.items()},
            generation=predictor.generation.signature,
            choice=choice,
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


def separator_in(columns: dict[str, str]) -> str | None:
    """Take the separator of phrases or labels out of ``columns``; ``None``: the task's."""
    found = [columns.pop(name, None) for name in SEPARATORS]
    return next((value for value in found if value is not None), None)


def listed_phrases(rows: Dataset, task: Task, separator: str, where: str) -> Dataset:
    """Rows whose phrases or labels are lists, read with a separator that is not the model's.

    Raises:
        InputError: If the task has neither, or most rows have another separator.
    """
    if task.separator is None:
        raise InputError(f"--separator: {task.name} has no lists with a separator. Leave it out.")
    column, field = task.label_columns[0], task.keyphrase_field
    columns_check(rows, [column], where)
    separator_check(rows, column, separator, where)

    def reason(row: dict[str, Any]) -> str | None:
        return phrases_reason(row[column], column, field)

    check_rows(rows, [column], reason, where)
    found = [read_phrases(value, separator, field) for value in rows[column]]
    return rows.remove_columns([column]).add_column(column, pa.array(found, _PHRASES))
