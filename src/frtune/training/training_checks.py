"""Arguments that do not fit the task or the model, refused before a row is tokenised."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from transformers import TrainingArguments

from frtune.errors import InputError, nearest
from frtune.models.families import family_for
from frtune.tasks.base import Task
from frtune.training.batching import check_batches
from frtune.training.encoding import check_length
from frtune.training.generation_options import argument_options
from frtune.training.in_force import deepspeed_config, precision
from frtune.training.mixup.collator import check_mixup
from frtune.training.mixup.mixup import Mixup
from frtune.training.packing import check_packing
from frtune.training.trainer import GenerationSchedule


def check_training(
    task: Task,
    model: Any,
    args: TrainingArguments,
    *,
    schedule: GenerationSchedule,
    mixup: Mixup | None = None,
    max_tokens_per_batch: int | None = None,
    packing: bool | None = False,
    more_metrics: bool = False,
    eval_sets: Collection[str] = (),
) -> None:
    """Refuse arguments that do not fit the task or the model, before a row is tokenised.

    The arguments are those of ``make_trainer``; ``model`` may be one of its shape without weights.
    ``more_metrics`` says that a function of the user's reports scores, too, and ``eval_sets`` are
    the names of several evaluation sets.
    """
    check_task(
        task, args, schedule=schedule, mixup=mixup, max_tokens_per_batch=max_tokens_per_batch,
        more_metrics=more_metrics, eval_sets=eval_sets,
    )  # fmt: skip
    check_fit(task, model, args, mixup=mixup, packing=packing)


def check_fit(
    task: Task,
    model: Any,
    args: TrainingArguments,
    *,
    mixup: Mixup | None = None,
    packing: bool | None = False,
) -> None:
    """Refuse (``InputError``) arguments that do not fit the model.

    The arguments are those of ``check_training``, which calls this. Without ``mixup``, anything
    with a ``config`` will do for ``model``.
    """
    check_length(task, model)
    check_precision(model, args)
    argument_options(task, model, args)
    if mixup is not None:
        check_mixup(mixup, task, model, args)
    if packing:
        check_packing(task, model, args)


def check_task(
    task: Task,
    args: TrainingArguments,
    *,
    schedule: GenerationSchedule,
    mixup: Mixup | None = None,
    max_tokens_per_batch: int | None = None,
    more_metrics: bool = False,
    eval_sets: Collection[str] = (),
) -> None:
    """Refuse (``InputError``) arguments that do not fit the task, whatever the model.

    The arguments are those of ``check_training``, which calls this.
    """
    check_batches(args, max_tokens_per_batch)
    check_metric(task, args, schedule, more=more_metrics, eval_sets=eval_sets)
    check_schedule(task, args, schedule)
    if mixup is not None:
        check_mixup(mixup, task, None, args)


def check_schedule(task: Task, args: TrainingArguments, schedule: GenerationSchedule) -> None:
    """Refuse (``InputError``) generation of a task that writes no text, and a schedule of none."""
    always = getattr(args, "predict_with_generate", False)
    asked = {
        "predict_with_generate": always or None,
        "generate_every_epochs": schedule.every_epochs,
        "generate_max_rows": schedule.max_rows,
        "generate_batch_size": schedule.batch_size,
    }
    for name, value in asked.items():
        if value is not None and not task.generates:
            raise InputError(f"{name}={value}: {task.name} writes no text. Leave it out.")
    if schedule.every_epochs is not None and args.eval_strategy == "no":
        raise InputError(
            f"generate_every_epochs={schedule.every_epochs}: needs evaluations. Pass "
            "--eval-strategy epoch."
        )
    if schedule.max_rows is not None and not (schedule.every_epochs or always):
        raise InputError(
            f"generate_max_rows={schedule.max_rows}: nothing is generated while training. Pass "
            "--generate-every-epochs 1 too, or leave it out."
        )


def check_precision(model: Any, args: TrainingArguments) -> None:
    """Refuse (``InputError``) fp16 for a family that overflows in it, or of weights in fp16."""
    family = family_for(model.config.model_type)
    if precision(args) == "fp16" and not family.fp16:
        raise InputError(
            f"fp16=True: {family.name} overflows in half precision and its loss becomes NaN. "
            "Pass --bf16, or leave both out for fp32."
        )
    weights = model.parameters() if hasattr(model, "parameters") else ()
    halved = any(weight.requires_grad and weight.dtype == torch.float16 for weight in weights)
    if precision(args) == "fp16" and halved and deepspeed_config(args) is None:
        raise InputError(
            "fp16=True: the weights that are trained are fp16, and a scaler needs them in fp32. "
            "Build the model without dtype: it computes in fp16 all the same."
        )


def check_metric(
    task: Task,
    args: TrainingArguments,
    schedule: GenerationSchedule,
    *,
    more: bool = False,
    eval_sets: Collection[str] = (),
) -> None:
    """Refuse (``InputError``) a metric that no evaluation will report, before the first step.

    With ``more``, a function of the user's may report it; of several ``eval_sets``, its name begins
    with one of theirs.
    """
    wanted = args.metric_for_best_model
    if not wanted or args.eval_strategy == "no":  # Trainer looks it up at every evaluation
        return
    prefixes = [f"{name}_" for name in eval_sets] or [""]
    directions = {"loss": False, **task.metric_directions()}
    scores = {f"{prefix}{name}": directions[name] for prefix in prefixes for name in directions}
    name = wanted.removeprefix("eval_")
    whose = name.startswith(tuple(prefixes))
    if name not in scores and not (more and whose):
        known = list(scores)
        several = (
            ""
            if whose
            else f" Its name begins with that of a set: {prefixes[0]}{name}, for example."
        )
        raise InputError(
            f"metric_for_best_model={name}: no score of this task."
            f"{several or nearest(name, known)} "
            f"There are {', '.join(known[:4])} and {len(known) - 4} more, those of metrics.json."
        )
    each_epoch = schedule.every_epochs == 1 and args.eval_strategy == "epoch"
    generating = each_epoch or getattr(args, "predict_with_generate", False)
    losses = [f"{prefix}loss" for prefix in prefixes]
    if name not in losses and task.generates and not generating:
        raise InputError(
            f"metric_for_best_model={wanted}: needs generation at every evaluation. "
            "Pass --generate-every-epochs 1 --eval-strategy epoch, or select by eval_loss."
        )
    if args.greater_is_better is None:
        raise InputError(
            f"greater_is_better: is missing. Pass true if a higher {name} is better, else false."
        )
    greater = scores.get(name)
    if greater is not None and bool(args.greater_is_better) != greater:
        raise InputError(
            f"greater_is_better={args.greater_is_better}: {name} is better when it is "
            f"{'greater' if greater else 'smaller'}. Pass greater_is_better={greater}."
        )
