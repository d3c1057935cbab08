"""The training of a run: its trainer, where it goes on, and its scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import EarlyStoppingCallback

from frtune.training.atomic_checkpoints import checkpoints, tidy
from frtune.training.distributed import on_main

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.run.settings import RunSettings
    from frtune.tasks.base import Task
    from frtune.training.trainer import TaskTrainer

logger = logging.getLogger(__name__)


def build_trainer(
    task: Task,
    settings: RunSettings,
    args: Any,
    *,
    model: Any,
    tokenizer: Any,
    encoded: Mapping[str, Dataset],
    callbacks: Sequence[Any] = (),
) -> TaskTrainer:
    """Make the trainer of a run from its parts.

    Args:
        task: The task, fitted.
        settings: Of the run.
        args: ``TrainingArguments``.
        model: As ``build`` returned it.
        tokenizer: As ``build`` returned it.
        encoded: As ``tokenise`` returns it.
        callbacks: Further ``TrainerCallback`` objects.
    """
    patience = settings.early_stopping_patience
    stops = patience > 0 and args.load_best_model_at_end and args.eval_strategy != "no"
    trainer: Any = task.trainer(
        model,
        tokenizer,
        args,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        callbacks=[*([EarlyStoppingCallback(patience)] if stops else []), *callbacks],
        **settings.trainer_options,
    )
    return trainer


def checkpoint_to_resume(trainer: TaskTrainer, *, resume: bool) -> str | None:
    """The newest whole checkpoint of the output directory, proven to be of this run.

    With several processes, all of them must call this. A run that was killed before its first
    checkpoint starts anew, and says so.

    Args:
        trainer: Before its first step.
        resume: Whether the run is to go on at all.

    Returns:
        What ``trainer.train`` takes as ``resume_from_checkpoint``.

    Raises:
        InputError: If the checkpoint is of another run.
    """
    output_dir = Path(trainer.args.output_dir)

    def saved() -> bool:
        tidy(output_dir)
        found = bool(checkpoints(output_dir))
        if not found:
            logger.warning("resuming from the start: no checkpoint was saved yet")
        return found

    # one process looks and tidies, and the others do what it found
    return trainer.checked_resume(resume and on_main(trainer.args, saved))


def best_scores(trainer: TaskTrainer) -> dict[str, float]:
    """The validation scores, ``eval_*``, of the step whose weights were kept."""
    best = trainer.state.best_global_step
    for entry in reversed(trainer.state.log_history):
        scores = {key: value for key, value in entry.items() if key.startswith("eval_")}
        if scores and best in (None, entry["step"]):
            return _numbers(scores)
    return {}


def score(trainer: TaskTrainer, rows: Dataset | None) -> tuple[dict[str, float], Dataset | None]:
    """Score the model on the test rows; with several processes, all of them must call this.

    Args:
        trainer: After training; ``trainer.outputs`` holds what the model says of each row.
        rows: Raw rows; ``None`` where there are none, and then no scores.

    Returns:
        The scores, ``test_*``, and the encoded rows.
    """
    if rows is None:
        return {}, None
    encoded = trainer.encode(rows)
    return _numbers(trainer.predict(encoded).metrics or {}), encoded


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
