"""The model card of a run: what the hub reads, lines that were run, and what the run tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import DatasetDict
from huggingface_hub import ModelCardData

from frtune.model_cards.checked import checked, examples_of
from frtune.model_cards.metadata import (
    LANGUAGE_ROWS,
    languages_of,
    metadata,
    origin_of,
    results_of,
)
from frtune.model_cards.sections import remarks_for, sections_for
from frtune.models.adapter_base import base_of
from frtune.models.families import kind_of
from frtune.run.model_card import model_card
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.saving import MERGED
from frtune.training.trainer import TaskTrainer

_NO_LINES = "There are no lines for this task and this tokenizer that answer without frtune.\n"


def run_card(
    trainer: TaskTrainer,
    task: Task,
    settings: RunSettings,
    splits: DatasetDict,
    metrics: dict[str, float],
    *,
    warning: str | None,
    **content: Any,
) -> str:
    """Text of ``README.md``, for a model that is saved in ``trainer.args.output_dir``.

    ``metrics`` are those of ``metrics.json``, ``content`` is what ``model_card`` has besides. A
    ``warning`` that the model is not proven keeps the lines from being run.
    """
    return model_card(
        task, settings, trainer.args, splits=splits, metrics=metrics,
        metadata=_metadata(trainer, task, settings, splits, metrics),
        history=trainer.state.log_history,
        plain=_lines(trainer, task, settings, splits, proven=warning is None),
        warning=warning,
        **content,
    )  # fmt: skip


def _lines(
    trainer: TaskTrainer, task: Task, settings: RunSettings, splits: DatasetDict, *, proven: bool
) -> str:
    directory, model = Path(str(trainer.args.output_dir)), trainer.model
    merged = settings.merge and (directory / MERGED).is_dir()
    found = sections_for(task, model, trainer.processing_class, directory=directory, merged=merged)
    if not found:
        return _NO_LINES
    unchecked = None if proven else "the model is not proven"
    if not settings.proof:
        unchecked = "--no-proof leaves that out"
    lines = checked(
        found,
        task,
        examples_of(task, splits, public=bool(trainer.args.push_to_hub)),
        directory=directory,
        name=directory.resolve().name,
        unchecked=unchecked,
    )
    return "\n".join([lines, *(f"{each}\n" for each in remarks_for(model, merged=merged))])


def _metadata(
    trainer: TaskTrainer,
    task: Task,
    settings: RunSettings,
    splits: DatasetDict,
    metrics: dict[str, float],
) -> ModelCardData:
    kind, lora = kind_of(trainer.model), hasattr(trainer.model, "peft_config")
    if lora:
        tags = ["lora"]
    else:
        tags = ["cross-encoder"] if task.cross_encoder_lines(kind) else []
    train = splits["train"]
    checkpoint = None if is_tiny(settings) else settings.checkpoint
    origin = origin_of(checkpoint)
    # of a local fine-tune its card names the base, which this adapter does not fit
    fits = checkpoint is not None and base_of(checkpoint) == origin.hub_id
    return metadata(
        task,
        kind,
        name=Path(str(trainer.args.output_dir)).resolve().name,
        origin=origin,
        relation="adapter" if lora and fits and not settings.merge_first else "finetune",
        library="peft" if lora else "transformers",
        tags=tags,
        data=settings.data,
        languages=languages_of(task, train.select(range(min(LANGUAGE_ROWS, len(train))))),
        results=results_of(task, kind, metrics, data=settings.data),
    )
