"""What each row of a test set adds to a model's score, for the bootstrap and for agreement."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from frtune.metrics.bootstrap import (
    Score,
    few_rows_note,
    interval,
    paired_p_value,
    resampled,
)
from frtune.tasks.base import Task


@dataclass(frozen=True)
class RowScores:
    """A model's answers to test rows, and its scores.

    Attributes:
        f1_name: Name of the task's main score (an F1, or a correlation) among ``scores``.
        accuracy_name: Name of its accuracy; ``None`` where the task has none.
        scores: As ``frtune.evaluate`` reports them, without ``test_``.
        resample: The score called ``f1_name`` of rows that are drawn again.
        answers: Each row's answer, equal where two models agree.
        predictions: The same, equal only where two models say the very same.
    """

    f1_name: str
    accuracy_name: str | None
    scores: dict[str, float]
    resample: Score
    answers: list[Hashable]
    predictions: list[str]


def row_scores(task: Task, outputs: Sequence[Any], encoded: Any, tokenizer: Any) -> RowScores:
    """Score a model's outputs for encoded rows with labels."""
    scores = {k: float(v) for k, v in task.score_outputs(outputs, encoded, tokenizer).items()}
    references = task.references(encoded, tokenizer)
    answers = task.answers(outputs, encoded, tokenizer)
    return RowScores(
        task.main_score,
        task.accuracy_score,
        scores,
        task.row_score(answers, references),
        [task.agreement_key(answer) for answer in answers],
        [json.dumps(task.prediction(answer)["prediction"], default=str) for answer in answers],
    )


def paired_difference(
    first: Score, second: Score, rows: int, unlike: int, samples: int
) -> dict[str, Any]:
    """Interval of the difference of two scores on the same draws of rows, and its p-value.

    ``unlike`` is how many of the ``rows`` the two answer otherwise; ``p_note`` says when these are
    too few for a small p-value.
    """
    base, draws = (resampled(score, rows, samples=samples) for score in (first, second))
    low, high = interval(draws - base)
    return {
        "difference_low": low,
        "difference_high": high,
        "p_value": paired_p_value(base, draws, rows=unlike),
        "p_note": few_rows_note(unlike),
    }
