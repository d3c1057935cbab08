"""From a task, a model and data to a ``Trainer`` that is known to work before its first step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from frtune.training.encoding import check_dataset, check_length, encode_split
from frtune.training.generation_options import argument_options
from frtune.training.in_force import check_in_force, precision
from frtune.training.mixup.collator import check_mixup
from frtune.training.mixup.mixup import Mixup
from frtune.training.mixup.stored_rows import with_mixed_rows
from frtune.training.packing import check_packing
from frtune.training.start_proof import prove_start
from frtune.training.tokenised_rows import prepared
from frtune.training.trainer import GenerationSchedule, TaskSeq2SeqTrainer, TaskTrainer
from frtune.training.trainer_settings import (
    check_names,
    first_model,
    one_tokenizer,
    trainer_settings,
)


def make_trainer(
    task: Task,
    model: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    args: TrainingArguments | None = None,
    *,
    train_dataset: Dataset | None = None,
    eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
    schedule: GenerationSchedule | None = None,
    mixup: Mixup | None = None,
    proof: bool = True,
    **settings: Any,
) -> TaskTrainer:
    """Make the trainer of ``task``; what ``task.trainer`` calls.

    Args:
        task: The task.
        model: As a builder returned it; ``None`` with ``model_init``.
        tokenizer: As a builder returned it (or ``processing_class``).
        args: ``TrainingArguments``, left as they are; ``Seq2SeqTrainingArguments`` give a
            ``Seq2SeqTrainer`` for encoder-decoders.
        train_dataset: Raw rows, or encoded ones.
        eval_dataset: The same for validation; or several sets by name, whose scores are
            ``eval_NAME_...``.
        schedule: When evaluation generates; by default only outside training.
        mixup: Train on mixes of rows; ``None`` trains on the rows alone.
        proof: Prove that the model can be saved and opened again (``start_proof.prove_start``).
        settings: Further arguments of ``Trainer``: ``callbacks``, ``compute_loss_func``,
            ``compute_metrics``, ``data_collator``, ``model_init``, ``optimizers``,
            ``optimizer_cls_and_kwargs``, ``preprocess_logits_for_metrics``. And
            ``max_tokens_per_batch``: train on as many rows at once as fit, padding included;
            ``packing=True`` lays the rows of a training batch end to end (``PackingCollator``).

    ``compute_metrics`` is called whenever answers are scored, with an ``EvalPrediction`` whose rows
    are in the order of the data. Its ``predictions`` and ``label_ids`` are logits (rows, classes)
    and ids (rows,) of classification; logits (rows, 2), or (rows, 1) of scores, and ids or scores
    (rows,) of similarity; labels (windows, tokens) and true labels, -100 where none counts, of
    keywords; and lists of phrases, one list a row, of keyphrases. What it returns joins the scores,
    with the prefix ``eval_``, and may choose the best model.

    Raises:
        InputError: If a metric is unknown or its direction is wrong, rows do not fit the model, a
            budget of tokens cannot be kept, an argument cannot act, or the model cannot be saved
            and opened again.
    """
    check_names(settings)
    tokenizer = one_tokenizer(tokenizer, settings.pop("processing_class", None))
    if not isinstance(args, TrainingArguments):
        raise InputError("args: are missing. Pass training_arguments(task, OUTPUT_DIR).")
    model, settings["model_init"] = first_model(model, settings.get("model_init"), args)
    kind = kind_of(model)
    task = task.settled(tokenizer, kind)
    schedule = schedule or GenerationSchedule()
    check_arguments(args, compute_metrics=settings.get("compute_metrics"))
    check_callbacks(args, settings.get("callbacks") or ())
    sets = _check_eval_sets(eval_dataset)
    check_training(
        task, model, args, schedule=schedule, mixup=mixup,
        max_tokens_per_batch=settings.get("max_tokens_per_batch"), packing=settings.get("packing"),
        more_metrics=settings.get("compute_metrics") is not None,
        eval_sets=sets if isinstance(eval_dataset, Mapping) else (),
    )  # fmt: skip
    check_dataset("train_dataset", train_dataset)
    settings = trainer_settings(
        task, model, tokenizer, args, given=settings, mixed=mixup is not None
    )

    def encode(rows: Dataset, split: str, needs: Sequence[str] = ()) -> Dataset:
        needs = ("labels", *needs)
        rows = prepared(rows, task, model, tokenizer, where=f"{split} rows", needs=needs)
        return encode_split(rows, task, tokenizer, kind=kind, split=split)

    with args.main_process_first(desc="tokenising"):
        if train_dataset is not None:
            train_dataset = encode(train_dataset, "training")
        needs = task.scored_columns(kind)
        encoded = {name: encode(rows, "validation", needs) for name, rows in sets.items()}
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
    trainer = (TaskSeq2SeqTrainer if seq2seq else TaskTrainer)(
        task=task,
        schedule=schedule,
        mixup=mixup,
        model=None if settings.get("model_init") else model,
        args=args,
        processing_class=tokenizer,
        train_dataset=train_dataset,
        eval_dataset=encoded if isinstance(eval_dataset, Mapping) else encoded.get(""),
        **settings,
    )
    if proof:
        prove_start(trainer)
    return trainer


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
    check_in_force(args)
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
    """Refuse (``InputError``) fp16 for a family that overflows in it."""
    family = family_for(model.config.model_type)
    if precision(args) == "fp16" and not family.fp16:
        raise InputError(
            f"fp16=True: {family.name} overflows in half precision and its loss becomes NaN. "
            "Pass --bf16, or leave both out for fp32."
        )


def _check_eval_sets(given: Any) -> dict[str, Any]:
    """Evaluation sets by name; the only one has none."""
    if given is None:
        return {}
    if isinstance(given, DatasetDict) or not isinstance(given, Mapping):
        check_dataset("eval_dataset", given)
        return {"": given}
    if not given:
        raise InputError("eval_dataset: holds no data set. Leave it out, or name one.")
    for name, rows in given.items():
        if not isinstance(name, str) or not name:
            raise InputError(f"eval_dataset: {name!r} is no name of a data set. Give it text.")
        if rows is None:
            raise InputError(f"eval_dataset[{name!r}]: is None. Leave it out.")
        check_dataset(f"eval_dataset[{name!r}]", rows)
    return dict(given)


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
        several = "" if whose else f" Its name begins with that of a set: {prefixes[0]}{name}, say."
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
            f"greater_is_better: is missing, and nobody else knows which {name} is better. Pass it."
        )
    greater = scores.get(name)
    if greater is not None and bool(args.greater_is_better) != greater:
        raise InputError(
            f"greater_is_better={args.greater_is_better}: {name} is better when it is "
            f"{'greater' if greater else 'smaller'}. Pass greater_is_better={greater}."
        )
