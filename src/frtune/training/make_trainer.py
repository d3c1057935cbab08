"""From a task, a model and data to a ``Trainer`` that is known to work before its first step."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Seq2SeqTrainingArguments,
    TrainingArguments,
)
from transformers.trainer_utils import IntervalStrategy

from frtune.errors import InputError, nearest
from frtune.models.families import family_for, kind_of
from frtune.tasks.base import Task
from frtune.training.argument_checks import check_arguments, check_callbacks
from frtune.training.batching import check_batches, check_filled
from frtune.training.encoding import check_length, encode_split
from frtune.training.mixup.collator import check_mixup
from frtune.training.mixup.mixup import Mixup
from frtune.training.mixup.stored_rows import with_mixed_rows
from frtune.training.packing import check_packing
from frtune.training.trainer import GenerationSchedule, TaskSeq2SeqTrainer, TaskTrainer


def make_trainer(
    task: Task,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    args: TrainingArguments,
    *,
    train_dataset: Dataset | None = None,
    eval_dataset: Dataset | None = None,
    schedule: GenerationSchedule | None = None,
    mixup: Mixup | None = None,
    **settings: Any,
) -> TaskTrainer:
    """Make the trainer of ``task``; what ``task.trainer`` calls.

    Args:
        task: The task.
        model: As a builder returned it.
        tokenizer: As a builder returned it.
        args: ``TrainingArguments``, left as they are; ``Seq2SeqTrainingArguments`` give a
            ``Seq2SeqTrainer`` for encoder-decoders.
        train_dataset: Raw rows, or encoded ones.
        eval_dataset: The same for validation.
        schedule: When evaluation generates; by default only outside training.
        mixup: Train on mixes of rows; ``None`` trains on the rows alone.
        settings: Further arguments of ``Trainer``, such as ``callbacks`` and ``optimizers``, and
            ``max_tokens_per_batch``: train on as many rows at once as fit, padding included;
            ``packing=True`` lays the rows of a training batch end to end (``PackingCollator``).

    Raises:
        InputError: If a metric is unknown or its direction is wrong, rows do not fit the model, or
            a budget of tokens cannot be kept.
    """
    kind = kind_of(model)
    task = task.settled(tokenizer, kind)
    schedule = schedule or GenerationSchedule()
    check_arguments(args, compute_metrics=settings.get("compute_metrics"))
    check_callbacks(args, settings.get("callbacks") or ())
    check_training(
        task, model, args, schedule=schedule, mixup=mixup,
        max_tokens_per_batch=settings.get("max_tokens_per_batch"), packing=settings.get("packing"),
    )  # fmt: skip
    for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
        _check_dataset(name, dataset)
    encode = partial(encode_split, task=task, tokenizer=tokenizer, kind=kind)
    with args.main_process_first(desc="tokenising"):
        if train_dataset is not None:
            train_dataset = encode(train_dataset, split="training")
        if eval_dataset is not None:
            eval_dataset = encode(eval_dataset, split="validation")
        if mixup is not None and mixup.rows is not None and train_dataset is not None:
            collator = task.collator(model, tokenizer)
            train_dataset = with_mixed_rows(
                train_dataset, mixup, task, model, collator=collator, seed=args.seed
            )
    if train_dataset is not None:
        check_filled(args, len(train_dataset))
    if eval_dataset is None and args.eval_strategy != "no":
        raise InputError(
            f"eval_strategy={IntervalStrategy(args.eval_strategy).value}: there is no "
            'eval_dataset. Pass one, or eval_strategy="no".'
        )
    seq2seq = kind == "encoder-decoder" and isinstance(args, Seq2SeqTrainingArguments)
    return (TaskSeq2SeqTrainer if seq2seq else TaskTrainer)(
        task=task,
        schedule=schedule,
        mixup=mixup,
        model=model,
        args=args,
        processing_class=tokenizer,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        data_collator=task.collator(model, tokenizer),
        compute_loss_func=task.loss(model, args),
        preprocess_logits_for_metrics=None if task.generates else task.preprocess_logits,
        **settings,
    )


def check_training(
    task: Task,
    model: Any,
    args: TrainingArguments,
    *,
    schedule: GenerationSchedule,
    mixup: Mixup | None = None,
    max_tokens_per_batch: int | None = None,
    packing: bool | None = False,
) -> None:
    """Refuse arguments that do not fit the task or the model, before a row is tokenised.

    The arguments are those of ``make_trainer``; ``model`` may be one of its shape without weights.
    """
    check_task(
        task, args, schedule=schedule, mixup=mixup, max_tokens_per_batch=max_tokens_per_batch
    )
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
    check_fsdp(args)
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
) -> None:
    """Refuse (``InputError``) arguments that do not fit the task, whatever the model.

    The arguments are those of ``check_training``, which calls this.
    """
    check_batches(args, max_tokens_per_batch)
    check_metric(task, args, schedule)
    check_schedule(task, args, schedule)
    if mixup is not None:
        check_mixup(mixup, task, None, args)


def check_schedule(task: Task, args: TrainingArguments, schedule: GenerationSchedule) -> None:
    """Refuse (``InputError``) generation of a task that writes no text, and rows of none."""
    always = getattr(args, "predict_with_generate", False)
    asked = {
        "predict_with_generate": always or None,
        "generate_every_epochs": schedule.every_epochs,
        "generate_max_rows": schedule.max_rows,
    }
    for name, value in asked.items():
        if value is not None and not task.generates:
            raise InputError(f"{name}={value}: {task.name} writes no text. Leave it out.")
    if schedule.max_rows and not (schedule.every_epochs or always):
        raise InputError(
            f"generate_max_rows={schedule.max_rows}: nothing is generated while training. Pass "
            "--generate-every-epochs 1 too, or leave it out."
        )


def check_precision(model: Any, args: TrainingArguments) -> None:
    """Refuse (``InputError``) fp16 for a family that overflows in it."""
    family = family_for(model.config.model_type)
    if args.fp16 and not family.fp16:
        raise InputError(
            f"fp16=True: {family.name} overflows in half precision and its loss becomes NaN. "
            "Pass --bf16, or leave both out for fp32."
        )


def check_fsdp(args: TrainingArguments) -> None:
    """Refuse (``InputError``) FSDP on CPUs, where Accelerate would silently train with DDP."""
    asked = args.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")
    if asked and args.device.type == "cpu":
        raise InputError(
            "fsdp: on CPUs Accelerate shards nothing. "
            "Pass --deepspeed deepspeed_configs/zero3.json, which splits the same."
        )


def _check_dataset(name: str, dataset: Any) -> None:
    if dataset is None:
        return
    if isinstance(dataset, DatasetDict):
        raise InputError(
            f"{name}: a DatasetDict with splits {', '.join(map(str, dataset))}. Pick one: "
            f'{name}=data["{next(iter(dataset), "train")}"].'
        )
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"{name}: a {type(dataset).__name__}. Pass a datasets.Dataset; "
            "datasets.Dataset.from_list(rows) makes one."
        )
    if len(dataset) == 0:
        raise InputError(f"{name}: has no rows.")


def check_metric(task: Task, args: TrainingArguments, schedule: GenerationSchedule) -> None:
    """Refuse (``InputError``) a metric that no evaluation will report, before the first step."""
    wanted = args.metric_for_best_model
    if not wanted or args.eval_strategy == "no":  # Trainer looks it up at every evaluation
        return
    name = wanted.removeprefix("eval_")
    scores = task.metric_directions()
    if name not in (known := ["loss", *scores]):
        raise InputError(
            f"metric_for_best_model={name}: no score of this task.{nearest(name, known)} "
            f"There are {', '.join(known[:4])} and {len(known) - 4} more, those of metrics.json."
        )
    each_epoch = schedule.every_epochs == 1 and args.eval_strategy == "epoch"
    generating = each_epoch or getattr(args, "predict_with_generate", False)
    if name != "loss" and task.generates and not generating:
        raise InputError(
            f"metric_for_best_model={wanted}: needs generation at every evaluation. "
            "Pass --generate-every-epochs 1 --eval-strategy epoch, or select by eval_loss."
        )
    greater = scores.get(name, False)
    if bool(args.greater_is_better) != greater:
        raise InputError(
            f"greater_is_better={args.greater_is_better}: {name} is better when it is "
            f"{'greater' if greater else 'smaller'}. Pass greater_is_better={greater}."
        )
