"""From a task, a model and data to a ``Trainer`` that is known to work before its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Seq2SeqTrainingArguments,
    TrainingArguments,
)
from transformers.trainer_utils import IntervalStrategy

from frtune.errors import InputError
from frtune.models.families import family_for, kind_of
from frtune.tasks.base import Task
from frtune.training.argument_checks import check_arguments, check_callbacks
from frtune.training.batching import check_filled
from frtune.training.device_checks import check_devices
from frtune.training.encoding import check_dataset, encode_split
from frtune.training.mixup.mixup import Mixup
from frtune.training.mixup.stored_rows import with_mixed_rows
from frtune.training.precision_choice import prove_fp16, settle_precision
from frtune.training.start_proof import prove_start
from frtune.training.tokenised_rows import prepared
from frtune.training.trainer import GenerationSchedule, TaskSeq2SeqTrainer, TaskTrainer
from frtune.training.trainer_settings import (
    check_names,
    first_model,
    one_tokenizer,
    trainer_settings,
)
from frtune.training.training_checks import check_training


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
        args: ``TrainingArguments``, left as they are, but for fp16 where ``training_arguments``
            left it open (``settle_precision``); ``Seq2SeqTrainingArguments`` give a
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
            ``max_tokens_per_batch``: the most tokens in a micro-batch, padding included;
            ``cut_steps=False`` takes ``Trainer``'s micro-batches in place of ``StepCuts``;
            ``packing=True`` lays the rows of a training batch end to end (``PackingCollator``).

    ``compute_metrics`` is called whenever answers are scored, with an ``EvalPrediction`` whose rows
    are in the order of the data. Its ``predictions`` and ``label_ids`` are logits (rows, classes)
    and ids (rows,) of classification; logits (rows, 2), or (rows, 1) of scores, and ids or scores
    (rows,) of similarity; labels (windows, tokens) and true labels, -100 where none counts, of
    keywords; and lists of phrases, one list a row, of keyphrases. What it returns joins the scores,
    with the prefix ``eval_``, and may choose the best model.

    Raises:
        InputError: If a metric is unknown or its direction is wrong, rows do not fit the model, a
            budget of tokens cannot be kept, an argument cannot act, one process would train on
            several GPUs, or the model cannot be saved and opened again.
    """
    check_names(settings)
    tokenizer = one_tokenizer(tokenizer, settings.pop("processing_class", None))
    if not isinstance(args, TrainingArguments):
        raise InputError("args: are missing. Pass training_arguments(task, OUTPUT_DIR).")
    model, settings["model_init"] = first_model(model, settings.get("model_init"), args)
    check_devices(args, model)
    kind = kind_of(model)
    settle_precision(args, family_for(model.config.model_type))
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
    if eval_dataset is None and args.eval_strategy != "no":
        raise InputError(
            f"eval_strategy={IntervalStrategy(args.eval_strategy).value}: there is no "
            'eval_dataset. Pass one, or eval_strategy="no".'
        )
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
    prove_fp16(trainer)
    if proof:
        prove_start(trainer)
    return trainer


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
