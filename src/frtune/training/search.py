"""Searches of hyperparameters with Optuna, as ``Trainer.hyperparameter_search`` makes them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from frtune.errors import InputError, nearest
from frtune.tasks.base import Task

# a trial that changed these would be another run, or write elsewhere
FIXED = ("output_dir", "deepspeed", "fsdp", "resume_from_checkpoint", "metric_for_best_model")


def check_search(trainer: Any, *, backend: Any, n_trials: Any, options: Mapping[str, Any]) -> None:
    """Refuse (``InputError``) a search that cannot be, before its first trial."""
    if trainer.model_init is None:
        raise InputError(
            "hyperparameter_search: each trial needs a new model. Make the trainer with "
            "task.trainer(None, tokenizer, args, model_init=lambda: build_model(task, ...)[0])."
        )
    name = getattr(backend, "value", backend)
    if name not in (None, "optuna"):
        raise InputError(f"backend={name}: trials run with optuna. Pass that, or leave it out.")
    if importlib.util.find_spec("optuna") is None:
        raise ImportError("hyperparameter_search needs Optuna: pip install 'frtune[tune]'.")
    if isinstance(n_trials, bool) or not isinstance(n_trials, int) or n_trials < 1:
        raise InputError(f"n_trials={n_trials!r}: a whole number of at least 1.")
    if options.get("n_jobs", 1) != 1:
        raise InputError(
            f"n_jobs={options['n_jobs']}: a trainer runs one trial at a time. Leave it out."
        )
    if trainer.eval_dataset is None:
        raise InputError("hyperparameter_search: eval_dataset is missing; trials are judged by it.")


def objective(args: Any, task: Task) -> tuple[str, str]:
    """What judges a trial where the caller does not say: a score's name, and its direction."""
    name = (args.metric_for_best_model or task.primary_metric).removeprefix("eval_")
    greater = task.metric_directions().get(name, bool(args.greater_is_better))
    return f"eval_{name}", "maximize" if greater else "minimize"


def judged_by(name: str) -> Callable[[Mapping[str, float]], float]:
    """A ``compute_objective`` that takes one score of an evaluation."""

    def compute(metrics: Mapping[str, float]) -> float:
        if name not in metrics:
            raise InputError(
                f"hyperparameter_search: the evaluation reports no {name}. Pass compute_objective, "
                f"or a metric_for_best_model of {', '.join(list(metrics)[:6])}."
            )
        return metrics[name]

    return compute


def checked_space(space: Callable[[Any], Any], args: Any) -> Callable[[Any], dict[str, Any]]:
    """``hp_space``, refusing what a trial cannot change."""
    known = [item.name for item in fields(args)]

    def checked(trial: Any) -> dict[str, Any]:
        found = space(trial)
        if not isinstance(found, Mapping):
            raise InputError(
                f"hp_space: returned a {type(found).__name__}. Return a dict of training arguments."
            )
        for name in found:
            if name not in known:
                raise InputError(f"hp_space: {name} is no training argument.{nearest(name, known)}")
            if name in FIXED:
                raise InputError(f"hp_space: {name} cannot change between trials. Leave it out.")
        return dict(found)

    return checked
