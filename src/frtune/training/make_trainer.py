"""From a task, a model and data to a ``Trainer`` that is known to work before its first step."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict
from transformers import Seq2SeqTrainingArguments

from frtune.errors import InputError, nearest
from frtune.models.families import family_for, kind_of
from frtune.models.tokenizer_verification import prove_texts
from frtune.training.batching import check_batches
from frtune.training.encoding import check_length, encode_dataset, is_encoded, truncation_report
from frtune.training.mixup.collator import check_mixup
from frtune.training.mixup.stored_rows import with_mixed_rows
from frtune.training.packing import check_packing
from frtune.training.trainer import GenerationSchedule, TaskSeq2SeqTrainer, TaskTrainer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

    from frtune.tasks.base import Task
    from frtune.training.mixup.mixup import Mixup

logger = logging.getLogger(__name__)


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
    schedule = schedule or GenerationSchedule()
    check_length(task, model)
    check_precision(model, args)
    check_fsdp(args)
    check_batches(args, settings.get("max_tokens_per_batch"))
    for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
        _check_dataset(name, dataset)
    check_metric(task, args, schedule)
    if mixup is not None:
        check_mixup(mixup, task, model, args)
    if settings.get("packing"):
        check_packing(task, model, args)
    with args.main_process_first(desc="tokenising"):
        train_dataset = _encoded(train_dataset, task, tokenizer, kind, "training")
        eval_dataset = _encoded(eval_dataset, task, tokenizer, kind, "validation")
        if mixup is not None and mixup.rows is not None and train_dataset is not None:
            collator = task.collator(model, tokenizer)
            train_dataset = with_mixed_rows(
                train_dataset, mixup, task, model, collator=collator, seed=args.seed
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


def check_precision(model: Any, args: TrainingArguments) -> None:
    """Refuse fp16 for a family that overflows in it.

    Raises:
        InputError: Names the way out.
    """
    family = family_for(model.config.model_type)
    if args.fp16 and not family.fp16:
        raise InputError(
            f"fp16=True: {family.name} overflows in half precision and its loss becomes NaN. "
            "Pass --bf16, or leave both out for fp32."
        )


def check_fsdp(args: TrainingArguments) -> None:
    """Refuse FSDP on CPUs, where Accelerate would train with plain DDP and not say so.

    Raises:
        InputError: Names the way out.
    """
    asked = args.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")
    if asked and args.device.type == "cpu":
        raise InputError(
            "fsdp: on CPUs Accelerate shards nothing. "
            "Pass --deepspeed deepspeed_configs/zero3.json, which splits the same."
        )


def _check_dataset(name: str, dataset: Any) -> None:

    if isinstance(dataset, DatasetDict):
        raise InputError(
            f"{name}: a DatasetDict with splits {', '.join(map(str, dataset))}. Pick one: "
            f'{name}=data["{next(iter(dataset), "train")}"].'
        )
    if dataset is not None and not isinstance(dataset, Dataset):
        raise InputError(
            f"{name}: a {type(dataset).__name__}. Pass a datasets.Dataset; "
            "datasets.Dataset.from_list(rows) makes one."
        )
    if dataset is not None and len(dataset) == 0:
        raise InputError(f"{name}: has no rows.")


def _encoded(dataset: Any, task: Task, tokenizer: Any, kind: str, what: str) -> Any:
    if dataset is None or is_encoded(dataset, task, tokenizer, kind=kind):
        return dataset
    task.check(dataset, what)
    if what == "training":
        prove_texts(tokenizer, task.corpus(dataset))
    encoded = encode_dataset(dataset, task, tokenizer, kind=kind)
    for note in task.encoding_notes(encoded):
        logger.warning("%s: %s", what, note)
    cut = truncation_report(encoded)
    for column, limit in task.limits.items():
        if cut.get(column):
            logger.warning(
                "%s: %d of %d rows are longer than %s and were cut",
                what,
                cut[column],
                cut["rows"],
                limit,
            )
    return encoded


def check_metric(task: Task, args: TrainingArguments, schedule: GenerationSchedule) -> None:
    """Refuse, before the first step, a metric that no evaluation will report.

    Raises:
        InputError: Names the metrics that there are, or what generates them.
    """
    wanted = args.metric_for_best_model
    if not (wanted and (args.load_best_model_at_end or args.save_strategy == "best")):
        return
    name = wanted.removeprefix("eval_")
    scores = task.metric_directions()
    _check_name(name, ["loss", *scores])
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


def _check_name(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(
            f"metric_for_best_model={name}: no score of this task.{nearest(name, list(known))} "
            f"There are {', '.join(known[:4])} and {len(known) - 4} more, those of metrics.json."
        )
