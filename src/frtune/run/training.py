"""The training of a run: its trainer, where it goes on, and its scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from datasets import Dataset
from transformers import EarlyStoppingCallback

from frtune.run.settings import RunSettings, stops_early
from frtune.tasks.base import Task
from frtune.training.atomic_checkpoints import checkpoints, tidy
from frtune.training.distributed import on_main
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
    """Make the trainer of a run from its parts: what ``build`` and ``tokenise`` returned."""
    patience, stops = settings.early_stopping_patience, stops_early(settings, args)
    trainer: Any = task.trainer(
        model,
        tokenizer,
        args,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        proof=settings.proof,
        callbacks=[*([EarlyStoppingCallback(patience)] if stops else []), *callbacks],
        **settings.trainer_options,
    )
    return trainer


def opening(trainer: TaskTrainer) -> str:
    """One line that says what is being trained, on how much, and where it goes."""
    args, model = trainer.args, cast(Any, trainer.model)
    what = f"{model.config.model_type} for {trainer.task.name}"
    rows = f"{len(trainer.train_dataset):,} rows"
    if trainer.eval_dataset is not None:
        rows += f" ({len(trainer.eval_dataset):,} for validation)"
    length = (
        f"{args.max_steps:,} steps" if args.max_steps > 0 else f"{args.num_train_epochs:g} epochs"
    )
    return f"training {what}: {rows}, {length}; output: {args.output_dir}"


def checkpoint_to_resume(trainer: TaskTrainer, *, resume: bool) -> str | None:
    """The newest whole checkpoint of the output directory, proven to be of this run.

    With several processes, all of them must call this. A run that was killed before its first
    checkpoint starts anew, and says so.

    Refused is a checkpoint of another run.

    Returns:
        What ``trainer.train`` takes as ``resume_from_checkpoint``.
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


def validation_scores(trainer: TaskTrainer) -> dict[str, float]:
    """``best_scores``, and the task's scores where training did not compute them.

    Tasks that generate are scored now, by what they write for all validation rows. With several
    processes, all of them must call this.
    """
    task, found = trainer.task, best_scores(trainer)
    if not task.generates and f"eval_{task.main_score}" in found:
        return found
    return {**found, **_numbers(trainer.evaluate())}


def calibrate(trainer: TaskTrainer) -> list[str]:
    """Fit what the task fits to the validation rows; with several processes, all must call this.

    Returns what could not be fitted, one sentence each.
    """
    if not trainer.eval_dataset:
        task = trainer.task
        return [f"{task.uncalibrated}: no validation rows"] if task.calibrates else []
    return trainer.calibrate()


def score(trainer: TaskTrainer, rows: Dataset | None) -> tuple[dict[str, float], Dataset | None]:
    """Score the model on the test rows; with several processes, all of them must call this.

    Returns the scores, ``test_*``, and the encoded rows; ``trainer.outputs`` then holds what the
    model says of each row, with the scores of what is written. Without ``rows`` there are neither.
    """
    if rows is None:
        return {}, None
    encoded = trainer.encode(rows)
    ranked = {"scores": True} if trainer.task.generates else {}
    return _numbers(trainer.predict(encoded, **ranked).metrics or {}), encoded


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
