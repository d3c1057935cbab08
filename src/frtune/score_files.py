"""Scores of rows, with baselines and intervals, and the files that keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.files import json_text, write_json
from frtune.tasks.answer_choice import WHOLE, AnswerChoice
from frtune.tasks.answers import Answer, Intervals
from frtune.tasks.base import Task


def write_scores(
    directory: Path,
    task: Task,
    tokenizer: Any,
    *,
    rows: Dataset,
    encoded: Dataset,
    outputs: list[Any],
    train: Dataset | None,
    metrics: dict[str, float],
    generation: str = "",
    choice: AnswerChoice = WHOLE,
) -> tuple[dict[str, float], dict[str, str]]:
    """Write ``metrics.json``, ``signatures.json``, ``predictions.jsonl`` of scored test rows.

    ``encoded`` are the raw ``rows`` encoded, maybe several for one, and ``outputs`` what the model
    said of each of those. ``train`` are raw training rows, for the baselines that learn; ``None``
    where there are none. ``metrics`` are the scores of the model, ``test_*`` among them.
    ``generation`` ends each signature: how answers were written, where that was chosen.
    ``choice`` is what is kept of each answer; ``metrics`` are the scores of that.

    Returns:
        The metrics written, with baselines, and the signatures.
    """
    answers = task.choose(task.answers(outputs, encoded, tokenizer), choice, encoded)
    intervals = task.intervals(outputs, encoded, tokenizer)
    if choice.given:
        intervals |= task.answer_intervals(answers, encoded, tokenizer)
    if task.generates:
        written = task.lines([row.ids for row in outputs], tokenizer)
        answers = [
            answer if row.votes else {**answer, "generated": text, "finished": row.finished}
            for answer, text, row in zip(answers, written, outputs, strict=True)
        ]
    return write_answers(
        directory,
        task,
        answers,
        rows=rows,
        references=task.references(encoded, tokenizer),
        intervals=intervals,
        train=train,
        metrics=metrics,
        generation=generation + choice.signature,
    )


def write_answers(
    directory: Path,
    task: Task,
    answers: Sequence[Answer],
    *,
    rows: Dataset,
    references: list[Any],
    intervals: Intervals,
    train: Dataset | None,
    metrics: Mapping[str, float],
    unscored: Sequence[str] = (),
    generation: str = "",
) -> tuple[dict[str, float], dict[str, str]]:
    """Write the files of ``write_scores``, of answers whose scores and intervals are known.

    ``unscored`` are scores that these answers cannot have; they get no signature, nor does a score
    that there is not.
    """
    metrics = {
        **metrics,
        **{f"test_{name}_low": low for name, (low, _) in intervals.items()},
        **{f"test_{name}_high": high for name, (_, high) in intervals.items()},
        **baseline_metrics(task, train, rows, references),
    }
    signatures = task.signatures(references)
    signatures = {
        name: text + generation
        for name, text in signatures.items()
        if name not in unscored and f"test_{name}" in metrics
    }
    lines = _lines(task, rows, references, answers)
    write_json(directory / "metrics.json", metrics)
    write_json(directory / "signatures.json", signatures)
    with (directory / "predictions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json_text(line) + "\n" for line in lines)
    task.write_details(directory, [line["prediction"] for line in lines], references)
    return metrics, signatures


def _lines(
    task: Task, rows: Dataset, references: list[Any], answers: Sequence[Answer]
) -> list[dict[str, Any]]:
    """What ``predictions.jsonl`` says of each row."""
    names, texts = [*task.repeated], [list(rows[column]) for column in task.repeated.values()]
    return [
        {**dict(zip(names, inputs, strict=True)), "reference": reference, **task.prediction(answer)}
        for *inputs, reference, answer in zip(*texts, references, answers, strict=True)
    ]


def baseline_metrics(
    task: Task, train: Dataset | None, test: Dataset, references: list[list[str]]
) -> dict[str, float]:
    """Scores of predictors that need no model, as ``test_baseline_<name>_<score>``."""
    texts = task.score_texts(test)
    return {
        f"test_baseline_{name}_{score}": value
        for name, predictions in task.baselines(train, test).items()
        for score, value in task.compute_metrics(predictions, references, texts=texts).items()
        if score in task.headline
    }
