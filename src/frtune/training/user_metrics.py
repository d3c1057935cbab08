"""A user's ``compute_metrics``: what it is given for each task, and how its scores join ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction
from transformers.trainer_utils import denumpify_detensorize

from frtune.errors import InputError
from frtune.tasks.base import Task

logger = logging.getLogger(__name__)


def restored(values: Any, order: Sequence[int]) -> Any:
    """Arrays whose rows came in ``order``, back in the order of the rows; of pairs, both.

    Example:
        >>> restored(np.array([[9], [8]]), [1, 0]).tolist()
        [[8], [9]]
    """
    if isinstance(values, (tuple, list)):
        return type(values)(restored(each, order) for each in values)
    if not isinstance(values, np.ndarray) or len(values) != len(order):
        return values
    found = np.empty_like(values)
    found[order] = values
    return found


def of_phrases(
    task: Task, outputs: Sequence[Any], rows: Dataset, tokenizer: Any, *, inputs: bool
) -> EvalPrediction:
    """What ``compute_metrics`` is given of a task that generates: answers, and what is true."""
    return EvalPrediction(
        predictions=task.predictions(outputs, rows, tokenizer),
        label_ids=task.references(rows, tokenizer),
        inputs=task.score_texts(rows) if inputs else None,
    )


def of_arrays(
    found: EvalPrediction, order: Sequence[int], task: Task, *, paired: bool
) -> EvalPrediction:
    """The same of other tasks: arrays as ``Trainer`` makes them, in the order of the rows.

    ``paired`` says that the predictions are the task's and the user's, who gets the latter.
    """
    predictions: Any = found.predictions
    predictions = predictions[1] if paired else task.reported(predictions)
    return EvalPrediction(
        predictions=restored(predictions, order),
        label_ids=restored(found.label_ids, order),
        inputs=restored(found.inputs, order),
        losses=found.losses,
    )


def user_scores(
    compute_metrics: Callable[[EvalPrediction], Any],
    prediction: EvalPrediction,
    *,
    prefix: str,
    ours: Mapping[str, Any],
) -> dict[str, Any]:
    """The scores of ``compute_metrics``, each with ``prefix``; they win over those of a like name.

    Raises:
        InputError: If it returns no dict.
    """
    found = compute_metrics(prediction)
    if not isinstance(found, Mapping):
        raise InputError(
            f"compute_metrics: returned a {type(found).__name__}. Return a dict of scores by name."
        )
    plain: Any = denumpify_detensorize(dict(found))
    scores = {
        name if str(name).startswith(f"{prefix}_") else f"{prefix}_{name}": value
        for name, value in plain.items()
    }
    if both := sorted(scores.keys() & ours.keys()):
        logger.warning("compute_metrics: its %s stand in place of the task's", ", ".join(both))
    return scores


def check_reported(args: Any, metrics: Mapping[str, Any]) -> None:
    """Refuse (``InputError``) to go on where an evaluation lacks what chooses the best model."""
    wanted = args.metric_for_best_model
    if wanted is None:
        return
    name = wanted if wanted.startswith("eval_") else f"eval_{wanted}"
    if name in metrics:
        return
    there = [key.removeprefix("eval_") for key in metrics if not key.endswith("_per_second")]
    raise InputError(
        f"metric_for_best_model={wanted}: this evaluation reported no such score. "
        f"compute_metrics must return it at each; there are {', '.join(there[:40])}."
    )
