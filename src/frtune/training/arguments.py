"""Training arguments that a specialist would choose, and learning rates by batch size."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import fields
from typing import Any

from transformers import Seq2SeqTrainingArguments, TrainingArguments

from frtune.environment.hardware import has_accelerator
from frtune.environment.precision import training_device
from frtune.environment.threads import cores_of_process
from frtune.errors import InputError, nearest
from frtune.ranges import check_ranges
from frtune.tasks.base import Task
from frtune.training.deepspeed_config import check_deepspeed
from frtune.training.in_force import check_agreed, check_launcher, launched
from frtune.training.precision_choice import first_choice, mark

# each field fails in its own way on a value it was not made for
_ERRORS = (
    ValueError, TypeError, KeyError, AttributeError, ImportError, OSError, RuntimeError,
    NotImplementedError, OverflowError,
)  # fmt: skip

MOST_WORKERS = 4  # that make batches: more gain nothing, and each takes memory

# random weights learn at a higher rate, in smaller steps
TINY_RECIPE = {
    "learning_rate": 1e-3,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 1,
}


def recipe(task: Task, *, tiny: bool = False, sample: bool = False) -> dict[str, Any]:
    """Defaults of ``training_arguments`` for ``task``, by ``TrainingArguments`` name.

    Rates and batches are the task's own ``recipe``; the rest is as the ``Trainer`` has it, with 3
    epochs. The best checkpoint by the task's primary metric is kept and reloaded; bf16 is used
    where the device computes in it. A ``tiny`` checkpoint has rates of its own, and learns the
    bundled ``sample`` for longer. What ``accelerate launch`` decided (precision, accumulation,
    clipping, compiling) beats all of that.
    """
    directions = task.metric_directions()  # a loss is not among them
    return {
        "num_train_epochs": 10 if tiny and sample else 3,
        **task.recipe,
        **(TINY_RECIPE if tiny else {}),
        "per_device_eval_batch_size": 16,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_steps": 10,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": task.primary_metric,
        "greater_is_better": directions.get(task.primary_metric.removeprefix("eval_"), False),
        "use_cpu": not has_accelerator(),
        **first_choice({}, tiny=tiny)[0],
        "seed": 42,
        **launched(),
    }


def training_arguments(
    task: Task, output_dir: str, *, tiny: bool = False, **overrides: Any
) -> Seq2SeqTrainingArguments:
    """Make ``Seq2SeqTrainingArguments`` with frtune's recipe for the task; ``overrides`` win.

    Args:
        task: The task to be trained; it names the metric that selects the best checkpoint.
        output_dir: Where checkpoints go.
        tiny: The checkpoint is a tiny one, which learns at a higher rate.
        overrides: Fields of ``TrainingArguments`` by name. Without ``bf16`` and ``fp16`` the device
            decides: bf16 where it computes in it. A GPU that does not trains in fp16, if the family
            bears it and the first rows are finite, else in fp32; the trainer settles that. Without
            ``dataloader_num_workers`` it is ``loader_workers``.

    Raises:
        InputError: For an unknown or impossible argument, or bf16 on a card that emulates it.
    """
    known = [item.name for item in fields(Seq2SeqTrainingArguments)]
    for name in overrides:
        if name not in known:
            raise InputError(f"{name}: no such training argument.{nearest(name, known)}")
    check_agreed(overrides)
    settings = {**recipe(task, tiny=tiny), **overrides}
    precision, marked = first_choice({**launched(), **overrides}, tiny=tiny)
    settings |= precision
    settings.setdefault("dataloader_num_workers", loader_workers(use_cpu=settings["use_cpu"]))
    _check_deepspeed(settings.get("deepspeed"))
    if "metric_for_best_model" in overrides and "greater_is_better" not in overrides:
        directions, name = task.metric_directions(), str(overrides["metric_for_best_model"])
        # of a score that the task does not know, Trainer decides by its name
        settings["greater_is_better"] = directions.get(name.removeprefix("eval_"))
    if not settings["use_cpu"]:  # a GPU is asked for at once
        check_launcher(settings.get("deepspeed"))
    check_ranges(settings)
    if not os.fspath(output_dir).strip():
        raise InputError("output_dir='': is empty. Name a directory.")
    try:
        return mark(Seq2SeqTrainingArguments(output_dir, **settings), marked)
    except _ERRORS as error:
        said = " ".join(str(error).split())
        raise InputError(f"training arguments: {said or type(error).__name__}") from error


def loader_workers(*, use_cpu: bool) -> int:
    """Processes that make batches while an NVIDIA GPU computes: one for each core that is spare.

    Args:
        use_cpu: Of ``TrainingArguments``.

    Returns:
        At most 4; 0 on CPUs, which compute themselves, and where Python starts processes by
        running the user's script again.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    starts = chosen or multiprocessing.get_all_start_methods()[0]
    if starts != "fork" or training_device(use_cpu=use_cpu).type != "cuda":
        return 0
    return max(0, min(MOST_WORKERS, cores_of_process() - 1))


def _check_deepspeed(given: Any) -> None:
    """Refuse (``InputError``) a configuration that is none."""
    variable = "ACCELERATE_DEEPSPEED_CONFIG_FILE"
    if given:
        check_deepspeed(given)
    elif variable in os.environ:
        check_deepspeed(os.environ[variable], name="accelerate launch, its deepspeed_config_file")


def scale_learning_rate(base: float, *, per: int, args: TrainingArguments) -> float:
    """Scale a learning rate that was tuned for ``per`` rows a step to the rows of this run's step.

    The linear rule of Goyal et al. 2017, section 2.1.

    Args:
        base: Learning rate for ``per`` rows.
        per: Rows in an optimizer step for which ``base`` was chosen.
        args: Arguments of this run.

    Example:
        >>> from types import SimpleNamespace
        >>> args = SimpleNamespace(
        ...     per_device_train_batch_size=4, gradient_accumulation_steps=4, world_size=2, n_gpu=0)
        >>> round(scale_learning_rate(48e-6, per=8, args=args) * 1e6)
        192
    """
    if per < 1 or base <= 0:
        raise InputError(
            f"base={base}, per={per}: both above 0. Pass base=48e-6, per=8, for example."
        )
    return base * rows_per_step(args) / per


def rows_per_step(args: TrainingArguments) -> int:
    """Training rows that an optimizer step reads, over all devices and processes."""
    devices = args.world_size * max(1, args.n_gpu)
    return args.per_device_train_batch_size * args.gradient_accumulation_steps * devices
