"""One whole run: data, model, training, the best checkpoint's scores, a proven model directory."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from transformers import EarlyStoppingCallback, set_seed

from frtune.data.loading import load_splits
from frtune.errors import InputError
from frtune.lock import locked
from frtune.models.build import build_model
from frtune.models.checkpoint_files import read_config
from frtune.models.families import FAMILIES, family_for
from frtune.models.lora import lora_config
from frtune.models.tiny import tiny_checkpoint
from frtune.run.manifest import RUN_MANIFEST, run_manifest
from frtune.run.report import write_report
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.config_file import write_json
from frtune.training.argument_checks import check_arguments
from frtune.training.arguments import recipe
from frtune.training.atomic_checkpoints import checkpoints, tidy
from frtune.training.batching import check_batches
from frtune.training.distributed import on_main
from frtune.training.resumable_trainer import resumed_from
from frtune.training.saving import TINY, check_output_dir, save, staged
from frtune.training.trainer import GenerationSchedule

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import TrainingArguments

    from frtune.tasks.base import Task
    from frtune.training.trainer import TaskTrainer

logger = logging.getLogger(__name__)

# training arguments that config.yaml leaves out: secrets, deprecated names, what the recipe derives
NOT_REPEATED = {"hub_token", "push_to_hub_token", "gradient_checkpointing", "report_to", "debug"}


def run(
    task: Task, settings: RunSettings, args: TrainingArguments, *, callbacks: Sequence[Any] = ()
) -> dict[str, float]:
    """Train, keep the best checkpoint, test it, and leave a model directory.

    Args:
        task: What to learn.
        settings: Data, checkpoint and adapter.
        args: ``Seq2SeqTrainingArguments``; ``args.output_dir`` becomes the model directory.
        callbacks: Further ``TrainerCallback`` objects.

    Returns:
        The scores of ``metrics.json``: ``eval_*`` and ``test_*``.

    Raises:
        InputError: Before anything is loaded or written, if input is bad.
    """
    check_arguments(args)
    check_batches(args, settings.max_tokens_per_batch)
    if args.resume_from_checkpoint:
        raise InputError(
            f"resume_from_checkpoint={args.resume_from_checkpoint}: pass --resume with the "
            "run's --output-dir; its newest whole checkpoint is taken."
        )
    if args.process_index > 0:
        return _run(task, settings, args, callbacks)
    check_output_dir(args.output_dir, resume=settings.resume)
    with locked(args.output_dir):
        return _run(task, settings, args, callbacks)


def _run(
    task: Task, settings: RunSettings, args: Any, callbacks: Sequence[Any]
) -> dict[str, float]:

    main = args.process_index == 0
    with _undone_on_error(Path(args.output_dir), settings.resume):
        fitted, splits, notes = _read(task, settings, args)
        checkpoint = _checkpoint(fitted, settings, args, splits)
        settings = with_lora(settings, task, checkpoint)
        trainer = _prepare(fitted, settings, args, splits, checkpoint)
        for callback in callbacks:
            trainer.add_callback(callback)
        start = resumed_from(trainer, _resumes(settings, args))
        if main:
            _write_start(trainer, splits, run_config(task, settings, args))
    for note in notes if main else ():
        logger.warning(note)
    result = trainer.train(resume_from_checkpoint=start)
    # the weights first: what comes after may fail, and took no hours
    save(trainer, args.output_dir, proof=settings.proof, merge=settings.merge)
    test = trainer.encode(splits["test"]) if "test" in splits else None
    scores = {} if test is None else _numbers(trainer.predict(test).metrics or {})
    metrics = {"train_loss": result.training_loss, **_best(trainer), **scores}
    if main:
        with staged(args.output_dir) as draft:
            metrics = write_report(
                draft,
                trainer=trainer,
                settings=settings,
                splits=splits,
                notes=notes,
                metrics=metrics,
                encoded=test,
            )
    if args.push_to_hub:
        trainer.push_to_hub("End of training", save=False)
    return metrics


@contextlib.contextmanager
def _undone_on_error(output_dir: Path, resume: bool):
    """Leave no trace of a run that ends before its first step."""
    existed = output_dir.exists()
    try:
        yield
    except BaseException:
        if not resume:
            shutil.rmtree(output_dir / TINY, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):
                output_dir.rmdir()
        raise


def _read(task: Task, settings: RunSettings, args: Any) -> tuple[Any, DatasetDict, list[str]]:
    """The task, told what the training rows say (its labels, say), the splits, and notes."""
    with args.main_process_first(desc="reading data"):
        # first whole, so that a bad row is named by its number in the file
        for where, rows in _whole(settings, task).items():
            task.check(rows, where)
        splits, notes = load_splits(
            settings.data,
            **_how(settings, task),
            max_train_rows=settings.max_train_rows,
            max_eval_rows=settings.max_eval_rows,
            max_test_rows=settings.max_test_rows,
            stratify_by=task.stratify_column,
        )
        task = task.fit(splits)
        for name, dataset in splits.items():
            task.check(dataset, f"{settings.data}, {name}")
    return task, splits, notes


def _whole(settings: RunSettings, task: Task) -> dict[str, Dataset]:
    """The rows of each split as the data has it, by what they are called in messages."""
    splits, _ = load_splits(settings.data, **_how(settings, task), cut=False)
    if len(splits) == 1:
        return {settings.data: next(iter(splits.values()))}
    return {f"{settings.data}, {name}": rows for name, rows in splits.items()}


def _how(settings: RunSettings, task: Task) -> dict[str, Any]:
    """How ``load_splits`` is to read the data."""
    return {
        "task": task,
        "encoding": settings.encoding,
        "text_columns": settings.text_columns,
        "decimal_comma": settings.decimal_comma,
    }


def with_lora(settings: RunSettings, task: Task, checkpoint: str) -> RunSettings:
    """Settle whether an adapter is trained: by default of a decoder with a classification head.

    Raises:
        InputError: If an adapter is to be merged and there is none.
    """
    lora = settings.lora
    if lora is None:
        kind = family_for(read_config(checkpoint).model_type).kind
        lora = kind == "decoder" and not task.generates
    if settings.merge and not lora:
        raise InputError("--merge: needs an adapter to merge. Pass --lora too.")
    return dataclasses.replace(settings, lora=lora)


def _prepare(
    task: Task, settings: RunSettings, args: Any, splits: DatasetDict, checkpoint: str
) -> TaskTrainer:

    set_seed(args.seed)  # a new head is drawn before the Trainer seeds
    model, tokenizer = build_model(
        task,
        checkpoint=checkpoint,
        family=settings.family,
        lora=_lora(settings),
        quantization=settings.quantization,
        gradient_checkpointing=bool(args.gradient_checkpointing),  # refused before any weight
        proof=settings.proof,
    )
    patience = settings.early_stopping_patience
    stops = patience > 0 and args.load_best_model_at_end and args.eval_strategy != "no"
    return task.trainer(
        model,
        tokenizer,
        args,
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        schedule=GenerationSchedule(settings.generate_every_epochs, settings.generate_max_rows),
        mixup=settings.mixing(),
        max_tokens_per_batch=settings.max_tokens_per_batch,
        packing=settings.packing,
        callbacks=[EarlyStoppingCallback(patience)] if stops else [],
    )


def _lora(settings: RunSettings) -> Any:

    if not settings.lora:
        return None
    return lora_config(r=settings.lora_r, alpha=settings.lora_alpha, dropout=settings.lora_dropout)


def _checkpoint(task: Task, settings: RunSettings, args: Any, splits: DatasetDict) -> str:
    """The checkpoint to start from; ``tiny`` is made from the training texts first."""
    if not is_tiny(settings):
        if settings.checkpoint:
            return settings.checkpoint
        if settings.family in FAMILIES:
            return FAMILIES[settings.family].default_checkpoint
        raise InputError("--checkpoint: missing. Give a hub name, a directory, or 'tiny'.")
    directory = Path(args.output_dir) / TINY
    family = settings.family or task.tiny_family
    # one process of all hosts: they share the output directory
    with args.main_process_first(local=False, desc="making a tiny checkpoint"):
        if not directory.exists():
            tiny_checkpoint(family, task.corpus(splits["train"]), directory, seed=args.seed)
    return str(directory)


def _resumes(settings: RunSettings, args: Any) -> bool:
    """Whether there is a checkpoint to go on from, if the run is to go on at all."""

    def saved() -> bool:
        tidy(Path(args.output_dir))
        found = checkpoints(Path(args.output_dir))
        if not found:
            logger.warning("resuming from the start: no checkpoint was saved yet")
        return bool(found)

    return settings.resume and on_main(args, saved)


def _best(trainer: TaskTrainer) -> dict[str, float]:
    """The validation scores of the step whose weights were kept."""
    best = trainer.state.best_global_step
    for entry in reversed(trainer.state.log_history):
        if any(key.startswith("eval_") for key in entry) and best in (None, entry["step"]):
            return _numbers({k: v for k, v in entry.items() if k.startswith("eval_")})
    return {}


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}


def run_config(task: Task, settings: RunSettings, args: Any) -> dict[str, Any]:
    """What ``config.yaml`` holds: ``frtune train TASK --config`` of it repeats the run."""
    # not by comparing with default arguments: making some resets accelerate's state
    values = args.to_dict()
    chosen = recipe(task)  # whose values differ from the Trainer's defaults
    changed = {
        item.name: values[item.name]
        for item in dataclasses.fields(args)
        if item.init
        and item.name not in NOT_REPEATED
        and isinstance(values[item.name], str | int | float | bool | list)
        and (
            item.name in chosen or values[item.name] != getattr(item.default, "value", item.default)
        )
        and (item.default is not None or values[item.name])
    }
    content = {
        **{k: v for k, v in dataclasses.asdict(settings).items() if v is not None},
        **{k: v for k, v in dataclasses.asdict(task).items() if v is not None},
        **changed,
        "output_dir": args.output_dir,
    }
    content.pop("resume")
    return content


def _write_start(trainer: TaskTrainer, splits: DatasetDict, config: dict[str, Any]) -> None:
    """Write ``config.yaml`` and ``manifest.json``."""
    with staged(trainer.args.output_dir) as draft:
        text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
        (draft / "config.yaml").write_text(text, encoding="utf-8")
        write_json(draft / RUN_MANIFEST, run_manifest(trainer, splits, config))
